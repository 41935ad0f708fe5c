"""How often a node is tried again, for which errors, and after how long a wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Annotated, Literal, Self, TypeVar

import tenacity
from pydantic import Field, model_validator

from tidemark.config import Strict
from tidemark.errors import mask
from tidemark.runner.transience import kind_of, retry_after

T = TypeVar("T")
Seconds = Annotated[float, Field(ge=0, le=86_400)]

UNLISTED = "other"


class RetryPolicy(Strict):
    """How often something is tried, and how long is waited in between."""

    attempts: Annotated[int, Field(ge=1, le=100)]
    backoff: Literal["exponential", "linear"] = "exponential"
    first_delay_seconds: Seconds = 1
    longest_delay_seconds: Seconds = 60
    jitter_seconds: Seconds = 1

    def delay(self) -> Callable[[tenacity.RetryCallState], float]:
        """Build the wait after failed attempt k: growth by backoff, plus jitter, then the cap."""
        first, longest = self.first_delay_seconds, self.longest_delay_seconds
        growth = (
            tenacity.wait_exponential(multiplier=first, max=longest)
            if self.backoff == "exponential"
            else tenacity.wait_incrementing(start=first, increment=first, max=longest)
        )
        delay = growth + tenacity.wait_random(0, self.jitter_seconds)
        return lambda state: min(longest, delay(state))


class JobPolicy(RetryPolicy):
    """The policy of a job, and the nodes that belong to it."""

    nodes: Annotated[tuple[str, ...], Field(min_length=1)]


class Retries(Strict):
    """What ``retries.yml`` holds."""

    storage: RetryPolicy
    jobs: dict[str, JobPolicy]

    @model_validator(mode="after")
    def _lists_each_node_once(self) -> Self:
        owners: dict[str, str] = {}
        for job, policy in self.jobs.items():
            for node in policy.nodes:
                if node in owners:
                    raise ValueError(
                        f"Node '{node}' is in jobs '{owners[node]}' and '{job}'. "
                        "List it in one of them, once."
                    )
                owners[node] = job
        return self

    def job_of(self, node_name: str) -> str:
        """Name the job of a node by the last dotted part of its name, or ``other``."""
        return self._find_job(node_name)[0]

    def job_policy(self, node_name: str) -> RetryPolicy:
        """Return the policy of a node's job. A node that no job lists has one attempt."""
        return self._find_job(node_name)[1]

    def policy_for(self, node_name: str, error: BaseException) -> RetryPolicy | None:
        """Return the policy that an error of a node falls under, or None: not to be tried again."""
        kind, job = kind_of(error), self.job_policy(node_name)
        if kind == "storage":
            attempts = max(job.attempts, self.storage.attempts)
            return self.storage.model_copy(update={"attempts": attempts})
        return job if kind else None

    def _find_job(self, node_name: str) -> tuple[str, RetryPolicy]:
        name = node_name.rpartition(".")[2]
        owners = ((job, policy) for job, policy in self.jobs.items() if name in policy.nodes)
        return next(owners, (UNLISTED, RetryPolicy(attempts=1)))


@dataclass(frozen=True)
class Attempt:
    """The record of one failed attempt, ready for JSON, with the wait that follows it."""

    number: int
    error: str
    seconds_waited: float


@dataclass
class _Failure:
    """The latest failure of a node, as tenacity asks about it."""

    node_name: str
    retries: Retries
    error: BaseException = field(init=False)
    policy: RetryPolicy = field(init=False)
    asked_seconds: float = field(init=False)
    is_giving_up: bool = False

    def may_pass(self, error: BaseException) -> bool:
        """Tell whether waiting may help, and no longer than the policy allows."""
        policy = self.retries.policy_for(self.node_name, error)
        if policy is None:
            return False
        self.error, self.policy = error, policy
        self.asked_seconds = retry_after(error) or 0.0
        if self.asked_seconds <= policy.longest_delay_seconds:
            return True
        if not self.is_giving_up:
            self.is_giving_up = True  # once more, for whatever may stand in for the source
            return True
        error.add_note(
            f"Not tried again: the source asks to wait {self.asked_seconds:.0f} s, longer than "
            f"longest_delay_seconds ({policy.longest_delay_seconds:g}) of job "
            f"'{self.retries.job_of(self.node_name)}' in retries.yml. Run later, or raise it."
        )
        return False

    def is_final(self, state: tenacity.RetryCallState) -> bool:
        """Tell whether the attempts are used up."""
        return state.attempt_number >= self.policy.attempts

    def wait(self, state: tenacity.RetryCallState) -> float:
        """Return the policy's delay, or what the source asks for if that is longer."""
        if self.is_giving_up:
            return 0.0
        return max(self.policy.delay()(state), self.asked_seconds)


def call_with_retries(
    action: Callable[[int, bool], T],
    node_name: str,
    retries: Retries,
    on_retry: Callable[[Attempt, BaseException, int], None],
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Call an action until it succeeds or its policy allows no further attempt.

    What the last attempt raises passes unchanged, but for a note if the source asks for too long
    a wait.

    Parameters
    ----------
    action : callable
        Takes the attempt's number, from 1, and whether it is the last of the job's policy.
        Trouble with storage may still bring further ones, all of them marked as last.
    node_name : str
        The node's full name.
    retries : Retries
        The policies.
    on_retry : callable
        Called before each wait: with the attempt's record, its exception, and how many attempts
        that exception is allowed.
    sleep : callable
        Waits so many seconds.
    """
    job = retries.job_policy(node_name)
    failure = _Failure(node_name, retries)
    numbers = count(1)

    def attempt_next() -> T:
        number = next(numbers)
        return action(number, number >= job.attempts or failure.is_giving_up)

    def announce(state: tenacity.RetryCallState) -> None:
        text = mask(f"{type(failure.error).__name__}: {failure.error}")
        record = Attempt(state.attempt_number, text, state.upcoming_sleep)
        on_retry(record, failure.error, failure.policy.attempts)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(failure.may_pass),
        stop=failure.is_final,
        wait=failure.wait,
        before_sleep=announce,
        sleep=sleep,
        reraise=True,
    )
    return retrying(attempt_next)
