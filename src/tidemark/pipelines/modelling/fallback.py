"""What is tried when a model cannot be fitted: another seed, then the next simpler model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, cast

from tidemark.domain.estimators import Trial
from tidemark.pipelines.modelling.params import (
    ModelParams,
    RecurrentParams,
    RegimeParams,
    TrainParams,
)

Fitted = TypeVar("Fitted")
Model = TypeVar("Model", ModelParams, RegimeParams, RecurrentParams)
Status = Literal["ok", "fallback", "failed", "not installed"]

NOTHING_TO_SAY = "-"  # not an empty text, which a CSV file gives back as NaN

_NO_CONVERGENCE = "ConvergenceWarning"


@dataclass(frozen=True)
class Candidate(Generic[Model]):
    """A model that may be fitted, and with which seed."""

    model: Model
    seed: int


def list_candidates(model: Model, params: TrainParams) -> list[Candidate[Model]]:
    """List what is tried in turn: the model itself with both seeds, then each simpler one."""
    candidates = [Candidate(model, params.seed), Candidate(model, params.fallback_seed)]
    simpler = params.simpler.get(model.estimator)
    while simpler is not None:
        # Of the same kind as the model: a chain never leaves its kind.
        candidates.append(Candidate(cast(Model, simpler), params.seed))
        simpler = params.simpler.get(simpler.estimator)
    return candidates


def fit_first_that_converges(
    candidates: Iterable[Candidate[Model]], fit: Callable[[Candidate[Model]], Fitted]
) -> tuple[Fitted | None, tuple[Trial, ...]]:
    """Fit candidates in turn until one converges.

    Parameters
    ----------
    candidates : iterable of Candidate
        In the order in which they are tried.
    fit : callable
        Fits one of them. What it raises ends the search, unless it is scikit-learn's
        ``ConvergenceWarning`` or NumPy's ``LinAlgError``: then the next one is tried.

    Returns
    -------
    fitted : object or None
        What ``fit`` returned; None if none of them converges.
    trials : tuple of Trial
        What was tried; only the last one can be without an error.
    """
    from numpy.linalg import LinAlgError
    from sklearn.exceptions import ConvergenceWarning

    trials: list[Trial] = []
    for candidate in candidates:
        try:
            fitted = fit(candidate)
        except (ConvergenceWarning, LinAlgError) as error:
            words = f"{type(error).__name__}: {error}"
            trials.append(Trial(candidate.model.estimator, candidate.seed, words))
        else:
            trials.append(Trial(candidate.model.estimator, candidate.seed, None))
            return fitted, tuple(trials)
    return None, tuple(trials)


def judge_trials(trials: Sequence[Trial]) -> tuple[Status, str]:
    """Put trials into a status and a sentence.

    Examples
    --------
    >>> lost = "ConvergenceWarning: LinearSVR stopped at its limit of 1000 iterations."
    >>> judge_trials([Trial("svr", 1, lost), Trial("svr", 2, lost), Trial("ridge", 1, None)])
    ('fallback', 'ridge stood in: svr did not converge')
    >>> judge_trials([Trial("svr", 1, lost), Trial("svr", 2, None)])
    ('fallback', 'seed 2 stood in: svr did not converge with seed 1')
    >>> judge_trials([Trial("linear", seed, "LinAlgError: Singular matrix") for seed in (1, 2)])
    ('failed', 'linear could not be solved; no simpler model is left')
    >>> judge_trials([Trial("linear", 1, None)])
    ('ok', '-')
    """
    asked, last = trials[0], trials[-1]
    if last.error is not None:
        return "failed", f"{_describe_faults(trials)}; no simpler model is left"
    if last is asked:
        return "ok", NOTHING_TO_SAY
    faults = _describe_faults(trials)
    if last.estimator == asked.estimator:
        return "fallback", f"seed {last.seed} stood in: {faults} with seed {asked.seed}"
    return "fallback", f"{last.estimator} stood in: {faults}"


def _describe_faults(trials: Iterable[Trial]) -> str:
    names: dict[str, list[str]] = {}
    for trial in trials:
        if trial.error is not None:
            lost = trial.error.startswith(_NO_CONVERGENCE)
            fault = "did not converge" if lost else "could not be solved"
            if trial.estimator not in names.setdefault(fault, []):
                names[fault].append(trial.estimator)
    return ", ".join(f"{' and '.join(some)} {fault}" for fault, some in names.items())
