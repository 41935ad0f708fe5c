"""What goes otherwise than planned while a node runs, yet does not fail it.

A dataset or a node function reports an incident; whoever runs the node collects it. Nothing
is returned to the reporter, so that results never depend on who listens.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

logger = logging.getLogger(__name__)

Kind = Literal["degraded", "fallback", "missing", "failed_cell", "leak", "alarm"]


@dataclass(frozen=True)
class Incident:
    """One thing that went otherwise than planned.

    ``degraded``: a source was down and a cached file stands in. ``fallback``: a simpler model,
    or another seed, stands in. ``missing``: an output could not be made and is marked so.
    ``failed_cell``: every model of a cell's chain has failed. ``leak``: the audit has found the
    future among the features. ``alarm``: a result is too good to be believed.
    """

    kind: Kind
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Collector:
    """The incidents of one attempt at a node, in the order of their reports."""

    last_attempt: bool = True
    found: list[Incident] = field(default_factory=list)


_current: ContextVar[Collector | None] = ContextVar("tidemark_incidents", default=None)


def collect(last_attempt: bool = True) -> Collector:
    """Collect what this thread reports from now on, until `collect` is called again.

    Parameters
    ----------
    last_attempt : bool
        Whether nobody will try again if this attempt fails: a source may then fall back.
    """
    collector = Collector(last_attempt)
    _current.set(collector)
    return collector


def current() -> Collector | None:
    """Return what collects in this thread now, if anything does."""
    return _current.get()


def report(kind: Kind, message: str, **facts: Any) -> None:
    """Report an incident; it is logged as a warning, collected or not."""
    logger.warning("%s: %s", kind.replace("_", " "), message)
    collector = _current.get()
    if collector is not None:
        collector.found.append(Incident(kind, message, facts))


def is_last_attempt() -> bool:
    """Say whether a failure now would be final, as it is wherever nobody retries."""
    collector = _current.get()
    return collector is None or collector.last_attempt
