"""The cross-asset study's data: cut at the as-of date, reported on, refused or brought together."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tidemark.config import ScenarioConfig, Study
from tidemark.domain.sessions import list_sessions
from tidemark.errors import DataError, DataRefused
from tidemark.pipelines.data_engineering.cross_asset.nodes import (
    accept,
    align,
    fetch,
    validate,
)
from tidemark.pipelines.data_engineering.cross_asset.params import (
    AlignmentParams,
    CorrelationParams,
    PairParams,
    QualityParams,
    SeriesTable,
)
from tidemark.pipelines.data_engineering.cross_asset.pipeline import create_pipeline
from tidemark.pipelines.data_engineering.cross_asset.quality import report_quality
from tidemark.pipelines.data_engineering.cross_asset.treatment import preprocess

PROJECT = Path(__file__).parents[2]
CONF = yaml.safe_load((PROJECT / "conf/base/parameters_cross_asset.yml").read_text())["cross_asset"]
CATALOG = yaml.safe_load((PROJECT / "conf/base/catalog_cross_asset.yml").read_text())
AS_OF = "2018-06-29"
SERIES = SeriesTable.model_validate(
    {
        "spy": {"label": "stocks", "kind": "price", "treatment": "log_return", "calendar": "XNYS"},
        "tlt": {
            "label": "bonds",
            "kind": "price",
            "treatment": "log_return",
            "calendar": "XNYS",
            "low": 0,
            "high": 1000,
        },
        "oil": {"label": "oil", "kind": "price", "treatment": "difference", "calendar": "weekdays"},
        "gdp": {
            "label": "output",
            "kind": "index",
            "treatment": "log_return",
            "calendar": "weekdays",
            "is_revised": True,
        },
    }
)
CHECKS = QualityParams.model_validate(CONF["validation"])
ALIGNMENT = AlignmentParams.model_validate(CONF["alignment"])
PAIR = PairParams(left="spy", right="tlt", window=20)


def make_levels(*names: str, start: str = "2018-01-02", end: str = AS_OF) -> pd.DataFrame:
    """Draw levels of some series on their own sessions, long and sorted."""
    parts = []
    for number, name in enumerate(names or ("spy", "tlt", "oil")):
        days = list_sessions(SERIES.root[name].calendar, pd.Timestamp(start), pd.Timestamp(end))
        moves = 0.01 * np.random.default_rng(number).standard_normal(len(days))
        parts.append(
            pd.DataFrame({"date": days, "series": name, "value": 100.0 * np.exp(moves.cumsum())})
        )
    return pd.concat(parts).sort_values(["date", "series"], ignore_index=True)


def check(*parts: Any, as_of: str = AS_OF, checks: QualityParams = CHECKS) -> tuple[Any, ...]:
    """Validate; what is JSON in the catalog goes through JSON."""
    report, profile, *tables = validate(as_of, SERIES, checks, ALIGNMENT, *parts)
    report, profile = json.loads(json.dumps([report, profile], allow_nan=False))
    return report, profile, *tables


def findings(report: dict[str, Any]) -> dict[str, str]:
    """Give the findings' messages by check."""
    return {one["check"]: one["message"] for one in report["tables"]["series"]["findings"]}


def test_fetch_reads_every_shape_as_one() -> None:
    """Long, a panel of prices and a wide table give the same levels."""
    long = make_levels("spy", "tlt")
    panel = long.rename(columns={"series": "ticker", "value": "close"}).assign(
        ticker=lambda t: t["ticker"].str.upper()
    )
    wide = long.pivot_table(index="date", columns="series", values="value").rename_axis(
        columns=None
    )
    for source in (long.sample(frac=1.0, random_state=1), panel, wide, wide.reset_index()):
        pd.testing.assert_frame_equal(fetch(source, AS_OF), long)


@pytest.mark.parametrize("as_of", ["2018-03-15", "2018-03-17", "2018-01-02"])
def test_fetch_cuts_at_the_as_of_date(as_of: str) -> None:
    """The day itself is known; what is dated later is left out, whatever it holds."""
    source = make_levels()
    kept = fetch(source, as_of)
    assert len(kept) == (source["date"] <= as_of).sum() > 0
    later = source["date"] > as_of
    altered = source.assign(value=source["value"].mask(later, -1e9))
    pd.testing.assert_frame_equal(fetch(altered, as_of), kept)
    pd.testing.assert_frame_equal(fetch(source[~later], as_of), kept)


def test_fetch_cuts_moments_by_their_day() -> None:
    """A level of the as-of date's evening is known on it."""
    source = pd.DataFrame(
        {"date": ["2018-06-29T21:00:00", "2018-06-30T00:00:00"], "spy": [1.0, 2.0], "tlt": [3.0, 4]}
    )
    assert fetch(source, AS_OF)["value"].tolist() == [1.0, 3.0]


def test_fetch_refuses_data_wholly_after_the_as_of_date() -> None:
    """The message says from when on there is anything, and how to move the date."""
    with pytest.raises(DataError, match=r"All \d+ levels .* as_of=2018-01-02"):
        fetch(make_levels(), "2017-12-29")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (pd.DataFrame(), "0 date columns"),
        (pd.DataFrame({"date": ["2018-01-02"]}), "name no series"),
        (pd.DataFrame({"day": ["2018-01-02"], "spy": [1.0]}), "0 date columns"),
        (pd.DataFrame({"date": ["02/01/2018"], "spy": [1.0]}), "02/01/2018"),
        (pd.DataFrame({"date": ["2018-01-02"], "spy": ["n.a."]}), "n.a."),
        (pd.DataFrame({"date": ["2018-01-02"], "spy": [math.inf]}), "finite"),
        (pd.DataFrame({"date": ["2018-01-02"], "series": ["spy"], "price": [1.0]}), "price"),
    ],
)
def test_fetch_refuses_what_it_cannot_read(source: pd.DataFrame, words: str) -> None:
    """Status 2, what was found, and what shapes there are."""
    with pytest.raises(DataError, match=words) as caught:
        fetch(source, AS_OF)
    assert caught.value.exit_status == 2


def test_fetch_keeps_the_vintage() -> None:
    """A source that says when its levels were known is believed; another has no such column."""
    source = make_levels("gdp").assign(vintage=AS_OF)
    assert fetch(source, AS_OF)["vintage"].eq(AS_OF).all()
    unknown = make_levels("gdp").assign(vintage=pd.Series(None, dtype="str"))
    assert fetch(unknown, AS_OF)["vintage"].isna().all()
    assert "vintage" not in fetch(make_levels("gdp"), AS_OF)


def test_fetch_keeps_each_series_own_vintage() -> None:
    """A vintage of one series is none of another, which would pass for known at the time."""
    known = make_levels("spy").assign(vintage=AS_OF)
    unknown = make_levels("gdp").assign(vintage=None)
    levels = fetch(pd.concat([known, unknown]), AS_OF)
    assert levels.loc[levels["series"] == "spy", "vintage"].eq(AS_OF).all()
    assert levels.loc[levels["series"] == "gdp", "vintage"].isna().all()
    assert "vintage" in findings(check(levels, PairParams(left="spy", right="gdp"))[0])


def test_fetch_of_a_table_without_rows_leaves_the_refusal_to_the_checks() -> None:
    """An empty answer is missing data, and reported as such."""
    nothing = fetch(make_levels().head(0), AS_OF)
    assert nothing.empty
    report = check(nothing, PAIR)[0]
    assert not report["accepted"]
    assert "spy, tlt" in findings(report)["missing_series"]


def test_fetch_leaves_its_source_as_it_is() -> None:
    """Nothing is written into the source."""
    source = make_levels().assign(vintage=AS_OF)
    before = source.copy(deep=True)
    fetch(source, "2018-03-15")
    pd.testing.assert_frame_equal(source, before)


def test_validate_accepts_sound_data_and_describes_it() -> None:
    """No finding; one row of quality for each series that there is; all rows go on."""
    levels = make_levels()
    report, profile, quality, coverage, quarantine, candidate = check(levels, PAIR)
    assert report["accepted"]
    assert findings(report) == {}
    assert report["as_of"] == AS_OF
    assert report["tables"]["series"]["last_date"] == AS_OF
    assert {one["check"] for one in report["tables"]["series"]["checks"]} == set(CHECKS.checks)
    assert quality["series"].tolist() == ["spy", "tlt", "oil"]
    assert coverage.set_index("series")["2018"].loc[["spy", "tlt", "oil"]].eq(1.0).all()
    assert quarantine.empty
    pd.testing.assert_frame_equal(candidate, levels)
    assert (profile["names"], profile["rows"]) == (3, len(levels))
    assert (profile["first"], profile["last"]) == ("2018-01-02", AS_OF)
    assert profile["missing_cells"] == 0


def test_validate_does_not_depend_on_how_sources_share_the_series() -> None:
    """Two sources or one: the same levels."""
    levels = make_levels()
    one = check(levels, PAIR)
    is_oil = levels["series"] == "oil"
    two = check(levels[is_oil], levels[~is_oil], PAIR)
    assert one[0] == two[0]
    pd.testing.assert_frame_equal(one[-1], two[-1])


def test_validate_quarantines_single_bad_rows_and_says_why() -> None:
    """A repeated row and one beyond its bounds leave; the record holds what they were."""
    levels = make_levels()
    odd = levels.index[levels["series"] == "tlt"][10]
    levels.loc[odd, "value"] = -3.0
    spoilt = pd.concat([levels, levels.iloc[[0]]], ignore_index=True)
    report, _, quality, _, quarantine, candidate = check(spoilt, PAIR)
    assert report["accepted"]
    assert report["tables"]["series"]["rows_quarantined"] == {
        "out_of_bounds": 1,
        "repeated_rows": 1,
    }
    assert len(quarantine) == 2
    record = json.loads(quarantine.set_index("reason").loc["out_of_bounds", "record"])
    assert record["series"] == "tlt"
    assert float(record["value"]) == -3.0
    assert -3.0 not in candidate["value"].to_numpy()
    assert not candidate.duplicated(["date", "series"]).any()
    assert quality.set_index("series").loc["tlt", "out_of_bounds"] == 1


def test_validate_takes_filled_rows_out() -> None:
    """Weekends and a holiday that the source has filled are no sessions, and no quarantine."""
    levels = make_levels("spy", "tlt")
    wide = levels.pivot_table(index="date", columns="series", values="value")
    filled = wide.reindex(pd.date_range(wide.index[0], wide.index[-1], name="date")).ffill()
    source = fetch(filled.reset_index(), AS_OF)
    assert len(source) > len(levels)
    report, _, quality, _, quarantine, candidate = check(source, PAIR)
    assert report["accepted"]
    assert quarantine.empty
    pd.testing.assert_frame_equal(candidate, levels)
    assert quality["filled"].sum() == len(source) - len(levels)
    assert report["tables"]["series"]["rows_dropped"] == len(source) - len(levels)
    assert "off_session_rows" in findings(report)


@pytest.mark.parametrize(
    ("spoil", "name", "words"),
    [
        (lambda t: t[t["series"] != "tlt"], "missing_series", "tlt"),
        (lambda t: pd.concat([t, t.iloc[[5]].assign(value=7.0)]), "contradictory_rows", "7"),
        (lambda t: t[t["date"] < "2017-01-01"], "missing_series", "spy, tlt"),
        (lambda t: t[t.index % 4 < 2], "coverage", "lack too many"),
        (lambda t: t.assign(value=-t["value"]), "quarantined_share", "1.0%"),
    ],
)
def test_validate_refuses_what_the_table_of_checks_refuses(
    spoil: Any, name: str, words: str
) -> None:
    """The report says so and raises nothing; accept is what refuses."""
    levels = spoil(make_levels("spy", "tlt"))
    report, _, _, _, quarantine, candidate = check(levels, PAIR)
    assert not report["accepted"]
    assert words in findings(report)[name]
    with pytest.raises(DataRefused, match=r"cross_asset_data\.validation_report") as caught:
        accept(report, quarantine, candidate, "")
    assert caught.value.exit_status == 2
    assert findings(report)[name] in str(caught.value)


def test_validate_refuses_data_that_are_too_old() -> None:
    """The day is the as-of date, never the clock."""
    levels = make_levels()
    assert "old_data" not in findings(check(levels, PAIR, as_of="2018-07-27")[0])
    old = check(levels, PAIR, as_of="2018-09-28")[0]
    assert "old_data" in findings(old)
    assert old["accepted"]
    assert not check(levels, PAIR, as_of="2020-01-31")[0]["accepted"]


def test_validate_needs_what_scenarios_and_forecasts_need() -> None:
    """Series of pairs and of correlations must be there, others may be absent."""
    levels = make_levels("spy", "tlt")
    assert check(levels, PAIR)[0]["accepted"]
    for part in (
        PairParams(left="oil", right="spy"),
        CorrelationParams(
            pairs=(("spy", "oil"),),
            horizon_days=21,
            today_window=60,
            warm_up_days=50,
            min_share=0.8,
        ),
    ):
        report = check(levels, PAIR, part)[0]
        assert not report["accepted"]
        assert "oil" in findings(report)["missing_series"]


def test_validate_leaves_undefined_series_out_with_a_warning() -> None:
    """A column that nobody has defined stops nothing and goes nowhere."""
    strange = make_levels("spy").assign(series="mystery")
    report, *_, candidate = check(pd.concat([make_levels(), strange]), PAIR)
    assert report["accepted"]
    assert "mystery" in findings(report)["unknown_series"]
    assert "mystery" not in set(candidate["series"])


@pytest.mark.parametrize("vintage", [None, AS_OF])
def test_validate_flags_revised_series_without_vintages(vintage: str | None) -> None:
    """A revised series is used as if known, unless its vintage says that it was known."""
    levels = fetch(make_levels("spy", "gdp").assign(vintage=vintage), AS_OF)
    report, _, quality, *_ = check(levels, PairParams(left="spy", right="gdp"))
    marks = quality.set_index("series")["vintage"]
    assert report["accepted"]
    assert marks["spy"] == ""
    if vintage is None:
        assert "gdp" in findings(report)["vintage"]
        assert "as if known" in marks["gdp"]
    else:
        assert "vintage" not in findings(report)
        assert marks["gdp"] == ""


def test_validate_flags_a_revised_series_of_a_source_without_vintages() -> None:
    """Vintages of another source do not count for it."""
    plain, known = make_levels("gdp"), make_levels("spy").assign(vintage=AS_OF)
    for parts in ((plain, known), (known, plain)):
        report = check(*parts, PairParams(left="spy", right="gdp"))[0]
        assert "gdp" in findings(report)["vintage"]
    # One whose only revised series are known at the time is not flagged for the others.
    known, plain = make_levels("gdp").assign(vintage=AS_OF), make_levels("spy")
    assert "vintage" not in findings(check(known, plain, PairParams(left="spy", right="gdp"))[0])


def test_validate_leaves_its_inputs_as_they_are() -> None:
    """Nothing is written into the levels."""
    levels = make_levels()
    before = levels.copy(deep=True)
    check(levels, PAIR)
    pd.testing.assert_frame_equal(levels, before)


def test_accept_passes_sound_data_on_with_a_fingerprint() -> None:
    """The hash stands for the content: one altered level has another."""
    report, *_, quarantine, candidate = check(make_levels(), PAIR)
    levels, one = accept(report, quarantine, candidate, "")
    pd.testing.assert_frame_equal(levels, candidate)
    assert accept(report, quarantine, candidate.copy(), "")[1] == one
    nudged = candidate.assign(value=candidate["value"].mask(candidate.index == 7, 1.0))
    assert accept(report, quarantine, nudged, "")[1] != one


def test_accept_refuses_when_the_quarantine_lost_a_row() -> None:
    """What left the flow must be in quarantine."""
    spoilt = pd.concat([make_levels(), make_levels().head(1)])
    report, *_, quarantine, candidate = check(spoilt, PAIR)
    accept(report, quarantine, candidate, "")
    with pytest.raises(DataError, match="1 rows left the flow and 0 are in quarantine"):
        accept(report, quarantine.head(0), candidate, "")


def test_align_has_a_column_of_returns_for_each_daily_series() -> None:
    """Log returns on New York's sessions, differences where asked, NaN for what nobody sent."""
    levels = make_levels()
    returns = align(levels, SERIES, ALIGNMENT)
    assert list(returns) == ["date", *SERIES.root]
    days = list_sessions("XNYS", pd.Timestamp("2018-01-02"), pd.Timestamp(AS_OF))
    assert returns["date"].tolist() == days.tolist()
    spy = levels[levels["series"] == "spy"].set_index("date")["value"].reindex(days)
    np.testing.assert_allclose(returns["spy"][1:], np.diff(np.log(spy)), atol=1e-14)
    oil = levels[levels["series"] == "oil"].set_index("date")["value"].reindex(days)
    np.testing.assert_allclose(returns["oil"][1:], np.diff(oil), atol=1e-12)
    assert returns["gdp"].isna().all()
    assert returns.iloc[0, 1:].isna().all()


def test_align_makes_no_return_of_a_level_that_was_carried_forward() -> None:
    """Into and out of a hole there is none: neither a zero nor one over two sessions."""
    levels = make_levels()
    hole = pd.Timestamp("2018-03-14")
    returns = align(
        levels[~((levels["series"] == "tlt") & (levels["date"] == hole))], SERIES, ALIGNMENT
    ).set_index("date")
    whole = align(levels, SERIES, ALIGNMENT).set_index("date")
    missing = whole["tlt"].notna() & returns["tlt"].isna()
    assert missing[missing].index.tolist() == [hole, pd.Timestamp("2018-03-15")]
    assert returns.drop(columns="tlt").equals(whole.drop(columns="tlt"))


@pytest.mark.parametrize("as_of", ["2018-03-14", "2018-05-31"])
def test_returns_of_the_past_do_not_change_with_the_future(as_of: str) -> None:
    """Cut at a day, returns and pairs up to it are the same bits."""
    levels = make_levels()
    known = levels[levels["date"] <= as_of]
    for build in (
        lambda given: align(given, SERIES, ALIGNMENT),
        lambda given: preprocess(given, SERIES, ALIGNMENT, PAIR)[0],
    ):
        whole, part = build(levels), build(known)
        assert part["date"].max() == pd.Timestamp(as_of)
        pd.testing.assert_frame_equal(
            whole[whole["date"] <= as_of], part, check_exact=True, check_freq=False
        )


def test_align_without_any_daily_series_leaves_an_empty_table() -> None:
    """A study of monthly pairs alone has no daily returns, which is no fault of its data."""
    table = SeriesTable.model_validate(
        {
            **SERIES.model_dump(),
            "monthly": {
                "label": "monthly",
                "kind": "index",
                "treatment": "log_return",
                "calendar": "months",
                "frequency": "monthly",
            },
        }
    )
    days = pd.date_range("2015-01-31", periods=30, freq="ME")
    levels = pd.DataFrame({"date": days, "series": "monthly", "value": 100.0})
    try:
        returns = align(levels, table, ALIGNMENT)
    except DataError:
        return
    assert list(returns) == ["date", *SERIES.root]


def test_preprocess_brings_a_pair_to_its_own_calendar() -> None:
    """From the first session with both returns to the last; holidays of one side are NaN."""
    levels = make_levels("spy", "oil")
    processed, report = preprocess(
        levels, SERIES, ALIGNMENT, PairParams(left="oil", right="spy", calendar="weekdays")
    )
    assert list(processed) == ["date", "left", "right"]
    assert processed.iloc[[0, -1]].notna().all(axis=None)
    holiday = processed.set_index("date").loc["2018-05-28"]  # Memorial Day
    assert math.isnan(holiday["right"])
    assert math.isfinite(holiday["left"])
    assert report["sessions_without_return"] > 0
    json.dumps(report, allow_nan=False)


@pytest.mark.parametrize("names", [("spy",), ("spy", "tlt")])
def test_preprocess_refuses_a_pair_that_never_meets(names: tuple[str, ...]) -> None:
    """A side without levels, and two that lived at different times."""
    early = make_levels("spy", end="2018-03-01")
    levels = pd.concat(
        [early, make_levels(*names[1:], start="2018-04-02")] if names[1:] else [early]
    )
    with pytest.raises(DataError, match=r"has no level|no return on the same session"):
        preprocess(levels, SERIES, ALIGNMENT, PAIR)


@pytest.mark.filterwarnings("ignore:One or more dataset names contain")
def test_study_of_pairs_alone_has_a_pipeline() -> None:
    """An environment may take every forecast out, and leave the pairs."""
    config = ScenarioConfig(
        group="pair", task="regimes", preprocess=PAIR.model_dump(), models=("single",)
    )
    study = Study("cross_asset", {"pair": config}, ("file",), frozenset({"single"}))
    names = {node.name for node in create_pipeline(study).nodes}
    assert "cross_asset_data.accept" in names
    assert "cross_asset_data.label" not in names


def test_report_of_quality_says_what_was_found() -> None:
    """Text and page name every series and what failed; the page needs no other file."""
    levels = make_levels("spy", "oil")
    report, _, quality, coverage, *_ = check(levels, PAIR)
    templates = {
        path.name.removesuffix(".j2"): partial(path.read_text, "utf-8")
        for path in (PROJECT / CATALOG["cross_asset_data.templates"]["path"]).glob("*.j2")
    }
    figure, text, page = report_quality(report, quality, coverage, SERIES, templates)
    assert figure.startswith(b"\x89PNG")
    for words in (text, page):
        assert "stocks" in words
        assert AS_OF in words
        assert "tlt" in words
    assert "data:image/png;base64," in page
    assert 'src="http' not in page
