"""All cells are compared on the same rows, and every try is counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from tidemark import incidents
from tidemark.domain.comparison import diebold_mariano
from tidemark.domain.multiple_comparison import superior_predictive_ability
from tidemark.errors import ModelError
from tidemark.pipelines.reporting import figures, tables

pytestmark = pytest.mark.filterwarnings("ignore:Liblinear failed to converge")

PASSED = {"passed": True, "findings": []}
NAMES = ("mean.linear", "mean.ridge", "median.ridge")
BASELINES = {"baseline.zero", "baseline.trailing_mean", "baseline.last_value"}


def cells_of(study: Any) -> list[Any]:
    """Run three models and the three baselines."""
    return [*study.run_baselines(), *(study.run_cell(name) for name in NAMES)]


def compare(
    reference: Any, cells: Sequence[Any], too_good_r2: float | None = 0.99
) -> tuple[Any, ...]:
    """Compare cells scenario by scenario, in the order in which they are given."""
    boards, dailies = [], []
    for scenario in dict.fromkeys(one.outcome["scenario"] for one in cells):
        own = [one for one in cells if one.outcome["scenario"] == scenario]
        boards.append(tables.tabulate_baselines(PASSED, *(one.outcome for one in own)))
        dailies.append(tables.gather(*(one.daily for one in own)))
    return tables.compare(reference.evaluation, too_good_r2, *boards, *dailies)


def test_compare_planted_signal_beats_every_baseline(study: Any, reference: Any) -> None:
    """The models are best, the best baseline is named, and so is what the tests say."""
    cells = cells_of(study)  # whose nodes collect what is theirs
    collector = incidents.collect()
    table, comparisons, verdicts, daily = compare(reference, cells)
    verdict = verdicts["group"]

    assert verdicts == json.loads(json.dumps(verdicts, allow_nan=False))
    assert set(table["cell"][:3]) == set(NAMES)
    assert table["rmse"].is_monotonic_increasing
    assert (verdict["n_cells"], verdict["n_models"], verdict["n_tried"]) == (6, 3, 3)
    by_name = table.set_index("cell")
    assert verdict["best_model"] == table["cell"][0]
    assert verdict["best_baseline"] == by_name.loc[list(BASELINES), "mse"].idxmin()
    assert (verdict["p_value"], verdict["beats_baseline"]) == (0.0, True)
    assert set(verdict["superior_predictive_ability"]) == BASELINES
    assert set(verdict["confidence_set"]) <= set(NAMES)
    assert set(by_name.index[by_name["in_confidence_set"]]) == set(verdict["confidence_set"])
    assert (by_name.loc[list(NAMES), "dm_p"] < 0.001).all()
    assert verdict["best_baseline"] == "baseline.trailing_mean"  # not nested in a regression
    assert table["cw_p"].isna().all()
    assert len(daily) == 6 * 25
    assert collector.found == []

    pairs = comparisons.groupby("test").size()
    assert pairs.to_dict() == {"diebold_mariano": 6 * 5 // 2, "clark_west": 3}
    nested = comparisons[comparisons["test"] == "clark_west"]
    assert set(nested["against"]) == {"baseline.zero"}
    assert (nested["p_value"] < 0.001).all()
    same = comparisons[comparisons["test"] == "diebold_mariano"]
    assert (same["mean_difference"].dropna() >= 0).all()  # a pair stands under the better one


def test_compare_figures_are_those_of_the_losses_by_date(study: Any, reference: Any) -> None:
    """A pair's test and the test of the grid are computed again from the predictions."""
    _, comparisons, verdicts, _ = compare(reference, cells_of(study))

    def loss(run: Any) -> pd.Series:
        error = (run.predictions["y_true"] - run.predictions["y_pred"]) ** 2
        return error.groupby(run.predictions["date"]).mean()

    zero, linear = (loss(study.run_cell(name)) for name in ("baseline.zero", "mean.linear"))
    expected = diebold_mariano(linear.to_numpy(), zero.to_numpy())
    (found,) = comparisons[
        (comparisons["cell"] == "mean.linear")
        & (comparisons["against"] == "baseline.zero")
        & (comparisons["test"] == "diebold_mariano")
    ].to_dict(orient="records")
    for name, value in vars(expected).items():
        assert found[name] == pytest.approx(value)

    models = pd.DataFrame({name: loss(study.run_cell(name)) for name in NAMES})
    plan = study.resampling
    ability = superior_predictive_ability(
        models, zero, plan["block_length"], plan["n_replicates"], plan["seed"]
    )
    told = verdicts["group"]["superior_predictive_ability"]["baseline.zero"]
    assert told == pytest.approx(vars(ability))


def test_compare_noise_beats_no_baseline(noise: Any, reference: Any) -> None:
    """Where there is nothing to be found, the answer is no, and all are as good as the best."""
    table, _, verdicts, _ = compare(reference, cells_of(noise))
    verdict = verdicts["group"]
    assert verdict["p_value"] > 0.1
    assert verdict["beats_baseline"] is False
    assert verdict["best_baseline"] in set(verdict["confidence_set"])
    assert set(NAMES) & set(verdict["confidence_set"])
    assert not table["alarm"].any()


def test_compare_order_of_scoreboards_does_not_matter(study: Any, reference: Any) -> None:
    """Scenarios and models in another order give the same tables and verdicts, bit by bit."""
    cells = cells_of(study)
    rng = np.random.default_rng(2)
    first = compare(reference, cells)
    for _ in range(3):
        order = [cells[position] for position in rng.permutation(len(cells))]
        again = compare(reference, order)
        assert_frame_equal(again[0], first[0], check_exact=True)
        assert_frame_equal(again[1], first[1], check_exact=True)
        assert again[2] == first[2]


def test_compare_cells_on_other_rows_are_refused(study: Any, reference: Any) -> None:
    """Two cells of one group whose rows differ are named, with how many each has."""
    cells = cells_of(study)
    other = {**cells[-1].outcome, "scored_hash": "0123456789abcdef", "scored_rows": 99}
    board = tables.tabulate_baselines(PASSED, cells[0].outcome, other)
    dailies = tables.gather(cells[0].daily, cells[-1].daily)
    with pytest.raises(ModelError, match="not scored on the same rows") as caught:
        tables.compare(reference.evaluation, None, board, dailies)
    assert "0123456789abcdef" in str(caught.value)
    assert "99" in str(caught.value)

    apart = tables.tabulate_baselines(PASSED, cells[0].outcome, {**other, "group": "another"})
    verdicts = tables.compare(reference.evaluation, None, apart, dailies)[2]
    assert list(verdicts) == ["group", "another"]


def test_compare_result_too_good_to_be_true_raises_an_alarm(study: Any, reference: Any) -> None:
    """It is told once, by the best of the cells above the bound; the table marks all of them."""
    cells = cells_of(study)  # whose nodes collect what is theirs
    collector = incidents.collect()
    table, _, verdicts, _ = compare(reference, cells, too_good_r2=0.01)

    (told,) = collector.found
    assert told.kind == "alarm"
    best = table.loc[table["r2_oos_zero"].idxmax()]
    assert told.message.startswith(f"{best['cell']} and 2 more cells: ")
    assert f"{100 * best['r2_oos_zero']:.2f} %" in told.message
    assert "above 1 %" in told.message
    assert set(table.loc[table["alarm"], "cell"]) == set(NAMES)
    assert set(verdicts["group"]["alarms"]) == set(NAMES)


def test_compare_failed_cell_stands_last_and_is_not_compared(study: Any, reference: Any) -> None:
    """One cell that failed costs only itself: no test, no set, no alarm, no row of losses."""
    failed = study.run_cell("median.svr", simpler={})
    table, comparisons, verdicts, daily = compare(reference, [failed, *cells_of(study)])
    last = table.iloc[-1]

    assert (last["cell"], last["status"]) == ("median.svr", "failed")
    assert np.isnan(
        last[["rmse", "rmse_low", "dm_p", "cw_p", "confidence_p"]].to_numpy(float)
    ).all()
    assert not last["in_confidence_set"]
    assert not last["alarm"]
    assert "median.svr" not in {*comparisons["cell"], *comparisons["against"], *daily["cell"]}
    without = compare(reference, cells_of(study))[2]["group"]
    assert verdicts["group"] == {**without, "n_tried": 4}  # it was tried, and counts


def test_draw_takes_the_headline_that_the_study_names(
    study: Any, reference: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells, tiles and lines over time are of one metric."""
    table, comparisons, verdicts, daily = compare(reference, cells_of(study))
    asked: list[Any] = []
    for name in ("draw_forest", "draw_heat_map", "draw_cumulative_r2"):
        monkeypatch.setattr(figures, name, _note(asked, getattr(figures, name)))
    params = reference.params.model_copy(update={"headline": "r2_oos_mean"})
    drawn = figures.draw(table, daily, comparisons, verdicts, params, "group")
    assert all(drawn)
    assert asked == ["r2_oos_mean"] * 3


def _note(asked: list[Any], draw: Any) -> Any:
    def noted(*facts: Any) -> Any:
        asked.extend(getattr(one, "metric", one) for one in facts if _is_metric(one))
        return draw(*facts)

    return noted


def _is_metric(fact: Any) -> bool:
    return hasattr(fact, "metric") or (isinstance(fact, str) and fact.startswith("r2"))


def test_compare_baselines_alone_have_no_model_to_test(study: Any, reference: Any) -> None:
    """Without any model nothing is claimed, and what can be drawn is drawn."""
    table, comparisons, verdicts, daily = compare(reference, study.run_baselines())
    verdict = verdicts["group"]

    assert (verdict["n_models"], verdict["best_model"], verdict["p_value"]) == (0, None, None)
    assert verdict["beats_baseline"] is False
    assert verdict["superior_predictive_ability"] == {}
    assert set(comparisons["test"]) == {"diebold_mariano"}
    assert table["cw_p"].isna().all()
    collector = incidents.collect()
    drawn = figures.draw(table, daily, comparisons, verdicts, reference.params, "group")
    assert [bool(figure) for figure in drawn] == [True, False, True, False]
    assert collector.found == []  # a figure that has no meaning is no incident


def test_compare_models_alone_have_nothing_to_beat(study: Any, reference: Any) -> None:
    """Without a baseline in the group models are compared with each other."""
    cells = [study.run_cell(name) for name in NAMES]
    table, comparisons, verdicts, daily = compare(reference, cells)
    verdict = verdicts["group"]

    assert (verdict["best_baseline"], verdict["p_value"]) == (None, None)
    assert verdict["beats_baseline"] is False
    assert table[["dm_p", "cw_p"]].isna().all(axis=None)
    collector = incidents.collect()
    drawn = figures.draw(table, daily, comparisons, verdicts, reference.params, "group")
    assert [bool(figure) for figure in drawn] == [True, True, True, False]
    assert collector.found == []


def test_compare_nothing_but_failed_cells_has_no_verdict(study: Any, reference: Any) -> None:
    """The table lists them; there is nothing to draw."""
    failed = study.run_cell("mean.svr", simpler={})
    table, comparisons, verdicts, daily = compare(reference, [failed])
    assert (table["status"].tolist(), len(comparisons), len(daily)) == (["failed"], 0, 0)
    verdict = verdicts["group"]
    assert (verdict["n_cells"], verdict["n_models"], verdict["n_tried"]) == (0, 0, 1)
    assert (verdict["best_model"], verdict["p_value"], verdict["confidence_set"]) == (
        None,
        None,
        [],
    )
    assert verdict["beats_baseline"] is False
    done = compare(reference, cells_of(study))[2]["group"]
    assert verdict.keys() == done.keys()
    assert figures.draw(table, daily, comparisons, verdicts, reference.params, "group") == [b""] * 4


def test_draw_figures_of_a_study_are_four(study: Any, reference: Any) -> None:
    """With models and baselines every figure is drawn, each another."""
    table, comparisons, verdicts, daily = compare(reference, cells_of(study))
    drawn = figures.draw(table, daily, comparisons, verdicts, reference.params, "group")
    assert len(set(drawn)) == len(figures.GROUP_FIGURES) == 4
    assert all(figure.startswith(b"\x89PNG") for figure in drawn)


def test_draw_that_fails_twice_is_missing(
    study: Any, reference: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A figure that cannot be drawn leaves a mark in its place, and the others are drawn."""

    def fail(*_: Any) -> Any:
        raise RuntimeError("no more ink")

    monkeypatch.setattr(figures, "draw_heat_map", fail)
    table, comparisons, verdicts, daily = compare(reference, cells_of(study))
    collector = incidents.collect()
    drawn = figures.draw(table, daily, comparisons, verdicts, reference.params, "group")
    assert [bool(figure) for figure in drawn] == [True, False, True, True]
    assert [(one.kind, one.facts["figure"]) for one in collector.found] == [
        ("missing", "group.heat_map")
    ]


def test_draw_interval_of_the_difference_is_positive_where_the_model_is_better() -> None:
    """The interval is turned round for a pair that stands under the baseline."""
    facts = {"test": "diebold_mariano", "mean_difference": 3.0, "std_error": 1.0}
    for cell, against, sign in (("m", "b", 1.0), ("b", "m", -1.0)):
        pairs = pd.DataFrame([{**facts, "cell": cell, "against": against}])
        low, high = figures._difference(pairs, "m", "b")
        assert (low, high) == pytest.approx((sign * 3.0 - 1.96, sign * 3.0 + 1.96))
