"""Groups of one study are each compared by their own score, dates and horizon, and told apart."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tidemark import incidents
from tidemark.config import Cell
from tidemark.domain.comparison import diebold_mariano
from tidemark.domain.multiple_comparison import confidence_set
from tidemark.domain.scores import LOG_SCORE
from tidemark.errors import ModelError
from tidemark.pipelines.modelling import nodes
from tidemark.pipelines.reporting import figures, tables

pytestmark = pytest.mark.filterwarnings("ignore:Liblinear failed to converge")

PASSED: dict[str, Any] = {"passed": True, "findings": [], "features": []}
PLAN = {
    "method": "stationary",
    "block_length": 3.0,
    "block_length_rule": "given",
    "n_dates": 60,
    "n_replicates": 200,
    "interval": "bca",
    "level": 0.95,
    "seed": 11,
    "horizon_days": 1,
}
DATES = {
    "train_end": "1990-12-01",
    "test_start": "1991-01-01",
    "test_end": "1995-12-01",
    "window_sessions": None,
    "n_folds": 0,
    "n_refits": 5,
}
BASELINES = ("single", "rolling")
Gains = Mapping[str, float | None]
GAINS: dict[str, float | None] = {"single": 0.0, "rolling": -0.05, "zscore": 0.01, "markov": 0.3}
Write = Callable[..., Any]


def run_densities(group: str, gains: Gains = GAINS, **plan: Any) -> list[Any]:
    """Let the cells of one group give densities of 60 months; a gain of None fails the cell.

    The scenario is called as its group is. Every cell scores 2 nats an observation, its gain, and
    noise of its own, of mean zero.
    """
    return [_run_density(group, model, gain, {**PLAN, **plan}) for model, gain in gains.items()]


def _run_density(group: str, model: str, gain: float | None, plan: dict[str, Any]) -> Any:
    cell, months = (
        Cell("cross_asset", group, model),
        pd.date_range("1991-01-01", periods=60, freq="MS"),
    )
    single = 2.0 + 0.2 * np.random.default_rng(0).normal(size=60)
    noise = 0.1 * np.random.default_rng([*map(ord, model)]).normal(size=60)
    noise = (noise - noise.mean()) * (model != "single")
    scores = single + (gain or 0.0) + noise
    rows = 0 if gain is None else 60
    means = {"log_score": float(scores.mean()), "log_score_gain": float((scores - single).mean())}
    predictions = pd.DataFrame({"date": months, "y_true": single, "log_score": scores}).head(rows)
    daily = pd.DataFrame(
        {"date": months, "cell": cell.namespace, "n": 1.0, "neg_log_score": -scores}
    )
    is_baseline = model in BASELINES
    bootstrap = {
        **plan,
        "score": "log_score",
        "dates": DATES,
        "absent_rows": 60 - rows,
        "intervals": {
            name: {"low": mean - 0.02, "high": mean + 0.02} for name, mean in means.items() if rows
        },
    }
    about = {
        "estimator": "baseline" if is_baseline else model,
        "status": "ok",
        "note": "-",
        "trials": [],
        "used": f"a {model} density",
        "best_params": {},
        "rmse_mean": None,
        "refits": [] if is_baseline else [{}] * 5,
        "split_id": "12e4",
        "train_rows": 400,
    }
    pictures = [] if is_baseline else [b"\x89PNG\r\n\x1a\n"] * len(LOG_SCORE.cell_figures)
    outcome = nodes.conclude(
        means if rows else {}, bootstrap, about, predictions, group, cell, *pictures
    )
    outcome = json.loads(json.dumps(outcome, allow_nan=False))
    return Density(outcome, daily.head(rows), pictures)


class Density:
    """What the nodes of a cell that gives densities have made, as reports read it."""

    def __init__(self, outcome: dict[str, Any], daily: pd.DataFrame, pictures: list[bytes]) -> None:
        self.outcome, self.daily, self.figures = outcome, daily, pictures


def forecasts_of(study: Any) -> list[Any]:
    """Run two models in two scenarios, and the three baselines."""
    names = ("mean.linear", "median.ridge")
    return [*study.run_baselines(), *(study.run_cell(name) for name in names)]


def compare(reference: Any, cells: list[Any]) -> tuple[Any, ...]:
    """Compare cells, each scenario on a scoreboard of its own."""
    boards, dailies = [], []
    for scenario in dict.fromkeys(one.outcome["scenario"] for one in cells):
        own = [one for one in cells if one.outcome["scenario"] == scenario]
        boards.append(tables.tabulate({}, PASSED, *(one.outcome for one in own)))
        dailies.append(tables.gather(*(one.daily for one in own)))
    return tables.compare(reference.evaluation, 0.99, *boards, *dailies)


def test_conclude_density_names_its_score_and_loss() -> None:
    """The loss is minus the log score; figures are those of a density, none of a baseline."""
    single, markov = (one.outcome for one in run_densities("bond", {"single": 0.0, "markov": 0.3}))
    for outcome in (single, markov):
        assert outcome["score"] == "log_score"
        assert outcome["loss"] == -outcome["metrics"]["log_score"]
        assert outcome["resampling"] == PLAN
        assert outcome["dates"] == DATES
    assert single["scored_hash"] == markov["scored_hash"]
    assert (single["figures"], set(markov["figures"])) == ({}, set(LOG_SCORE.cell_figures))
    (failed,) = run_densities("bond", {"markov": None})
    assert (failed.outcome["status"], failed.outcome["loss"]) == ("failed", None)


def test_conclude_forecast_repeats_how_it_was_judged(study: Any) -> None:
    """The loss is the mean squared error, the plan that of the study's data."""
    outcome = study.run_cell("mean.linear").outcome
    assert (outcome["score"], outcome["loss"]) == ("squared_error", outcome["metrics"]["mse"])
    assert outcome["resampling"] == study.resampling
    assert outcome["dates"]["n_refits"] == len(study.dates["refits"])


def test_compare_density_group_ranks_by_log_scores(reference: Any) -> None:
    """The highest log score stands first; every test is of minus the log scores by date."""
    cells = run_densities("bond")
    table, comparisons, verdicts, _ = compare(reference, cells)
    verdict = verdicts["bond"]
    assert table["model"].tolist() == ["markov", "zscore", "single", "rolling"]
    assert table["loss"].is_monotonic_increasing
    assert (table["loss"] < 0.0).all()
    assert (verdict["best_model"], verdict["best_baseline"]) == ("bond.markov", "bond.single")
    assert (verdict["score"], verdict["beats_baseline"]) == ("log_score", True)
    assert verdict["confidence_set"] == ["bond.markov"]
    assert set(comparisons["test"]) == {"diebold_mariano"}
    assert table["cw_p"].isna().all()
    assert not table["alarm"].any()
    losses = {one.outcome["model"]: one.daily["neg_log_score"].to_numpy() for one in cells}
    expected = diebold_mariano(losses["markov"], losses["single"]).p_value
    assert table.set_index("model").loc["markov", "dm_p"] == pytest.approx(expected)


def test_compare_each_group_by_its_own_dates_draws_and_horizon(reference: Any, study: Any) -> None:
    """Two density groups and one of forecasts do not touch each other."""
    near, far = run_densities("bond"), run_densities("oil", horizon_days=9, seed=5)
    table, comparisons, verdicts, daily = compare(reference, [*near, *forecasts_of(study), *far])
    assert list(verdicts) == list(dict.fromkeys(table["group"])) == ["bond", "group", "oil"]
    assert len(daily) == 2 * 4 * 60 + 5 * 25
    lags = comparisons.groupby("group")["lags"].unique().to_dict()
    assert (lags["oil"], lags["bond"]) == ([8], [3])
    assert comparisons.groupby("group")["n_dates"].unique().to_dict() == {
        "bond": [60], "group": [25], "oil": [60],
    }  # fmt: skip
    for cells, group in ((near, "bond"), (far, "oil"), (forecasts_of(study), "group")):
        alone = compare(reference, cells)
        assert alone[2][group] == verdicts[group]
    wide = pd.DataFrame(
        {one.daily["cell"].iloc[0]: one.daily["neg_log_score"].to_numpy() for one in far}
    )
    expected = confidence_set(wide, 0.1, 3.0, 200, seed=5)["p_value"]
    found = table.set_index("cell")["confidence_p"]
    assert found[expected.index].to_dict() == pytest.approx(expected.to_dict())


@pytest.mark.parametrize(
    "change", [{"resampling": {**PLAN, "seed": 12}}, {"score": "squared_error"}]
)
def test_compare_group_that_was_not_judged_alike_is_refused(
    reference: Any, change: dict[str, Any]
) -> None:
    """Other draws or another score than those of the group's other cells are named."""
    cells = run_densities("bond")
    changed = {**cells[-1].outcome, **change}
    with pytest.raises(ModelError, match="not judged alike") as caught:
        compare(reference, [*cells[:-1], Density(changed, cells[-1].daily, [])])
    assert "markov" in str(caught.value)


def test_compare_without_a_bound_raises_no_alarm(study: Any, reference: Any) -> None:
    """What is persistent is forecast well, and nothing is suspicious about it."""
    cells = forecasts_of(study)
    board = tables.tabulate({}, PASSED, *(one.outcome for one in cells))
    collector = incidents.collect()
    table, _, verdicts, _ = tables.compare(
        reference.evaluation, None, board, tables.gather(*(one.daily for one in cells))
    )
    assert table["r2_oos_zero"].max() > 0.1
    assert (table["alarm"].any(), verdicts["group"]["alarms"]) == (False, [])
    assert collector.found == []


def test_compare_density_that_failed_stands_last(reference: Any) -> None:
    """It was tried; a group in which all have failed has no verdict and keeps its score."""
    table, _, verdicts, _ = compare(reference, run_densities("bond", {**GAINS, "markov": None}))
    assert table["model"].tolist()[-1] == "markov"
    assert (verdicts["bond"]["n_tried"], verdicts["bond"]["n_models"]) == (2, 1)
    failed = compare(reference, run_densities("bond", {"markov": None}))[2]["bond"]
    assert (failed["score"], failed["n_cells"], failed["best_model"]) == ("log_score", 0, None)


def test_draw_density_group_of_one_scenario_has_no_tiles(study: Any, reference: Any) -> None:
    """The other three figures are drawn, and so are those of the group of forecasts."""
    cells = [*run_densities("bond"), *forecasts_of(study)]
    table, comparisons, verdicts, daily = compare(reference, cells)
    collector = incidents.collect()
    facts = (table, daily, comparisons, verdicts, reference.params)
    assert [bool(one) for one in figures.draw(*facts, "bond")] == [True, False, True, True]
    assert [bool(one) for one in figures.draw(*facts, "group")] == [True] * 4
    assert collector.found == []


@pytest.mark.parametrize(
    ("gains", "drawn"),
    [
        ({"single": 0.0}, [True, False, False, False]),
        ({"single": 0.0, "markov": None}, [True, False, False, False]),
        ({"rolling": 0.0, "markov": 0.1}, [True, False, False, True]),
        ({"markov": None}, [False] * 4),
    ],
)
def test_draw_density_group_draws_what_makes_sense(
    reference: Any, gains: Gains, drawn: list[bool]
) -> None:
    """No gain without the single regime, none of it alone, no difference without a model."""
    table, comparisons, verdicts, daily = compare(reference, run_densities("bond", gains))
    collector = incidents.collect()
    found = figures.draw(table, daily, comparisons, verdicts, reference.params, "bond")
    assert [bool(one) for one in found] == drawn
    assert collector.found == []


@pytest.fixture
def report(study: Any, write_report: Write) -> Any:
    """Report a group of forecasts and two of densities, one of which found nothing."""
    dull = {**GAINS, "markov": -0.2, "zscore": -0.01}
    cells = [*run_densities("bond"), *forecasts_of(study), *run_densities("oil", dull)]
    return write_report(cells)


def test_summarise_density_that_beats_the_baseline_says_it_in_nats(report: Any) -> None:
    """The answer speaks of distributions and of what the model gains over a single regime."""
    bond, forecast, oil = report.findings["answers"]
    assert [one["group"] for one in (bond, forecast, oil)] == ["bond", "group", "oil"]
    gain, low, high = (bond["best"][f"log_score_gain{end}"] for end in ("", "_low", "_high"))
    assert bond["word"] == "Yes"
    assert bond["text"] == (
        "bond.markov forecasts the distribution of the next observation better than the best "
        "baseline, bond.single (Hansen's test of superior predictive ability, counting all 2 "
        "models that were tried: p < 0.001). Its gain in log score over a single regime is "
        f"{gain:.4f} nats an observation [{low:.4f}, {high:.4f}]."
    )
    assert oil["word"] == "No"
    assert "No model was shown to forecast the distribution of the next observation" in oil["text"]
    assert "The highest log score of a model is that of oil.zscore" in oil["text"]
    assert "out-of-sample R2 against a forecast of zero" in forecast["text"]
    assert "log score" not in forecast["text"]


def test_reports_say_what_densities_are_of(study: Any, reference: Any, write_report: Write) -> None:
    """The study's words stand in the answer, over the table and in the memo."""
    words = "the one given the other (of one day)"
    params = reference.params.model_copy(update={"density": words})
    report = write_report([*run_densities("bond"), *forecasts_of(study)], params=params)
    bond, forecast = (one["text"] for one in report.findings["answers"])
    assert bond.startswith(f"bond.markov forecasts the distribution of {words} better than the ")
    assert words not in forecast
    assert f"Every cell forecasts the distribution of {words}." in report.pages["summary"]
    assert f"What is judged is the density of {words}.\n" in report.pages["memo"]
    for text in report.pages.values():
        assert "next observation" not in text


def test_summarise_groups_quote_their_own_dates_and_draws(report: Any, study: Any) -> None:
    """What was scored, when, and how it was resampled differ from group to group."""
    bond, forecast, _ = report.findings["groups"]
    assert (bond["resampling"], bond["dates"], bond["split_id"]) == (PLAN, DATES, "12e4")
    assert bond["scored"] == {"rows": 60, "dates": 60}
    assert forecast["resampling"] == study.resampling
    assert forecast["scored"] == {"rows": 100, "dates": 25}
    remarks = [one for one in report.findings["suspicions"] if "blocks of dates" in one]
    assert [re.findall(r"group (\w+)", one) for one in remarks] == [["bond"], ["group"], ["oil"]]
    assert bond["metrics"] == ["log_score", "log_score_gain"]  # no density told a direction
    assert (report.findings["n_cells"], report.findings["n_models"]) == (13, 6)


def test_reports_show_each_group_with_the_columns_of_its_score(report: Any) -> None:
    """Tables stand under their group; no page holds an empty value or speaks of the wrong score."""
    summary = report.pages["summary"]
    heads = [line for line in summary.splitlines() if line.startswith("| cell")]
    assert ["log score (nats)" in head for head in heads] == [True, False, True]
    assert "R2 against zero (%)" in heads[1]
    places = [summary.index(f"## Group {name}\n") for name in ("bond", "group", "oil")]
    assert places == sorted(places)
    assert "| bond.single (baseline) | " in summary[places[0] : places[1]]
    assert "figures/returns/bond/comparison.png" in summary
    assert "figures/returns/bond/heat_map.png" not in summary
    assert "heat_map could not be drawn" not in summary
    assert "### Best model of each scenario, by log score\n" in summary
    for text in report.pages.values():
        assert "None" not in text
        assert "nan" not in text
        assert "\n\n\n" not in text
    memo = report.pages["memo"]
    bond = memo[memo.index("### Group bond") : memo.index("### Group group")]
    assert "training to 1990-12-01, test from 1991-01-01 to 1995-12-01, 60 to score" in bond
    assert "fitted 5 times" in bond
    assert "walk-forward folds" not in bond
    assert "Clark-West" not in memo  # the best baseline is not nested in a regression
    assert "| bond.markov | a markov density | - | 5 |" in memo
    links = "[regime history](../../../figures/bond/markov/regime_history.png)"
    assert links in memo
    assert (
        "![Regime history](../../../figures/bond/markov/regime_history.png)"
        in (report.pages["communication"])
    )
    assert "of group bond, bond.markov, has a log score of" in report.pages["communication"]
    assert "Highest log score of a model of group oil: oil.zscore" in report.pages["reflection"]


def test_page_shows_every_group(report: Any) -> None:
    """Each group has its answer, its figure, its table and its tests."""
    for name in ("bond", "group", "oil"):
        assert f"<h3>Group {name}</h3>" in report.page
        assert f"Every cell of group {name} on the same" in report.page
        assert f"baseline of group <code>{name}</code>" in report.page
    assert report.page.count("<th>gain over a single regime (nats)</th>") == 2
    assert "Group bond: training to 1990-12-01" in report.page
    assert not re.search(r">(None|nan)\b(?! No)", report.page)


def test_album_of_densities_names_figures_as_outcomes_do(report: Any) -> None:
    """A baseline has no figure, a fitted cell three, each with its words."""
    bond = report.albums[0]
    assert bond.count("<details>") == 4
    assert bond.count("<img") == 2 * 3
    assert 'alt="Stress calendar of bond.markov"' in bond


@pytest.mark.parametrize(
    "change",
    [{"headline": "r2"}, {"shown_metrics": ["rmsse"]}, {"shown_metrics": []}, {"density": None}],
)
def test_report_parameters_of_what_is_shown_are_names_that_exist(
    reference: Any, change: dict[str, Any]
) -> None:
    """A headline has a benchmark, a column is a metric, and a table has at least one."""
    given = reference.params.model_dump()
    with pytest.raises(ValidationError, match=next(iter(change))):
        type(reference.params).model_validate({**given, **change})
    assert given["headline"] == "r2_oos_zero"


def test_report_parameters_bound_of_the_alarm_is_a_share_or_nothing(reference: Any) -> None:
    """Zero would raise it always; none raises it never."""
    given = reference.params.model_dump()
    kind = type(reference.params)
    assert kind.model_validate({**given, "too_good_r2": None}).too_good_r2 is None
    with pytest.raises(ValidationError, match="too_good_r2"):
        kind.model_validate({**given, "too_good_r2": 0})
    del given["too_good_r2"]
    with pytest.raises(ValidationError, match="too_good_r2"):
        kind.model_validate(given)
