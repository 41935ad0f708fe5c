"""Node functions of a cell that is a recurrent network: train, and draw how it has learnt."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

from tidemark import incidents
from tidemark.config import Cell
from tidemark.domain.learning_figures import draw_learning
from tidemark.domain.recurrent import EpochErrors, GruFit, fit_seeds, measure_spread, predict
from tidemark.domain.sequences import (
    SequenceIndex,
    SequenceSample,
    build_sequences,
    cut_validation,
)
from tidemark.pipelines.drawing import MISSING, draw_twice
from tidemark.pipelines.modelling.fallback import (
    NOTHING_TO_SAY,
    Candidate,
    fit_first_that_converges,
    judge_trials,
)
from tidemark.pipelines.modelling.params import RecurrentParams
from tidemark.pipelines.modelling.quoting import blank_infinite
from tidemark.pipelines.modelling.rows import CellRows, lay_out_rows
from tidemark.pipelines.modelling.unfitted import NOTHING_FITTED

logger = logging.getLogger(__name__)

_NEEDED = ("keras", "jax", "h5py")
_EPOCHS = ("block", "seed", "epoch", "train_mse", "validation_mse")

Trained = tuple[bytes, bytes, dict[str, Any], pd.DataFrame, pd.DataFrame]


def train(
    train: pd.DataFrame,
    test: pd.DataFrame,
    dates: dict[str, Any],
    model_params: RecurrentParams,
    cell: Cell,
) -> Trained:
    """Fit networks before each block of the test, one for each seed, and forecast by their mean.

    Training stops by the last sessions of each training period. A row's history is that of its
    contract, in the rows that the cell is given.

    Returns
    -------
    network, network_h5 : bytes
        The networks of the last block with their mean on top, as a ``.keras`` file, and as the
        HDF5 file of earlier versions (``load_model(path, compile=False)``). Empty without a fit.
    cv_scores : dict
        As of any cell, without folds; ``seeds`` says how far apart seeds came out, ``weights`` are
        hashes of what was fitted, ``device`` is what on.
    forecasts : DataFrame
        Keys and ``y_pred``.
    epochs : DataFrame
        ``block, seed, epoch, train_mse, validation_mse``, in the square of the target's unit.
    """
    absent = [name for name in _NEEDED if find_spec(name) is None]
    rows = lay_out_rows(train, test, dates, corrects_offset=model_params.residual)
    about: dict[str, Any] = {
        "estimator": model_params.estimator,
        "trials": [],
        "train_rows": len(rows.first),
        "split_id": dates["split_id"],
        **NOTHING_FITTED,
    }
    none = test[dates["keys"]].assign(y_pred=math.nan).head(0)
    nothing = pd.DataFrame({name: [] for name in _EPOCHS})
    if absent:
        note = f"{', '.join(absent)} is missing; install the extra 'deep'"
        logger.warning("%s is not installed: %s", cell.namespace, note)
        cv_scores = {**about, "status": "not installed", "note": note, "used": note}
        return MISSING, MISSING, cv_scores, none, nothing
    walked, trials = fit_first_that_converges(
        [Candidate(model_params, model_params.seeds[0])],
        lambda candidate: _walk(rows, dates, candidate.model, cell),
    )
    about["trials"] = [asdict(trial) for trial in trials]
    if walked is None:
        status, note = judge_trials(trials)
        incidents.report("failed_cell", f"{cell.namespace}: {note}", trials=about["trials"])
        cv_scores = {**about, "status": status, "note": note, "used": note}
        return MISSING, MISSING, cv_scores, none, nothing
    fits, values, epochs, networks = walked
    spread = {name: blank_infinite(value) for name, value in measure_spread(fits).items()}
    limit = model_params.epochs
    at_limit = sum(fit.best_epoch == limit for fit in fits)
    said = f"the mean of {len(fits)} recurrent networks (GRU) over {model_params.length} sessions"
    cv_scores = {
        **about,
        "status": "ok",
        "note": NOTHING_TO_SAY,
        "used": said
        + ", of what the baseline leaves" * model_params.residual
        + f"; {at_limit} of them still learnt in the last of {limit} epochs" * bool(at_limit),
        "seeds": {**spread, "n": len(fits)},
        "weights": {str(fit.seed): fit.weights_sha256 for fit in fits},
        "device": fits[-1].device,
        "refits": rows.list_fits(dates),
    }
    return *networks, cv_scores, rows.list_forecasts(dates["keys"], values), epochs


def _walk(
    rows: CellRows, dates: dict[str, Any], params: RecurrentParams, cell: Cell
) -> tuple[tuple[GruFit, ...], np.ndarray, pd.DataFrame, tuple[bytes, bytes]]:
    """Fit anew before each block; return the last fits, all forecasts, all epochs, the networks."""
    from tidemark.domain.keras_models import average_models, dump_model, load_model

    keys = [name for name in dates["keys"] if name != "date"]
    index = build_sequences(rows.table, keys, "date", rows.features, params.length)
    values = np.full(len(rows.table), np.nan)
    epochs: list[dict[str, Any]] = []
    for number, (known, block) in enumerate(rows.blocks, start=1):
        if not len(block):
            continue
        logger.info("fit %d of %d, on %d rows", number, len(rows.blocks), len(known))

        def note(one: EpochErrors, number: int = number) -> None:
            epochs.append({"block": number, **asdict(one)})
            logger.info(
                "%s seed %d, epoch %d: RMSE %.3g, validation %.3g",
                *(cell.namespace, one.seed, one.epoch),
                *(math.sqrt(mse) for mse in (one.train_mse, one.validation_mse)),
            )

        fits = fit_seeds(*_sample(index, rows, known, dates, params), params.settings(), note)
        mean = average_models([load_model(fit.model) for fit in fits])
        values[block] = predict(mean, index, block)
    content = dump_model(mean), dump_model(mean, "h5")
    return fits, values, pd.DataFrame(epochs, columns=list(_EPOCHS)), content


def _sample(
    index: SequenceIndex,
    rows: CellRows,
    known: np.ndarray,
    dates: dict[str, Any],
    params: RecurrentParams,
) -> tuple[SequenceSample, SequenceSample]:
    """Cut what is known into the sample that is learnt and the one that stops the learning."""
    days = rows.table["date"].iloc[known]
    try:
        cut = cut_validation(
            days, params.validation_sessions, dates["horizon_days"], dates["embargo_days"]
        )
    except ValueError as error:  # a fit that cannot be made fails its cell, and nothing else
        raise np.linalg.LinAlgError(str(error)) from error
    target = rows.target.to_numpy(dtype="float64")
    learnt, judged = (known[part] for part in cut)
    return tuple(  # type: ignore[return-value]
        SequenceSample(index, part, target[part]) for part in (learnt, judged)
    )


def plot_learning(epochs: pd.DataFrame, cell: Cell) -> bytes:
    """Draw the errors of every epoch of the last fits as PNG; nothing where nothing was fitted."""
    if epochs.empty:
        return MISSING
    last = epochs[epochs["block"] == epochs["block"].max()]
    title = f"{cell.namespace}: learning of each seed"
    return draw_twice(partial(draw_learning, last, title), f"{cell.namespace}.learning")
