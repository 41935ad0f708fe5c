"""Reports are made whatever happened to the cells, and say what it was."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro_datasets.pandas import CSVDataset

from tidemark import incidents
from tidemark.errors import ModelError
from tidemark.pipelines.drawing import MISSING
from tidemark.pipelines.reporting import nodes
from tidemark.pipelines.reporting.params import ReportParams

TEMPLATES = Path(__file__).parents[2] / "src/tidemark/pipelines/reporting/templates"
PARAMS = ReportParams(
    title="Returns", question="Which?", unit="fraction", sample_note="Small.", rank_by="rmse"
)
TREATMENT = {"cells": 400, "missing_rate_before": 0.0}
CHECKED = {"rows": 400, "rows_quarantined": {}, "findings": []}
VALIDATION = {"study": "returns", "as_of": "2019-01-03", "tables": {"prices": CHECKED}}
PROFILE = {
    "names": 4,
    "sessions": 100,
    "first": "2018-01-01",
    "last": "2018-05-18",
    "rows": 400,
    "started_late": [],
    "ended_early": [],
    "missing_cells": 0,
    "missing_share": 0.0,
    "blank_cells": {},
}
NO_MODEL = "svr did not converge; no simpler model is left"
FAILED_ROW = "| failed | failed | failed | failed | - |"
Store = Callable[[pd.DataFrame], pd.DataFrame]

pytestmark = pytest.mark.filterwarnings("ignore:Liblinear failed to converge")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return what the catalog gives back of a table that was stored as CSV."""

    def store_table(table: pd.DataFrame) -> pd.DataFrame:
        dtypes = {"split_id": "str", "scored_hash": "str"}
        place = str(tmp_path / "table.csv")
        dataset = CSVDataset(
            filepath=place, load_args={"dtype": dtypes}, save_args={"index": False}
        )
        dataset.save(table)
        read: pd.DataFrame = dataset.load()
        return read

    return store_table


def boards_of(store: Store, **outcomes: list[dict[str, Any]]) -> list[pd.DataFrame]:
    """Tabulate the outcomes of each scenario, stored and read back."""
    return [store(nodes.tabulate(TREATMENT, *some)) for some in outcomes.values()]


def write_reports(table: pd.DataFrame, comparison: bytes) -> dict[str, str]:
    """Write the four reports from the project's own templates."""
    paths = TEMPLATES.glob("*.md.j2")
    templates = {path.name.removesuffix(".md.j2"): partial(path.read_text) for path in paths}
    words = nodes.report(table, comparison, VALIDATION, PROFILE, templates, "Noted.", PARAMS)
    return dict(zip(("summary", "communication", "memo", "reflection"), words, strict=True))


def test_reports_of_a_mixed_study_say_what_happened(study: Any, store: Store) -> None:
    """One usual cell, one with a stand-in, one without three figures and one that failed."""
    usual = study.run_cell("mean.linear").outcome
    replaced = study.run_cell("mean.svr").outcome
    bare = study.run_cell("median.ridge", is_spoilt=True).outcome
    failed = study.run_cell("median.svr", simpler={}).outcome

    boards = boards_of(store, mean=[usual, replaced], median=[failed, bare])
    table = store(nodes.compare(PARAMS, *boards))
    comparison = nodes.draw_comparison(table, PARAMS)
    reports = write_reports(table, comparison)

    assert list(zip(table["scenario"], table["model"], table["status"], strict=True)) == [
        ("mean", "svr", "fallback"),
        ("median", "ridge", "ok"),
        ("mean", "linear", "ok"),
        ("median", "svr", "failed"),
    ]
    assert table["note"].tolist() == ["ridge stood in: svr did not converge", "-", "-", NO_MODEL]
    assert table["rmse"].isna().tolist() == [False, False, False, True]
    assert comparison.startswith(b"\x89PNG")

    summary, memo = reports["summary"], reports["memo"]
    assert "scored on the same 100 rows of 25 test dates" in summary
    assert "| mean | linear | 0." in summary
    assert "| mean | svr * | 0." in summary
    assert f"| median | svr {FAILED_ROW}\n" in summary
    assert "| mean.svr * | 0.0" in memo
    assert "| mean.svr * | ridge regression | alpha=1.0 |" in memo
    assert "| median.svr | failed | failed | failed | failed | failed |" in memo
    assert "| median.svr | failed | - |" in memo
    for name in ("summary", "memo", "communication"):
        assert "\n\n\\* mean.svr: ridge stood in: svr did not converge.\n\n" in reports[name]
        assert f"\n\nmedian.svr failed: {NO_MODEL}.\n\n" in reports[name]
        assert (
            "\n\nFigures predicted_vs_true, hexbin, residuals_vs_predicted of median.ridge could "
            "not be drawn.\n\n"
        ) in reports[name]
    assert (
        "- Cells compared: 3, in 2 scenarios.\n- Cells that failed: 1 of 4.\n"
        in (reports["reflection"])
    )


def test_reports_link_only_figures_that_exist(study: Any, store: Store) -> None:
    """Where a figure of the best cell is missing, words stand in the place of its link."""
    bare = study.run_cell("median.ridge", is_spoilt=True).outcome
    table = store(nodes.compare(PARAMS, *boards_of(store, median=[bare])))
    reports = write_reports(table, MISSING)
    assert "![Predicted against true]" not in reports["communication"]
    assert (
        "The figure predicted_vs_true could not be drawn.\n![Residuals]("
        in (reports["communication"])
    )
    assert (
        "- median.ridge: the figure residuals_vs_predicted could not be drawn, the figure hexbin "
        "could not be drawn\n"
    ) in reports["memo"]
    for name in ("summary", "communication"):
        assert "The figure of every cell with its interval could not be drawn.\n" in reports[name]
        assert "comparison.png" not in reports[name]


def test_reports_of_a_usual_study_have_no_marks(study: Any, store: Store) -> None:
    """Where nothing happened, nothing is said of it."""
    usual = study.run_cell("mean.linear").outcome
    table = store(nodes.compare(PARAMS, *boards_of(store, mean=[usual])))
    for text in write_reports(table, b"png").values():
        assert "*" not in text.replace("**", "")
        assert "fail" not in text
        assert "could not" not in text
        assert "\n\n\n" not in text


def test_reports_scenario_without_any_model_has_no_best(study: Any, store: Store) -> None:
    """The other scenario's best cell is told, and that this one has none."""
    usual = study.run_cell("mean.linear").outcome
    failed = study.run_cell("median.svr", simpler={}).outcome
    table = store(nodes.compare(PARAMS, *boards_of(store, mean=[usual], median=[failed])))
    reports = write_reports(table, nodes.draw_comparison(table, PARAMS))
    assert "- **mean**: linear, RMSE 0." in reports["summary"]
    assert "- **median**: none, every cell has failed\n" in reports["summary"]
    assert "### mean: linear\n" in reports["communication"]
    assert "### median: none\n\nEvery cell has failed.\n" in reports["communication"]
    assert " 1 of 1 cells forecast better than" in reports["communication"]


def test_reports_of_a_study_that_failed_whole_are_made(study: Any, store: Store) -> None:
    """Without one model there is no comparison, no best cell and no incident of its own."""
    failed = [study.run_cell(f"{name}.svr", simpler={}).outcome for name in ("mean", "median")]
    boards = boards_of(store, mean=failed[:1], median=failed[1:])
    table = store(nodes.compare(PARAMS, *boards))
    collector = incidents.collect()
    comparison = nodes.draw_comparison(table, PARAMS)
    reports = write_reports(table, comparison)
    assert comparison == MISSING
    assert collector.found == []
    assert "Every cell has failed, so there is nothing to compare." in reports["summary"]
    assert "There is none: every one of the 2 cells has failed." in reports["communication"]
    assert "296 rows to train.\n" in reports["memo"]
    assert (
        "- Cells compared: 0, in 0 scenarios.\n- Cells that failed: 2 of 2.\n- Cells whose"
        in (reports["reflection"])
    )
    for text in reports.values():
        assert "nan" not in text
        assert ".png" not in text


def test_draw_comparison_that_fails_twice_is_missing(study: Any, store: Store) -> None:
    """Labels that Matplotlib takes for a broken formula leave a mark in the figure's place."""
    usual = study.run_cell("mean.linear").outcome
    table = nodes.compare(PARAMS, *boards_of(store, mean=[usual]))
    collector = incidents.collect()
    comparison = nodes.draw_comparison(table.assign(scenario=r"$\frac{$"), PARAMS)
    assert comparison == MISSING
    assert [(one.kind, one.facts["figure"]) for one in collector.found] == [
        ("missing", "comparison")
    ]


def test_compare_failed_cells_are_last_and_not_held_to_the_same_rows(
    study: Any, store: Store
) -> None:
    """A cell without predictions may stand beside others; two that differ may still not."""
    usual = study.run_cell("mean.linear").outcome
    failed = study.run_cell("median.svr", simpler={}).outcome
    assert failed["scored_hash"] != usual["scored_hash"]
    table = nodes.compare(PARAMS, *boards_of(store, median=[failed], mean=[usual]))
    assert table["status"].tolist() == ["ok", "failed"]
    other = {**usual, "scenario": "median", "scored_hash": "0123456789abcdef"}
    with pytest.raises(ModelError, match="not scored on the same rows"):
        nodes.compare(PARAMS, *boards_of(store, mean=[usual], median=[other]))


@pytest.mark.parametrize("digest", ["1234567890123456", "12345678e1234567", "0123456789012345"])
def test_table_hash_that_looks_like_a_number_survives_the_file(
    study: Any, store: Store, digest: str
) -> None:
    """Hashes are read back as text, so that a failed cell beside them changes none."""
    usual = {**study.run_cell("mean.linear").outcome, "scored_hash": digest}
    assert store(nodes.tabulate(TREATMENT, usual))["scored_hash"].tolist() == [digest]
