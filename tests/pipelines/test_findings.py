"""What was found is said once, in words that follow from the numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tidemark.pipelines.reporting.answers import say_p, show_p

pytestmark = pytest.mark.filterwarnings("ignore:Liblinear failed to converge")

LEAK = {
    "passed": False,
    "findings": ["feature ret_lag_0 changes with the future (9 values up to 2018-04-12)"],
    "features": ["ret_lag_0"],
}
Write = Callable[..., Any]


def models_of(study: Any) -> list[Any]:
    """Run two models in one scenario and one in another."""
    return [study.run_cell(name) for name in ("mean.linear", "mean.ridge", "median.ridge")]


def test_summarise_model_that_beats_the_baselines_is_a_yes(
    study: Any, reference: Any, write_report: Write
) -> None:
    """The answer names the model, the baseline, the test and the interval."""
    report = write_report([*study.run_baselines(), study.run_cell("mean.ridge")])
    (answer,) = report.findings["answers"]
    best, baseline = answer["best"], answer["baseline"]

    assert answer["strongest"] is None
    assert (answer["group"], answer["word"], answer["p_value"]) == ("group", "Yes", 0.0)
    assert best["cell"] == report.verdicts["group"]["best_model"]
    assert baseline["cell"] == report.verdicts["group"]["best_baseline"]
    assert f"{best['cell']} forecasts better than the best baseline" in answer["text"]
    assert baseline["cell"] in answer["text"]
    assert "superior predictive ability, of one model: p < 0.001" in answer["text"]
    low, high = best["r2_oos_zero_low"], best["r2_oos_zero_high"]
    r2 = f"{100 * best['r2_oos_zero']:.2f} % [{100 * low:.2f} %, {100 * high:.2f} %]"
    assert r2 in answer["text"]
    assert report.findings["suspicions"] == [reference.few_blocks]


def test_summarise_rejection_names_the_model_with_the_strongest_evidence(
    study: Any, write_report: Write
) -> None:
    """The p is of all models; where the smallest error is another's, it is not paired with it."""
    report = write_report([*study.run_baselines(), *models_of(study)])
    verdict = report.verdicts["group"]
    strongest = verdict["superior_predictive_ability"][verdict["best_baseline"]]["best"]
    assert strongest != verdict["best_model"]  # or this study shows nothing
    (answer,) = report.findings["answers"]
    assert (answer["word"], answer["strongest"]) == ("Yes", strongest)
    assert answer["text"].startswith(
        "At least one model forecasts better than the best baseline, "
        f"{verdict['best_baseline']} (Hansen's test of superior predictive ability, counting all 3 "
        f"models that were tried: p < 0.001); the strongest evidence is for {strongest}. The "
        f"smallest error of a model is that of {verdict['best_model']}; its out-of-sample R2"
    )
    assert f"strongest evidence for {strongest}; " in report.page


def test_summarise_headline_against_the_mean_is_said_everywhere(
    study: Any, reference: Any, write_report: Write
) -> None:
    """Answer, card, captions and pages speak of the mean of the past; the alarm still of zero."""
    change = {"headline": "r2_oos_mean", "too_good_r2": 0.5, "shown_metrics": ("rmse",)}
    params = reference.params.model_copy(update=change)
    report = write_report([*study.run_baselines(), *models_of(study)], params=params)
    (answer,), (group,) = report.findings["answers"], report.findings["groups"]
    best = answer["best"]
    r2 = f"{100 * best['r2_oos_mean']:.2f} %"
    assert f"R2 against the mean of the past is {r2} [" in answer["text"]
    assert f"R2 against the mean of the past of {best['cell']} {r2} [" in report.page
    assert f"R2 against the mean of the past {r2} [" in report.pages["communication"]
    assert group["figures"]["heat_map"] == (
        "Out-of-sample R2 against the mean of the past by scenario and model"
    )
    for text in (*report.pages.values(), report.page):
        assert "of zero" not in text
        assert "against zero" not in text
    alarms = [one for one in report.findings["suspicions"] if "out-of-sample R2 of" in one]
    assert f"R2 of {100 * best['r2_oos_zero']:.2f} %, above the 50 %" in alarms[0]


def test_summarise_models_of_noise_are_a_no(noise: Any, write_report: Write) -> None:
    """Nothing is claimed for the smallest error among many."""
    report = write_report([*noise.run_baselines(), *models_of(noise)])
    (answer,) = report.findings["answers"]
    assert answer["word"] == "No"
    assert "No model was shown to forecast better than the best baseline" in answer["text"]
    assert f"p = {report.verdicts['group']['p_value']:.3f}" in answer["text"]
    assert f"{answer['best']['cell']} forecasts better" not in answer["text"]


def test_summarise_features_that_know_the_future_make_the_answer_void(
    study: Any, write_report: Write
) -> None:
    """However good the numbers are, they mean nothing; the first remark says what leaks."""
    cells = [*study.run_baselines(), *models_of(study)]
    report = write_report(cells, audits={"median": LEAK})
    (answer,) = report.findings["answers"]
    assert answer["word"] == "Void"
    assert "none of these numbers" in answer["text"]
    assert report.findings["leaks"] == [f"median: {one}" for one in LEAK["findings"]]
    assert "ret_lag_0" in report.findings["suspicions"][0]
    assert report.table.set_index("cell")["audit"].to_dict() == {
        "mean.linear": "passed",
        "mean.ridge": "passed",
        "median.ridge": LEAK["findings"][0],
        **{f"baseline.{one}": "passed" for one in ("zero", "trailing_mean", "last_value")},
    }


def test_summarise_baseline_that_knows_the_future_makes_the_answer_void_too(
    study: Any, write_report: Write
) -> None:
    """What models are measured against is audited with the study's data."""
    leak = {"passed": False, "findings": ["baseline last_value changes with the future"]}
    cells = [*study.run_baselines(), *models_of(study)]
    findings = write_report(cells, audits={"baseline": leak}).findings
    assert findings["answers"][0]["word"] == "Void"
    assert findings["leaks"] == ["baseline: baseline last_value changes with the future"]


def test_summarise_group_without_a_fitted_model_has_no_answer(
    study: Any, reference: Any, write_report: Write
) -> None:
    """Baselines alone answer nothing, and a model that failed is a remark."""
    failed = study.run_cell("mean.svr", simpler={})
    report = write_report([*study.run_baselines(), failed])
    (answer,) = report.findings["answers"]
    assert (answer["word"], answer["best"]) == ("None", None)
    assert answer["baseline"]["cell"] == report.verdicts["group"]["best_baseline"]
    told = "mean.svr failed: svr did not converge; no simpler model is left."
    assert sorted(report.findings["suspicions"]) == sorted([reference.few_blocks, told])
    assert (report.findings["n_models"], report.findings["n_failed"]) == (1, 1)
    (group,) = report.findings["groups"]
    assert (group["best"], group["without_best"]) == ([], ["mean"])
    assert group["has_failed_wholly"] is False


def test_summarise_group_without_a_baseline_leaves_the_answer_open(
    study: Any, write_report: Write
) -> None:
    """A model that is compared with nothing is not called good."""
    report = write_report(models_of(study))
    (answer,) = report.findings["answers"]
    assert answer["word"] == "Open"
    assert "no baseline" in answer["text"]


def test_summarise_study_that_failed_whole_says_so(study: Any, write_report: Write) -> None:
    """Without any cell there is no answer, and nothing was tested of what was tried."""
    failed = [study.run_cell(f"{name}.svr", simpler={}) for name in ("mean", "median")]
    findings = write_report(failed).findings
    (group,) = findings["groups"]
    assert group["has_failed_wholly"] is True
    (answer,) = findings["answers"]
    assert (answer["word"], answer["best"], answer["baseline"]) == ("None", None, None)
    assert findings["verdicts"]["group"]["n_tried"] == 2
    assert group["without_best"] == ["mean", "median"]
    assert sum("svr did not converge" in one for one in findings["suspicions"]) == 2


def test_summarise_says_how_many_of_the_models_tried_were_tested(
    study: Any, write_report: Write
) -> None:
    """One that failed was tried, and is not hidden."""
    failed = study.run_cell("median.svr", simpler={})
    usual = study.run_cell("mean.linear")
    report = write_report([*study.run_baselines(), usual, failed])
    (answer,) = report.findings["answers"]
    words = "counting 1 of the 2 models that were tried; the others gave no forecasts"
    assert (answer["counted"], words in answer["text"]) == (words, True)


@pytest.mark.parametrize(
    ("value", "shown", "said"),
    [
        (None, "-", None),
        (0.0, "< 0.001", "< 0.001"),
        (0.0004, "< 0.001", "< 0.001"),
        (0.001, "0.001", "= 0.001"),
        (0.0496, "0.050", "= 0.050"),
        (1.0, "1.000", "= 1.000"),
    ],
)
def test_show_p_never_claims_a_zero(value: float | None, shown: str, said: str | None) -> None:
    """A share of so many resamples that is zero is only small."""
    assert show_p(value) == shown
    assert value is None or say_p(value) == said


def test_summarise_lists_every_reason_to_doubt_once(
    study: Any, reference: Any, write_report: Write
) -> None:
    """An alarm, a stand-in, missing figures and findings of the checks are remarks, in order."""
    cells = [
        *study.run_baselines(),
        study.run_cell("mean.svr"),
        study.run_cell("median.ridge", is_spoilt=True),
    ]
    late = {"check": "old_data", "action": "warn", "message": "The last date is old."}
    validation = {
        "study": "returns",
        "as_of": "2019-01-03",
        "tables": {"prices": {"rows": 400, "rows_quarantined": {"bad": 2}, "findings": [late]}},
    }
    strict = reference.params.model_copy(update={"too_good_r2": 0.01})
    report = write_report(cells, params=strict, validation=validation)
    said = report.findings["suspicions"]
    alarms = [one for one in said if "out-of-sample R2 of" in one]

    assert sorted(one.split()[0] for one in alarms) == ["mean.svr", "median.ridge"]
    assert "above the 1 %" in alarms[0]
    said = [one for one in said if one not in alarms and one != reference.few_blocks]
    assert said == [
        "mean.svr: ridge stood in: svr did not converge.",
        "Figures of median.ridge could not be drawn: predicted_vs_true, hexbin, "
        "residuals_vs_predicted.",
        "prices: The last date is old.",
    ]
    assert report.findings["quarantined"] == 2
    assert report.findings["answers"][0]["word"] == "Yes"  # an alarm doubts, it does not void


def test_summarise_quotes_what_made_the_numbers(study: Any, write_report: Write) -> None:
    """The three hashes that a run in MLflow bears, the dates and the plan of resampling."""
    findings = write_report([*study.run_baselines(), *models_of(study)]).findings
    assert findings["made_by"] == {
        "data_hash": "d" * 16,
        "params_hash": "b" * 16,
        "code_hash": "c" * 16,
    }
    (group,) = findings["groups"]
    assert group["split_id"] == study.dates["split_id"]
    assert group["dates"] == {
        **{key: study.dates[key] for key in ("train_end", "test_start", "test_end")},
        "window_sessions": None,
        "n_folds": 2,
        "n_refits": 3,
    }
    assert group["resampling"] == study.resampling
    assert group["scored"] == {"rows": 100, "dates": 25}
    assert list(findings["treatments"]) == ["mean", "median"]
    assert findings["treatments"]["mean"] == {"cells": 400, "missing rate before": 0.0}
    assert [row["scenario"] for row in group["best"]] == sorted(
        ("mean", "median"), key=lambda name: min(
            row["rmse"] for row in group["rows"] if row["scenario"] == name
        ),
    )  # fmt: skip
