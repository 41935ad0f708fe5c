"""Cells of the options study: what they learn and correct, networks, and errors in prices."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

from tidemark import incidents
from tidemark.config import Cell
from tidemark.domain.figures import CELL_FIGURES
from tidemark.domain.keras_models import load_model
from tidemark.domain.option_errors import measure_option_errors
from tidemark.domain.recurrent import predict
from tidemark.domain.sequences import build_sequences
from tidemark.errors import LeakageFound, ModelError
from tidemark.pipelines.data_engineering.options import pricing
from tidemark.pipelines.data_engineering.options.params import (
    BucketParams,
    GroupParams,
    OptionPreprocessParams,
)
from tidemark.pipelines.data_engineering.options.treatment import preprocess
from tidemark.pipelines.data_engineering.publishing import publish
from tidemark.pipelines.feature_engineering.options.nodes import CIRCULAR, featurise
from tidemark.pipelines.feature_engineering.splitting import split
from tidemark.pipelines.modelling import nodes
from tidemark.pipelines.modelling.params import ModelParams, RecurrentParams, TrainParams
from tidemark.pipelines.modelling.pricing.nodes import measure
from tidemark.pipelines.modelling.recurrent import nodes as recurrent
from tidemark.pipelines.modelling.rows import lay_out_rows
from tidemark.pipelines.params import QuantityParams
from tidemark.pipelines.reporting import documents, findings, tables
from tidemark.pipelines.reporting.params import ReportParams

sys.path.insert(0, str(Path(__file__).parent))

import options_world as world

KEYS = world.KEYS
PICTURE = b"\x89PNG\r\n\x1a\n"  # stands for a figure where nobody looks at it
PASSED = {"passed": True, "findings": []}
QUANTITY = QuantityParams(name="price over strike", unit="%", scale=100.0)
REPORT = ReportParams(
    title="Options",
    question="Which?",
    unit="price over strike",
    quantity=QUANTITY,
    too_good_r2=None,
    sample_note="Small.",
    headline="r2_oos_surface",
    shown_metrics=("rmse", "r2_oos_surface"),
)
TRAINING = TrainParams.model_validate(
    {
        "seed": 1,
        "fallback_seed": 2,
        "exact_svr_max_rows": 1,
        "nystroem_components": 20,
        "simpler": {},
    }
)
RIDGE = {"estimator": "ridge", "grid": {"alpha": [1.0]}}
GRU = RecurrentParams(
    estimator="gru",
    residual=True,
    length=3,
    validation_sessions=4,
    units=4,
    batch_size=512,
    epochs=1,
    seeds=(1,),
)

needs_keras = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("keras", "jax", "h5py")),
    reason="needs Keras: the extra 'deep'",
)


@dataclass(frozen=True)
class Group:
    """What the cells of a group are given."""

    train: pd.DataFrame
    test: pd.DataFrame
    dates: dict[str, Any]
    scoring: pd.DataFrame
    resampling: dict[str, Any]
    facts: pd.DataFrame

    @property
    def rows(self) -> pd.DataFrame:
        """The rows of training and test."""
        return pd.concat([self.train, self.test], ignore_index=True)

    def change(self, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> Group:
        """Edit the rows of training and test."""
        about = self.dates, self.scoring, self.resampling, self.facts
        return Group(edit(self.train), edit(self.test), *about)

    def forget(self, refit: dict[str, Any]) -> Group:
        """Score nothing in the block of a refit."""
        bounds = refit["valid_start"], refit["valid_end"]

        def edit(rows: pd.DataFrame) -> pd.DataFrame:
            is_out = rows["date"].between(*bounds)
            return rows.assign(is_scored=rows["is_scored"] & ~is_out)

        scoring = self.scoring[~self.scoring["date"].between(*bounds)].reset_index(drop=True)
        resampling = {**self.resampling, "n_dates": scoring["date"].nunique()}
        return replace(self.change(edit), scoring=scoring, resampling=resampling)

    def fit(self, model: dict[str, Any], name: str = "ridge") -> tuple[Any, ...]:
        """Train an estimator."""
        return nodes.train(
            self.train,
            self.test,
            self.dates,
            ModelParams.model_validate(model),
            TRAINING,
            Cell("options", "surface_impute", name),
        )

    def fit_network(self, params: RecurrentParams = GRU) -> tuple[Any, ...]:
        """Train a network."""
        cell = Cell("options", "surface_impute", "gru")
        return recurrent.train(self.train, self.test, self.dates, params, cell)

    def conclude(
        self, cell: Cell, forecasts: pd.DataFrame, scores: dict[str, Any]
    ) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
        """Evaluate and conclude: the outcome, the predictions and the sums by date."""
        predictions, daily, *judged = nodes.evaluate(
            forecasts, self.scoring, self.dates, self.resampling, cell
        )
        metrics, bootstrap, scores = json.loads(json.dumps([*judged, scores], allow_nan=False))
        figures = [PICTURE] * len(CELL_FIGURES)
        if predictions.empty:
            figures = nodes.plot(predictions, QUANTITY, cell)
        outcome = nodes.conclude(metrics, bootstrap, scores, predictions, "group", cell, *figures)
        return json.loads(json.dumps(outcome, allow_nan=False)), predictions, daily


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    """Hold out every third expiration of the simulated chain."""
    accepted = world.accept(world.simulate_quotes(), tmp_path_factory.mktemp("chain"))
    priced = world.price(accepted.contracts, accepted.market)
    chosen, baselines = pricing.choose(
        priced.targets, priced.inputs, priced.baselines, GroupParams(hold_out_every=3)
    )
    # Fewer rows are enough for a test: strikes of every hundred points.
    strikes = accepted.contracts["strike"]
    chosen["eligible"] &= strikes % 100 == 0
    dates, scoring, resampling = publish(chosen, baselines, world.SPLIT, world.EVALUATION)
    dates, resampling = json.loads(json.dumps([dates, resampling]))
    processed, _ = preprocess(priced.inputs, OptionPreprocessParams(missing="drop"))
    rows = split(featurise(processed), chosen, dates)
    return Group(*rows, dates, scoring, resampling, priced.facts)


# Rows.


def test_rows_that_are_not_learnt_from_are_nowhere_known(group: Group) -> None:
    """Neither in the first fit, nor in its folds, nor in the fit of any block."""
    found = lay_out_rows(group.train, group.test, group.dates, corrects_offset=False)
    is_learnt = found.table["is_learnt"].to_numpy()
    assert not is_learnt.all()
    assert is_learnt[found.first].all()
    assert (found.table["date"].iloc[found.first] <= group.dates["train_end"]).all()
    early = found.table["date"] <= group.dates["train_end"]
    assert len(found.first) == int((early & is_learnt).sum())
    assert len(found.blocks) == len(group.dates["refits"]) >= 2
    assert len(found.folds) == len(group.dates["folds"])
    for known, _ in found.blocks:
        assert len(known)
        assert is_learnt[known].all()
    for known, judged in found.folds:
        assert max(known.max(), judged.max()) < len(found.first)
        dates = found.table["date"].iloc[found.first]
        assert dates.iloc[known].max() < dates.iloc[judged].min()


def test_rows_that_are_forecast_are_those_that_are_scored(group: Group) -> None:
    """Each in one block, in which nothing later is known; labels are no features."""
    found = lay_out_rows(group.train, group.test, group.dates, corrects_offset=False)
    listed = np.concatenate([block for _, block in found.blocks])
    assert len(np.unique(listed)) == len(listed) == int(found.is_forecast.sum())
    assert_frame_equal(
        found.table.loc[found.is_forecast, KEYS].reset_index(drop=True), group.scoring[KEYS]
    )
    for known, block in found.blocks:
        dates = found.table["date"]
        assert dates.iloc[known].max() < dates.iloc[block].min()
    assert not {"target", "offset", "is_scored", "is_learnt", *KEYS} & set(found.features)
    assert len(found.features) == 21


def test_offset_is_taken_off_and_added_back_exactly(group: Group) -> None:
    """What is learnt is the rest; a forecast of the rest gives the target."""
    found = lay_out_rows(group.train, group.test, group.dates, corrects_offset=True)
    rows = found.table
    assert_array_equal(found.offset, rows["offset"])
    assert_array_equal(found.target, rows["target"] - rows["offset"])
    back = found.list_forecasts(KEYS, np.zeros(len(rows)))
    assert_array_equal(back["y_pred"], group.scoring["surface_by_strike"])
    assert_frame_equal(back[KEYS], group.scoring[KEYS])
    exact = found.list_forecasts(KEYS, found.target.to_numpy())
    assert_allclose(exact["y_pred"], group.scoring["y_true"], rtol=1e-12)

    plain = lay_out_rows(group.train, group.test, group.dates, corrects_offset=False)
    assert not plain.offset.any()
    assert_array_equal(plain.target, rows["target"])


def test_rows_without_flags_are_all_learnt_and_forecast(group: Group) -> None:
    """As in studies that have none of these labels."""
    bare = group.change(lambda rows: rows.drop(columns=["is_learnt", "is_scored", "offset"]))
    found = lay_out_rows(bare.train, bare.test, bare.dates, corrects_offset=False)
    early = (found.table["date"] <= group.dates["train_end"]).sum()
    assert len(found.first) == early
    assert found.is_forecast.sum() == len(group.test)
    with pytest.raises(ModelError, match=r"publishes none\. Take 'residual' out"):
        lay_out_rows(bare.train, bare.test, bare.dates, corrects_offset=True)


def test_rows_none_of_which_may_be_learnt_from_are_an_error(group: Group) -> None:
    """With their number and the remedy."""
    none = group.change(lambda rows: rows.assign(is_learnt=False))
    with pytest.raises(ModelError, match=r"may be learnt from\. Loosen the scenario's treatment"):
        lay_out_rows(none.train, none.test, none.dates, corrects_offset=False)


def test_later_block_with_nothing_to_learn_from_is_an_error_if_anything_is_scored(
    group: Group,
) -> None:
    """A window may hold no row that is learnt from, though the first fit has some."""
    first, second, *others = group.dates["refits"]
    assert not others
    days = group.rows["date"].unique()
    window = days[(days > pd.Timestamp(first["train_end"]))][:3]
    late = {**second, "train_start": str(window[0]), "train_end": str(window[-1])}
    moved = replace(group, dates={**group.dates, "refits": [first, late]})
    bare = moved.change(
        lambda rows: rows.assign(is_learnt=rows["is_learnt"] & ~rows["date"].isin(window))
    )
    lay_out_rows(moved.train, moved.test, moved.dates, corrects_offset=False)
    with pytest.raises(ModelError, match="those of a later fit, none may be learnt from"):
        lay_out_rows(bare.train, bare.test, bare.dates, corrects_offset=False)
    silent = bare.forget(second)
    found = lay_out_rows(silent.train, silent.test, silent.dates, corrects_offset=False)
    assert [len(block) > 0 for _, block in found.blocks] == [True, False]
    assert len(found.blocks[1][0]) == 0


@pytest.mark.parametrize("at", [0, 1])
def test_train_block_without_scored_rows_is_passed_over(group: Group, at: int) -> None:
    """The other one is forecast as before, and the forecasts are those that are scored."""
    silent = group.forget(group.dates["refits"][at])
    _, scores, forecasts = silent.fit(RIDGE)
    assert scores["status"] == "ok"
    assert_frame_equal(forecasts[KEYS], silent.scoring[KEYS])
    assert 0 < len(forecasts) < len(group.scoring)
    usual = group.fit(RIDGE)[2].merge(silent.scoring[KEYS], on=KEYS)
    assert_frame_equal(forecasts, usual, check_exact=True)
    cell = Cell("options", "surface_impute", "ridge")
    outcome, _, _ = silent.conclude(cell, forecasts, scores)
    assert (outcome["status"], outcome["scored_rows"]) == ("ok", len(silent.scoring))


# Estimators.


def test_train_residual_of_an_exact_offset_has_no_error(group: Group) -> None:
    """Nothing is left to learn, and nothing is added."""
    exact = group.change(lambda rows: rows.assign(offset=rows["target"]))
    _, scores, forecasts = exact.fit({**RIDGE, "residual": True})
    assert scores["rmse_mean"] == pytest.approx(0.0, abs=1e-15)
    assert scores["used"].endswith(", of what the baseline leaves")
    judged = group.scoring.merge(forecasts, on=KEYS, validate="one_to_one")
    assert_allclose(judged["y_pred"], judged["y_true"], rtol=1e-12)
    _, plain, other = exact.fit(RIDGE)
    assert "baseline leaves" not in plain["used"]
    assert np.abs(other["y_pred"] - group.scoring["y_true"]).max() > 1e-4


def test_train_never_sees_the_labels_of_held_out_rows(group: Group) -> None:
    """Targets of rows that are not learnt from may be anything; others may not."""
    usual = group.fit({**RIDGE, "residual": True})

    def spoil(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(target=rows["target"].where(rows["is_learnt"], 77.0))

    spoilt = group.change(spoil)
    assert (spoilt.train["target"] == 77.0).any()
    again = spoilt.fit({**RIDGE, "residual": True})
    assert_frame_equal(usual[2], again[2], check_exact=True)
    assert json.dumps(usual[1]) == json.dumps(again[1])
    other = group.change(lambda rows: rows.assign(target=2.0 * rows["target"]))
    assert not usual[2].equals(other.fit({**RIDGE, "residual": True})[2])


def test_train_counts_the_rows_that_are_learnt_from(group: Group) -> None:
    """Of the first fit and of each refit; all rows that are scored have a forecast."""
    _, scores, forecasts = group.fit(RIDGE)
    rows = group.rows
    learnt = rows[rows["is_learnt"]]
    assert scores["train_rows"] == (learnt["date"] <= group.dates["train_end"]).sum()
    counts = [
        learnt["date"].between(one["train_start"], one["train_end"]).sum()
        for one in group.dates["refits"]
    ]
    assert [one["train_rows"] for one in scores["refits"]] == counts
    outcome, predictions, _ = group.conclude(
        Cell("options", "surface_impute", "ridge"), forecasts, scores
    )
    assert_frame_equal(predictions[KEYS], group.scoring[KEYS])
    assert (outcome["status"], outcome["scored_rows"]) == ("ok", len(group.scoring))
    error = predictions["y_true"] - predictions["y_pred"]
    surface = group.scoring["y_true"] - group.scoring["surface_by_strike"]
    skill = 1.0 - (error**2).sum() / (surface**2).sum()
    assert outcome["metrics"]["r2_oos_surface"] == pytest.approx(skill)


# Networks.


@pytest.mark.parametrize("hidden", [("keras",), ("jax", "h5py"), ("keras", "jax", "h5py")])
def test_network_without_its_libraries_is_not_installed(
    group: Group, monkeypatch: pytest.MonkeyPatch, hidden: tuple[str, ...]
) -> None:
    """The cell says what to install, has no forecast, and nobody hears of a failure."""

    def find(name: str) -> object | None:
        return None if name in hidden else object()

    monkeypatch.setattr(recurrent, "find_spec", find)
    collector = incidents.collect()
    network, network_h5, scores, forecasts, epochs = group.fit_network()
    assert (network, network_h5) == (b"", b"")
    assert (list(forecasts), len(forecasts), len(epochs)) == ([*KEYS, "y_pred"], 0, 0)
    note = f"{', '.join(hidden)} is missing; install the extra 'deep'"
    assert (scores["status"], scores["note"]) == ("not installed", note)
    cell = Cell("options", "surface_impute", "gru")
    outcome, predictions, daily = group.conclude(cell, forecasts, scores)
    assert (outcome["status"], outcome["note"], outcome["trials"]) == ("not installed", note, [])
    assert (outcome["metrics"], outcome["scored_rows"], outcome["n_fits"]) == ({}, 0, 0)
    assert set(outcome["figures"].values()) == {None}
    assert (len(predictions), len(daily)) == (0, 0)
    errors, by_bucket = measure(predictions, group.facts, BUCKETS)
    assert (errors, len(by_bucket)) == ({}, 0)
    assert recurrent.plot_learning(epochs, cell) == b""
    assert collector.found == []


@needs_keras
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_network_forecasts_all_scored_rows_and_the_same_twice(group: Group) -> None:
    """One seed, one epoch, four units: little is learnt, and everything is there."""
    refit = {**group.dates["refits"][0], "valid_end": group.dates["refits"][-1]["valid_end"]}
    once = replace(group, dates={**group.dates, "refits": [refit]})
    fits = [once.fit_network() for _ in range(2)]
    network, network_h5, scores, forecasts, epochs = fits[0]
    assert (network, network_h5, scores) == fits[1][:3]
    assert_frame_equal(forecasts, fits[1][3], check_exact=True)
    assert_frame_equal(epochs, fits[1][4], check_exact=True)
    assert_frame_equal(forecasts[KEYS], group.scoring[KEYS])

    # What is stored forecasts what the surface leaves.
    rows = lay_out_rows(once.train, once.test, once.dates, corrects_offset=True)
    index = build_sequences(rows.table, ["contract"], "date", rows.features, GRU.length)
    left = predict(load_model(network_h5), index, np.flatnonzero(rows.is_forecast))
    expected = left + rows.offset[rows.is_forecast]
    assert_allclose(forecasts["y_pred"], expected, rtol=1e-6)
    assert np.abs(left).max() > 0

    assert epochs[["block", "seed", "epoch"]].to_numpy().tolist() == [[1, 1, 1]]
    assert set(scores["weights"]) == {"1"}
    assert (scores["seeds"]["n"], scores["seeds"]["validation_rmse_std"]) == (1, None)
    said = (
        "the mean of 1 recurrent networks (GRU) over 3 sessions, of what the baseline leaves; "
        "1 of them still learnt in the last of 1 epochs"
    )
    assert (scores["status"], scores["used"]) == ("ok", said)
    cell = Cell("options", "surface_impute", "gru")
    outcome, _, _ = group.conclude(cell, forecasts, scores)
    assert (outcome["status"], outcome["n_fits"]) == ("ok", 1)
    assert recurrent.plot_learning(epochs, cell).startswith(PICTURE)


@needs_keras
@pytest.mark.parametrize("sessions", [60, 500])
def test_network_with_too_short_a_training_period_fails_its_cell_alone(
    group: Group, sessions: int
) -> None:
    """No session is left to learn from beside those that stop the learning: the cell says so."""
    days = group.rows.loc[group.rows["date"] <= group.dates["train_end"], "date"].nunique()
    assert days <= 60
    collector = incidents.collect()
    params = GRU.model_copy(update={"validation_sessions": sessions})
    network, network_h5, scores, forecasts, epochs = group.fit_network(params)
    assert (network, network_h5) == (b"", b"")
    assert (list(forecasts), len(forecasts), len(epochs)) == ([*KEYS, "y_pred"], 0, 0)
    assert scores["status"] == "failed"
    (trial,) = scores["trials"]
    assert trial["error"].startswith("LinAlgError: ")
    assert str(sessions) in trial["error"]
    assert [one.kind for one in collector.found] == ["failed_cell"]
    cell = Cell("options", "surface_impute", "gru")
    outcome, predictions, daily = group.conclude(cell, forecasts, scores)
    assert (outcome["status"], outcome["scored_rows"]) == ("failed", 0)
    assert (len(predictions), len(daily)) == (0, 0)


@needs_keras
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_network_passes_over_a_block_without_scored_rows(group: Group) -> None:
    """The first block has none: the second alone is learnt for, and forecast."""
    silent = group.forget(group.dates["refits"][0])
    network, _, scores, forecasts, epochs = silent.fit_network()
    assert scores["status"] == "ok"
    assert network
    assert_frame_equal(forecasts[KEYS], silent.scoring[KEYS])
    assert np.isfinite(forecasts["y_pred"]).all()
    assert epochs["block"].tolist() == [2]


# Errors in prices.


BUCKETS = BucketParams.model_validate(world.PARAMS["buckets"])


def test_measure_says_errors_in_the_units_of_traders(group: Group) -> None:
    """A price that is off by half a point at every strike is off by half a point."""
    rows = group.scoring.merge(group.facts, on=KEYS, validate="one_to_one")
    predictions = rows[[*KEYS, "y_true"]].assign(y_pred=rows["y_true"] + 0.5 / rows["strike"])
    found, by_bucket = measure(predictions, group.facts, BUCKETS)
    assert found["mae_price"] == pytest.approx(0.5)
    assert found["rmse_price"] == pytest.approx(0.5)
    assert found["mape"] == pytest.approx((0.5 / rows["mid"]).mean())
    assert found == json.loads(json.dumps(found, allow_nan=False))
    table = rows.assign(predicted=rows["mid"] + 0.5).rename(columns={"date": "quote_date"})
    assert by_bucket.shape == measure_option_errors(table, BUCKETS.settings()).by_bucket.shape


def test_measure_says_how_much_one_date_and_one_expiration_have(group: Group) -> None:
    """Of the squares of errors over strikes: one of 3 and two of 1 make nine elevenths."""
    rows = group.scoring.merge(group.facts, on=KEYS, validate="one_to_one")
    ends = rows["expiration"]
    first, second = ends.unique()[:2]
    days = rows["date"].unique()
    assert len(days) >= 4
    assert len(rows) > 4
    one = rows.index[(ends == first)][0]
    others = rows.index[(ends == second) & (rows["date"] != rows.loc[one, "date"])]
    two, three = others[0], others[-1]
    assert rows.loc[two, "date"] != rows.loc[three, "date"]
    error = pd.Series(0.0, index=rows.index)
    error[[one, two, three]] = 3e-4, 1e-4, -1e-4
    predictions = rows[[*KEYS, "y_true"]].assign(y_pred=rows["y_true"] + error)
    found, _ = measure(predictions, group.facts, BUCKETS)
    assert found["worst_date_share"] == pytest.approx(9 / 11)
    assert found["worst_expiration_share"] == pytest.approx(9 / 11)
    # Both of the small ones are of one expiration, and of two dates.
    error[one] = 1e-4
    found, _ = measure(predictions.assign(y_pred=rows["y_true"] + error), group.facts, BUCKETS)
    assert found["worst_date_share"] == pytest.approx(1 / 3)
    assert found["worst_expiration_share"] == pytest.approx(2 / 3)


def test_measure_of_exact_prices_has_no_errors(group: Group) -> None:
    """And of a cell without predictions nothing at all."""
    predictions = group.scoring[[*KEYS, "y_true"]].assign(y_pred=group.scoring["y_true"])
    found, _ = measure(predictions, group.facts, BUCKETS)
    assert found["mae_price"] == pytest.approx(0.0, abs=1e-9)
    assert found["within_spread"] == 1.0
    assert (found["worst_date_share"], found["worst_expiration_share"]) == (None, None)
    assert found["mae_vol_points"] == pytest.approx(0.0, abs=1e-6)
    nothing, no_buckets = measure(predictions.head(0), group.facts, BUCKETS)
    assert (nothing, len(no_buckets)) == ({}, 0)


# The comparison.


@dataclass(frozen=True)
class Compared:
    """What the comparison of some cells says."""

    table: pd.DataFrame
    verdict: dict[str, Any]
    findings: dict[str, Any]
    incidents: list[incidents.Incident]


def compare(
    group: Group,
    monkeypatch: pytest.MonkeyPatch,
    audit: dict[str, Any],
    models: tuple[str, ...] = ("ridge", "gru"),
) -> Compared:
    """Compare a ridge, a network that is not installed, and two baselines."""
    monkeypatch.setattr(recurrent, "find_spec", lambda name: None)
    collector = incidents.collect()
    boards, dailies = [], []
    for scenario, names in (
        ("options_baseline", ("surface_by_strike", "historical_vol")),
        ("surface_impute", models),
    ):
        outcomes, sums = [], []
        for name in names:
            cell = Cell("options", scenario, name)
            if scenario == "options_baseline":
                forecasts, scores = nodes.take_baseline(group.scoring, group.dates, cell)
            elif name == "gru":
                _, _, scores, forecasts, _ = group.fit_network()
            else:
                _, scores, forecasts = group.fit({**RIDGE, "residual": True})
            outcome, _, daily = group.conclude(cell, forecasts, scores)
            outcomes.append(outcome)
            sums.append(daily)
        if scenario == "options_baseline":
            boards.append(tables.tabulate_baselines(PASSED, *outcomes))
        else:
            boards.append(tables.tabulate({"rows_filled": 7}, audit, *outcomes))
        dailies.append(tables.gather(*sums))
    table, _, verdicts, _ = tables.compare(world.EVALUATION, None, *boards, *dailies)
    said = findings.summarise(
        table,
        json.loads(json.dumps(verdicts, allow_nan=False)),
        {"study": "options", "as_of": world.AS_OF, "tables": {}},
        {},
        {"data_hash": "d" * 16},
        {"params_hash": "b" * 16, "code_hash": "c" * 16},
        REPORT,
    )
    said = json.loads(json.dumps(said, allow_nan=False))
    return Compared(table, verdicts["group"], said, collector.found)


def test_compare_network_that_is_not_installed_fails_nothing(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands last, has no numbers, is told of once, and is no failure."""
    found = compare(group, monkeypatch, PASSED)
    row = found.table.set_index("cell").loc["surface_impute.gru"]
    assert found.table["cell"].iloc[-1] == "surface_impute.gru"
    assert row["status"] == "not installed"
    assert np.isnan(row["rmse"])
    assert not row["in_confidence_set"]
    assert (found.verdict["n_cells"], found.verdict["n_models"], found.verdict["n_tried"]) == (
        3,
        1,
        2,
    )
    assert found.verdict["best_model"] == "surface_impute.ridge"
    assert found.verdict["best_baseline"] == "options_baseline.surface_by_strike"
    assert found.findings["n_failed"] == 0
    told = [one for one in found.findings["suspicions"] if "gru" in one]
    assert told == [
        "surface_impute.gru not installed: keras, jax, h5py is missing; install the extra 'deep'."
    ]
    rows = {one["cell"]: one for one in found.findings["groups"][0]["rows"]}
    assert [rows[f"surface_impute.{name}"]["is_done"] for name in ("ridge", "gru")] == [True, False]
    assert found.findings["answers"][0]["word"] in ("Yes", "No")
    assert found.findings["groups"][0]["best"][0]["cell"] == "surface_impute.ridge"
    assert found.incidents == []


def test_compare_group_of_networks_alone_has_no_answer(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it could be fitted; baselines are ranked all the same."""
    found = compare(group, monkeypatch, PASSED, models=("gru",))
    assert found.findings["answers"][0]["word"] == "None"
    assert found.verdict["best_model"] is None
    assert found.verdict["n_cells"] == 2
    assert found.findings["groups"][0]["without_best"] == ["surface_impute"]


def test_compare_circular_audit_is_an_answer_of_its_own(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Circular, whatever the numbers; no leak, so that the gate lets it pass."""
    audit = {**PASSED, "features": ["implied_vol"], "circular": CIRCULAR}
    found = compare(group, monkeypatch, audit)
    assert set(found.table["audit"]) == {tables.AUDIT_PASSED, tables.AUDIT_CIRCULAR}
    (answer,) = found.findings["answers"]
    assert answer["word"] == "Circular"
    assert (answer["best"], answer["baseline"], answer["p_value"]) == (None, None, None)
    assert found.findings["groups"][0]["is_circular"]
    assert found.findings["leaks"] == []
    assert any("is circular by design" in one for one in found.findings["suspicions"])
    assert not any("audit failed" in one for one in found.findings["suspicions"])
    assert found.incidents == []
    certificate = documents.certify(found.findings, "")
    assert certificate["passed"]
    documents.gate(certificate)


def test_compare_leak_makes_the_answer_void(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no declaration is a leak: the gate stands on it."""
    audit = {"passed": False, "findings": ["feature own_vol changes with the future (9 values)"]}
    found = compare(group, monkeypatch, audit)
    assert found.findings["answers"][0]["word"] == "Void"
    assert found.findings["leaks"] == [f"surface_impute: {audit['findings'][0]}"]
    assert not found.findings["groups"][0]["is_circular"]
    with pytest.raises(LeakageFound, match="own_vol changes with the future"):
        documents.gate(documents.certify(found.findings, ""))
