"""Markdown reports are made whatever happened to the cells, and say what it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tidemark import incidents
from tidemark.pipelines.drawing import MISSING
from tidemark.pipelines.reporting import documents, tables
from tidemark.pipelines.reporting.figures import GROUP_FIGURES

PASSED = {"passed": True, "findings": []}

NO_MODEL = "svr did not converge; no simpler model is left"
FIGURES = "predicted_vs_true, hexbin, residuals_vs_predicted"
Write = Callable[..., Any]

pytestmark = pytest.mark.filterwarnings("ignore:Liblinear failed to converge")


def table_rows(text: str) -> dict[str, list[str]]:
    """Read the rows of a text's Markdown tables by their first cell."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[1:] for row in rows}


@pytest.fixture
def mixed(study: Any, write_report: Write) -> Any:
    """Report a usual cell, one with a stand-in, one without three figures, and one that failed."""
    cells = [
        study.run_cell("mean.linear"),
        study.run_cell("mean.svr"),
        study.run_cell("median.ridge", is_spoilt=True),
        study.run_cell("median.svr", simpler={}),
    ]
    return write_report([*study.run_baselines(), *cells])


def test_table_of_a_mixed_study_says_what_became_of_each_cell(mixed: Any) -> None:
    """Failed cells stand last, without numbers; notes tell why, and of what stood in."""
    told = mixed.table.set_index("cell")[["status", "note"]].to_dict(orient="index")
    stood_in = "ridge stood in: svr did not converge"
    assert told.pop("median.svr") == {"status": "failed", "note": NO_MODEL}
    assert told.pop("mean.svr") == {"status": "fallback", "note": stood_in}
    assert {tuple(one.values()) for one in told.values()} == {("ok", "-")}
    assert mixed.table["rmse"].isna().tolist() == [False] * 6 + [True]
    assert mixed.table["missing_figures"].ne("-").tolist().count(True) == 2


def test_reports_of_a_mixed_study_say_what_happened(mixed: Any) -> None:
    """Rows are marked, and each mark is explained under the table."""
    pages = mixed.pages
    assert "scored on the same 100 rows of 25 test dates" in pages["summary"]
    rows = table_rows(pages["summary"])
    assert rows["median.svr"] == ["failed"] * 7 + ["-", "-"]
    assert rows["mean.svr *"][0] == rows["median.ridge"][0]  # ridge stood in
    assert rows["mean.svr *"][0].startswith("0.2")  # in percent
    assert "baseline.zero (baseline)" in rows
    assert "| mean.svr * | ridge regression | alpha=1.0 | 3 |" in pages["memo"]
    assert "| median.svr | failed | - | 0 |" in pages["memo"]
    for name in ("summary", "memo", "communication"):
        assert "\n\n\\* mean.svr: ridge stood in: svr did not converge.\n\n" in pages[name]
        assert f"\n\nmedian.svr failed: {NO_MODEL}.\n\n" in pages[name]
        assert f"\n\nFigures {FIGURES} of median.ridge could not be drawn.\n\n" in pages[name]
    reflection = pages["reflection"]
    assert (
        "- Models compared: 3 of 4, in 2 scenarios.\n- Cells that failed: 1 of 7.\n" in reflection
    )
    assert "\n---\n\nNoted.\n\n---\n" in reflection


def test_reports_say_the_same_answer_and_what_made_them(mixed: Any) -> None:
    """Each text holds the answer, and the hashes by which its runs are found."""
    (answer,) = mixed.findings["answers"]
    for text in mixed.pages.values():
        assert answer["text"] in text
        for kind, digest in mixed.findings["made_by"].items():
            assert f'tags.`tidemark.{kind}` = "{digest}"' in text


def test_reports_link_only_figures_that_exist(study: Any, write_report: Write) -> None:
    """Where a figure of the best cell is missing, words stand in the place of its link."""
    bare = study.run_cell("median.ridge", is_spoilt=True)
    report = write_report([*study.run_baselines(), bare])
    missing = [MISSING] * len(GROUP_FIGURES)
    words = documents.write_markdown(report.findings, report.templates, "Noted.", *missing)
    summary, communication, memo, _ = words
    assert "![Predicted against true]" not in communication
    assert "The figure predicted_vs_true could not be drawn.\n![Residuals](" in communication
    assert (
        "- median.ridge: the figure residuals_vs_predicted could not be drawn, the figure hexbin "
        "could not be drawn\n"
    ) in memo
    assert "The figure of every cell with its interval could not be drawn.\n" in communication
    for name in GROUP_FIGURES:
        assert f"The figure {name} could not be drawn.\n" in summary
        assert f"{name}.png" not in summary + communication


def test_reports_show_every_figure_of_the_study(mixed: Any) -> None:
    """The summary links all four where the catalog stores them."""
    for name in GROUP_FIGURES:
        assert f"](../../../figures/returns/group/{name}.png)" in mixed.pages["summary"]


def test_reports_of_a_usual_study_have_no_marks(study: Any, write_report: Write) -> None:
    """Where nothing happened, nothing is said of it."""
    usual = study.run_cell("mean.linear")
    for text in write_report([*study.run_baselines(), usual]).pages.values():
        assert "*" not in text.replace("**", "")
        assert "fail" not in text
        assert "could not" not in text
        assert "\n\n\n" not in text
        assert "None" not in text


def test_reports_scenario_without_any_model_has_no_best(study: Any, write_report: Write) -> None:
    """The other scenario's best cell is told, and that this one has none."""
    usual = study.run_cell("mean.linear")
    failed = study.run_cell("median.svr", simpler={})
    pages = write_report([*study.run_baselines(), usual, failed]).pages
    assert "- **mean**: linear, RMSE 0." in pages["summary"]
    assert "- **median**: none, every cell has failed\n" in pages["summary"]
    assert "### mean: linear\n" in pages["communication"]
    assert "### median: none\n\nEvery cell has failed.\n" in pages["communication"]


def test_reports_of_a_study_that_failed_whole_are_made(study: Any, write_report: Write) -> None:
    """Without one model there is no comparison, no best cell and no incident of its own."""
    failed = [study.run_cell(f"{name}.svr", simpler={}) for name in ("mean", "median")]
    collector = incidents.collect()
    report = write_report(failed, is_drawn=True)
    pages = report.pages
    assert report.figures == [MISSING] * 4
    assert (report.incidents, collector.found) == ([], [])
    assert "Every cell has failed, so there is nothing to compare." in pages["summary"]
    assert (
        "- Models compared: 0 of 2, in 0 scenarios.\n- Cells that failed: 2 of 2.\n"
        in (pages["reflection"])
    )
    for text in pages.values():
        assert "nan" not in text
        assert "None" not in text.replace("**None.** No model", "")
        assert ".png" not in text


def test_reports_of_baselines_alone_are_made(study: Any, write_report: Write) -> None:
    """Every model failed: the baselines are shown, and no claim is made."""
    failed = study.run_cell("mean.svr", simpler={})
    report = write_report([*study.run_baselines(), failed], is_drawn=True)
    assert "No model of this group could be fitted." in report.pages["communication"]
    assert "baseline.zero (baseline)" in table_rows(report.pages["summary"])
    assert "The figure loss_differential could not be drawn." in report.pages["summary"]
    assert "comparison.png" in report.pages["communication"]


def heads_of(text: str) -> list[str]:
    """Read the heads of a text's Markdown tables of cells."""
    return [line for line in text.splitlines() if line.startswith("| cell |")]


def test_reports_show_the_metrics_that_the_study_names(
    study: Any, reference: Any, write_report: Write
) -> None:
    """In its order, with no word on what is left out; the memo holds the errors besides."""
    params = reference.params.model_copy(update={"shown_metrics": ("r2_oos_mean", "rmse")})
    report = write_report([*study.run_baselines(), study.run_cell("mean.linear")], params=params)
    assert heads_of(report.pages["summary"]) == [
        "| cell | R2 against the mean of the past (%) | RMSE (%) | p against best baseline | "
        "in confidence set |"
    ]
    assert heads_of(report.pages["memo"])[0] == (
        "| cell | mae | mse | rmse | r2 | r2_oos_mean | CV RMSE |"
    )
    rows = table_rows(report.pages["summary"])
    row = report.findings["groups"][0]["best"][0]
    assert rows["mean.linear"][0].startswith(f"{100 * row['r2_oos_mean']:.2f} [")
    assert rows["mean.linear"][1].startswith(f"{100 * row['rmse']:.4f} [")
    for text in (*report.pages.values(), report.page):
        for word in ("direction", "hit rate", "IC", "Gu, Kelly"):
            assert word not in text
    usual = write_report([*study.run_baselines(), study.run_cell("mean.linear")]).pages
    assert "It got the direction right on\n" in usual["communication"]
    assert "Gu, Kelly" in usual["memo"]


def test_reports_show_no_column_that_is_empty_in_every_row(study: Any, write_report: Write) -> None:
    """A forecast of zero has no sign and no rank, and alone nothing to be tested against."""
    report = write_report([study.run_cell("baseline.zero")])
    assert heads_of(report.pages["summary"]) == [
        "| cell | RMSE (%) | R2 against zero (%) | R2 against the mean of the past (%) | AUC | "
        "in confidence set |"
    ]
    first, second, _ = heads_of(report.pages["memo"])
    assert first == "| cell | mae | mse | rmse | r2 | r2_oos_zero | r2_oos_mean | auc |"
    assert second == "| cell | p in the set |"
    assert "Diebold" not in report.pages["memo"] + report.page


def test_reports_tell_the_skill_of_each_of_few_names(
    study: Any, reference: Any, write_report: Write
) -> None:
    """The best model and the baselines stand side by side, in the memo and on the page."""
    params = reference.params.model_copy(update={"headline": "r2_oos_mean"})
    cells = [
        *study.run_baselines(),
        *(study.run_cell(f"mean.{one}") for one in ("linear", "ridge")),
    ]
    report = write_report(cells, params=params)
    (group,) = report.findings["groups"]
    best, told = group["best"][0], group["by_name"]
    assert told["cells"][0] == best["cell"]
    assert set(told["cells"][1:]) == {f"baseline.{row.outcome['model']}" for row in cells[:3]}
    scores = best["by_name"]["ticker"]["B"]
    row = table_rows(report.pages["memo"])["B"]
    assert row[:3] == ["25", f"{100 * scores['rmse']:.4f}", f"{100 * scores['r2_oos_mean']:.2f}"]
    assert row[told["cells"].index("baseline.trailing_mean") + 2].strip(" |") == "0.00"
    words = "R2 against the mean of the past by ticker: "
    assert words in report.pages["memo"]
    assert words in report.page
    assert f"<tr><td>B</td><td>25</td><td>{row[1]}</td><td>{row[2]}</td>" in report.page


@pytest.mark.parametrize("digest", ["1234567890123456", "12345678e1234567", "0123456789012345"])
def test_table_hash_that_looks_like_a_number_survives_the_file(
    study: Any, store: Callable[..., Any], digest: str
) -> None:
    """Hashes are read back as text, so that a failed cell beside them changes none."""
    usual = {**study.run_cell("mean.linear").outcome, "scored_hash": digest}
    assert store(tables.tabulate_baselines(PASSED, usual))["scored_hash"].tolist() == [digest]
