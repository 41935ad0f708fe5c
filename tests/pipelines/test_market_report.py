"""The market report says of every pair what its numbers say, and nothing that is missing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.testing import assert_allclose

from tidemark import incidents
from tidemark.config import Cell
from tidemark.pipelines.data_engineering.cross_asset.params import PairParams, SeriesTable
from tidemark.pipelines.drawing import MISSING
from tidemark.pipelines.feature_engineering.cross_asset.correlating import correlate
from tidemark.pipelines.modelling.regimes.plotting import REGIME_FIGURES
from tidemark.pipelines.params import QuantityParams
from tidemark.pipelines.reporting.cross_asset import nodes
from tidemark.pipelines.reporting.cross_asset.nodes import PAIR_FIGURES
from tidemark.pipelines.reporting.cross_asset.params import MarketParams
from tidemark.pipelines.reporting.params import ReportParams

PROJECT = Path(__file__).parents[2]
CATALOG = yaml.safe_load((PROJECT / "conf/base/catalog_cross_asset.yml").read_text())
PICTURE = b"\x89PNG\r\n\x1a\n"  # stands for a figure where nobody looks at it
NAMES = ("stocks", "bonds", "gold", "oil")
SERIES = SeriesTable.model_validate(
    {
        name: {
            "label": name.upper(),
            "kind": "price",
            "treatment": "log_return",
            "calendar": "XNYS",
        }
        for name in NAMES
    }
)
MARKET = MarketParams(matrix_window=60, years_before=1, min_share=0.5)
PAIR = PairParams(left="stocks", right="bonds", window=60)
REPORT = ReportParams(
    title="Correlations & more",
    question="How do they move <together>?",
    unit="z",
    quantity=QuantityParams(name="Fisher z", unit="z", scale=1.0),
    too_good_r2=None,
    sample_note="Simulated.",
)
# Of the years' correlations; the sign changes in 2014 and in 2016.
YEARS = {2012: -0.5, 2013: -0.4, 2014: 0.35, 2015: 0.3, 2016: -0.6}


@cache
def draw_processed() -> pd.DataFrame:
    """Draw returns of a pair whose correlation in each year is exactly what `YEARS` says."""
    rng = np.random.default_rng(5)
    parts = []
    for year, r in YEARS.items():
        days = pd.bdate_range(f"{year}-01-01", f"{year}-12-31")
        noise = rng.standard_normal((len(days), 2))
        q, _ = np.linalg.qr(noise - noise.mean(axis=0))
        right = r * q[:, 0] + math.sqrt(1 - r**2) * q[:, 1]
        parts.append(pd.DataFrame({"date": days, "left": q[:, 0], "right": right}))
    return pd.concat(parts, ignore_index=True)


def draw_returns(n: int = 400, seed: int = 2) -> pd.DataFrame:
    """Draw daily returns of four series."""
    rng = np.random.default_rng(seed)
    values = 0.01 * (0.6 * rng.standard_normal((n, 1)) + rng.standard_normal((n, 4)))
    table = pd.DataFrame(values, columns=list(NAMES))
    table.insert(0, "date", pd.bdate_range("2015-01-01", periods=n))
    return table


@cache
def regimes_of(kind: str) -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    """Put the pair's days into two regimes, or into none, as a cell leaves them."""
    days = draw_processed()["date"].iloc[100:]
    cell = Cell("cross_asset", "pair", kind)
    if kind == "failed":
        nothing = pd.DataFrame({"date": days.head(0), "regime": np.array([], dtype="int64")})
        return cell, nothing, {}
    regime = (days.dt.year.isin([2014, 2015])).astype("int64")
    table = pd.DataFrame({"date": days, "regime": regime, "is_in_sample": False})
    table = table.assign(p_0=1.0 - 0.9 * regime, p_1=0.9 * regime).reset_index(drop=True)
    fit: dict[str, Any] = {"train_end": "2015-12-30"}
    if kind == "markov":
        fit["transition"] = [[0.99, 0.01], [0.0, 1.0]]
    return cell, table, {"names": ["slope -0.50", "slope +0.30"], "unit": "day", "fits": [fit]}


def describe(
    *kinds: str, pair: PairParams = PAIR, processed: pd.DataFrame | None = None
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Describe the pair; what is JSON in the catalog goes through JSON."""
    returns = draw_processed() if processed is None else processed
    cells = [part for kind in kinds for part in regimes_of(kind)]
    state, yearly = nodes.describe_pair(
        returns, correlate(returns, pair), SERIES, pair, "pair", *cells
    )
    return json.loads(json.dumps(state, allow_nan=False)), yearly


def templates() -> dict[str, Callable[[], str]]:
    """Read the project's own templates as the catalog does."""
    folder = PROJECT / CATALOG["cross_asset_data.templates"]["path"]
    return {
        path.name.removesuffix(".j2"): partial(path.read_text, "utf-8")
        for path in folder.glob("*.j2")
    }


def findings(**changes: Any) -> dict[str, Any]:
    """Give what the report takes from the study's findings."""
    made_by = {"data_hash": "d" * 16, "params_hash": "b" * 16, "code_hash": "c" * 16}
    answer = {"group": "pair", "word": "No", "text": "Nothing was shown."}
    given = {"as_of": "2016-12-31", "answers": [answer], "suspicions": [], "made_by": made_by}
    return {**given, **changes}


def write(
    state: dict[str, Any],
    yearly: pd.DataFrame,
    matrices: dict[str, Any] | None = None,
    figure: bytes = PICTURE,
    absent: tuple[str, ...] = (),
    **changes: Any,
) -> tuple[str, str]:
    """Write the report of one pair; ``absent`` names figures that could not be drawn."""
    names = [*PAIR_FIGURES, *(f"{m}.{name}" for m in state["cells"] for name in REGIME_FIGURES)]
    pictures = [MISSING if name in absent else PICTURE for name in names]
    found = correlate_all(draw_returns())[0] if matrices is None else matrices
    return nodes.write_market(
        findings(**changes), found, figure, templates(), REPORT, state, yearly, *pictures
    )


def correlate_all(returns: pd.DataFrame) -> tuple[dict[str, Any], bytes]:
    """Correlate all series; what is JSON in the catalog goes through JSON."""
    matrices, figure = nodes.correlate_all(returns, SERIES, MARKET)
    return json.loads(json.dumps(matrices, allow_nan=False)), figure


def words_of(page: str) -> str:
    """Take the words out of a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_describe_pair_says_what_the_years_were() -> None:
    """Correlations by year as they were drawn, and the years in which the sign changed."""
    state, yearly = describe("zscore", "markov")
    assert_allclose(yearly["correlation"], list(YEARS.values()), atol=1e-12)
    assert yearly["year"].tolist() == list(YEARS)
    assert [one["year"] for one in state["sign_changes"]] == [2014, 2016]
    assert all(one["is_clear"] for one in state["sign_changes"])
    assert state["years_say_little"] is False
    assert (state["left"], state["right"]) == ("STOCKS", "BONDS")
    assert state["now"]["date"] == "2016-12-30"
    assert list(state["methods"]) == state["cells"] == ["zscore", "markov"]
    assert state["methods"]["markov"]["since"] == "2016-01-01"
    assert state["methods"]["zscore"]["transition"] is None


def test_describe_pair_leaves_a_failed_method_out() -> None:
    """Its cell is remembered, so that its figures are read from the right places."""
    state, _ = describe("failed", "markov")
    assert state["cells"] == ["failed", "markov"]
    assert list(state["methods"]) == ["markov"]


def test_describe_pair_of_months_says_that_a_year_says_little() -> None:
    """Twelve returns a year have an interval wider than a third on either side."""
    monthly = draw_processed().iloc[::21].reset_index(drop=True)
    pair = PAIR.model_copy(update={"window": 12, "calendar": "months"})
    state, yearly = describe("markov", pair=pair, processed=monthly)
    assert state["years_say_little"] is True
    text, page = write(state, yearly)
    for words in (text, words_of(page)):
        assert f"changed in {len(state['sign_changes'])} of {len(yearly)} years" in words
        assert "Changes of sign" not in words


def test_report_names_each_change_of_sign() -> None:
    """The year, both correlations, and whether both intervals leave out zero."""
    state, yearly = describe("markov")
    for words in write(state, yearly):
        said = words_of(words)
        assert "In 2014 the sign of the year's correlation changed: +0.350 after -0.400" in (
            said.replace("&#39;", "'")
        )
        assert "changed: -0.600 after +0.300 in 2015" in said
        assert "holds zero" not in said
    state["sign_changes"][1]["is_clear"] = False
    assert all("holds zero" in words for words in write(state, yearly))


def test_report_names_the_newest_five_changes_and_lists_the_others() -> None:
    """None is lost, whatever their number."""
    state, yearly = describe("markov")
    change = state["sign_changes"][0]
    state["sign_changes"] = [{**change, "year": year} for year in range(1990, 1998)]
    for words in write(state, yearly):
        assert all(f"In {year} the sign" in words for year in range(1993, 1998))
        assert "1990, 1991, 1992" in words
        assert "In 1992 the sign" not in words


def test_report_says_where_each_pair_stands() -> None:
    """Correlation with its band, rank, extremes, regimes and answer, in text and page."""
    state, yearly = describe("zscore", "markov")
    now = state["now"]
    for raw in write(state, yearly):
        said = words_of(raw).replace("**", "")
        for words in (
            f"{now['correlation']:+.2f}",
            f"[{now['lower']:+.2f}, {now['upper']:+.2f}]",
            f"since {now['since']}",
            f"({now['low_date']})",
            "STOCKS and BONDS",
            "Regimes by markov",
            "Regimes by zscore",
            "slope +0.30",
            "2015-12-30",
            "Nothing was shown.",
            "Simulated.",
            "dddddddddddddddd",
        ):
            assert words in said, words
        assert "nan" not in said.lower()
        assert "None" not in said


def test_report_says_how_long_a_regime_is_expected_to_last() -> None:
    """1 / (1 - p), and for ever where it is never left; nothing where nothing was estimated."""
    state, yearly = describe("markov")
    text, page = write(state, yearly)
    for words in (text, page):
        assert "100 days" in words
        assert "for ever" in words
    assert "| expected length |" not in write(*describe("zscore"))[0]


def test_page_needs_no_other_file_and_is_escaped() -> None:
    """Pictures are inside; what configuration says is text."""
    _, page = write(*describe("markov"))
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == len(PAIR_FIGURES) + len(REGIME_FIGURES) + 1
    assert all(one.startswith("data:image/png;base64,") for one in sources)
    assert "How do they move &lt;together&gt;?" in page
    assert "Correlations &amp; more" in page
    assert not re.search(r'(href|src)="https?:', page)


def test_report_without_a_failed_method_reads_the_others_figures() -> None:
    """The figures of a method that has failed are not taken for another's."""
    state, yearly = describe("failed", "markov")
    text, page = write(state, yearly, absent=tuple(f"failed.{name}" for name in REGIME_FIGURES))
    assert "Regimes by failed" not in text
    assert "pair/failed/" not in text
    assert "Regimes by markov" in text
    assert page.count('src="data:') == len(PAIR_FIGURES) + len(REGIME_FIGURES) + 1
    assert 'src=""' not in page


@pytest.mark.parametrize("name", PAIR_FIGURES)
def test_report_shows_no_figure_of_a_pair_that_is_missing(name: str) -> None:
    """Neither a link nor an empty picture; all other figures are there."""
    whole, _ = write(*describe("markov"))
    text, page = write(*describe("markov"), absent=(name,))
    assert f"/{name}.png" in whole
    assert f"/{name}.png" not in text
    assert 'src=""' not in page
    assert text.count("![") == whole.count("![") - 1


@pytest.mark.parametrize("name", REGIME_FIGURES)
def test_report_shows_no_figure_of_a_method_that_is_missing(name: str) -> None:
    """A link to a figure that could not be drawn leads nowhere."""
    text, page = write(*describe("markov"), absent=(f"markov.{name}",))
    assert 'src=""' not in page
    assert f"markov/{name}.png" not in text


def test_report_without_the_figure_of_all_series_says_nothing_of_it() -> None:
    """A heading over nothing would be all that is left."""
    for words in write(*describe("markov"), figure=MISSING):
        assert "All series together" not in words
        assert "correlation_matrices" not in words


def test_report_lists_what_is_suspicious_before_and_after() -> None:
    """A remark is counted at the beginning and told at the end."""
    text, page = write(*describe("markov"), suspicions=["The data are old.", "<One> was filled."])
    assert "read the 2 remarks" in text
    assert "- The data are old." in text
    assert "2 remarks" in words_of(page)
    assert "&lt;One&gt; was filled." in page
    assert "Before you rely on it" not in write(*describe("markov"))[0]


def test_report_of_a_pair_without_an_answer_asks_nothing() -> None:
    """A group that was not compared has no answer."""
    for words in write(*describe("markov"), answers=[]):
        assert "Do regimes help" not in words


def test_correlate_all_agrees_with_numpy_now_and_before() -> None:
    """The last window, and that of a year before; labels and dates are those of the windows."""
    returns = draw_returns()
    matrices, figure = correlate_all(returns)
    assert figure.startswith(b"\x89PNG")
    wide = returns.set_index("date")
    last = wide.index[-1]
    for name, day in (("now", last), ("before", last - pd.DateOffset(years=1))):
        past = wide.loc[:day].tail(60)
        assert_allclose(matrices[name]["values"], np.corrcoef(past.T), atol=1e-12)
        assert matrices[name]["names"] == list(NAMES)
        assert matrices[name]["first"] == f"{past.index[0]:%Y-%m-%d}"
        assert matrices[name]["last"] == f"{past.index[-1]:%Y-%m-%d}"
        assert matrices[name]["is_repaired"] is False


def test_correlate_all_leaves_out_series_with_too_few_returns() -> None:
    """A series that has just begun, or has ended, is in no matrix that it cannot fill."""
    returns = draw_returns()
    returns.loc[:310, "gold"] = np.nan
    returns.loc[360:, "oil"] = np.nan
    returns["bonds"] = returns["bonds"].where(returns.index % 3 > 0)
    matrices, _ = correlate_all(returns)
    assert matrices["now"]["names"] == ["stocks", "bonds", "gold"]
    assert matrices["before"]["names"] == ["stocks", "bonds", "oil"]


def staggered() -> pd.DataFrame:
    """Draw three series that pairwise contradict each other, each pair on days of its own."""
    rng = np.random.default_rng(1)
    table = draw_returns(60).drop(columns="oil")
    third = np.arange(60) % 3
    for number, (left, right, sign) in enumerate(
        [("stocks", "bonds", 1), ("bonds", "gold", 1), ("stocks", "gold", -1)]
    ):
        rows = third == number
        base = rng.standard_normal(rows.sum())
        table.loc[rows, left] = base
        table.loc[rows, right] = sign * base + 0.1 * rng.standard_normal(rows.sum())
        (other,) = {"stocks", "bonds", "gold"} - {left, right}
        table.loc[rows, other] = np.nan
    return table


def test_matrix_that_cannot_be_is_repaired_and_said_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pairs on different days need not fit together; what is shown does, and the text says so."""
    table = staggered()
    wide = table.set_index("date")
    raw = wide.corr().to_numpy()
    assert np.linalg.eigvalsh(raw).min() < -0.1
    params = MarketParams(matrix_window=40, years_before=1, min_share=0.3)
    monkeypatch.setattr(nodes, "draw_correlation_matrices", lambda *_: None)
    incidents.collect()
    matrices, _ = nodes.correlate_all(table, SERIES, params)
    now = json.loads(json.dumps(matrices, allow_nan=False))["now"]
    assert now["is_repaired"] is True
    assert now["smallest_eigenvalue"] < -0.1
    values = np.array(now["values"])
    assert np.linalg.eigvalsh(values).min() >= -1e-8
    assert_allclose(np.diag(values), 1.0, atol=1e-8)
    assert_allclose(values, values.T, atol=1e-12)
    for words in write(*describe("markov"), matrices={"now": now, "before": None}):
        assert f"The matrix of {now['last']} was not positive semi-definite" in words
        assert "Higham 2002" in words
    assert "Higham" not in write(*describe("markov"))[0]


def test_history_that_does_not_reach_back_has_no_matrix_of_before() -> None:
    """What is not there is left out of the words, too."""
    matrices, figure = correlate_all(draw_returns(100))
    assert matrices["before"] is None
    assert figure.startswith(b"\x89PNG")
    text, _ = write(*describe("markov"), matrices=matrices)
    assert f"from {matrices['now']['first']} to {matrices['now']['last']}." in text


@pytest.mark.parametrize("case", ["one before", "one at all", "too short"])
def test_fewer_than_two_series_are_no_reason_to_fail(case: str) -> None:
    """A study whose other series began later, or that is short, still has its report."""
    returns = draw_returns(30 if case == "too short" else 400)
    if case != "too short":
        others = ["bonds", "gold", "oil"]
        returns.loc[: 300 if case == "one before" else None, others] = np.nan
    matrices, figure = correlate_all(returns)
    if case == "one before":
        assert matrices["now"]["names"] == list(NAMES)
        assert figure.startswith(b"\x89PNG")
    else:
        assert figure == MISSING
    write(*describe("markov"), matrices=matrices, figure=figure)


def test_draw_pair_draws_both_figures_and_survives_a_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A figure that cannot be drawn is missing, with an incident; the other is there."""
    _, yearly = describe("markov")
    rolling = correlate(draw_processed(), PAIR)
    stretches = {
        "pair": [
            {"start": "2012-01-01", "end": "2013-12-31", "label": "apart"},
            {"start": "1990-01-01", "end": "1991-12-31", "label": "before there was anything"},
        ]
    }
    market = MarketParams.model_validate({**MARKET.model_dump(), "stretches": stretches})
    collector = incidents.collect()
    drawn = nodes.draw_pair(rolling, yearly, SERIES, PAIR, market, "pair")
    assert len(drawn) == len(PAIR_FIGURES)
    assert all(png.startswith(b"\x89PNG") for png in drawn)
    assert collector.found == []

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no more ink")

    monkeypatch.setattr(nodes, "draw_yearly_correlation", fail)
    drawn = nodes.draw_pair(rolling, yearly, SERIES, PAIR, market, "pair")
    assert [png == MISSING for png in drawn] == [False, True]
    (incident,) = collector.found
    assert (incident.kind, "pair.yearly_chart" in incident.message) == ("missing", True)
    assert "RuntimeError: no more ink" in incident.message


def test_draw_pair_shows_only_stretches_that_the_data_cover(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An average of a decade of which there are no data would be one of nothing."""
    shown: list[Any] = []
    monkeypatch.setattr(
        nodes, "draw_rolling_correlation", lambda *_, averages, **__: shown.extend(averages)
    )
    stretches = {
        "pair": [
            {"start": "2012-01-01", "end": "2013-12-31", "label": "apart"},
            {"start": "1990-01-01", "end": "1991-12-31", "label": "before there was anything"},
        ]
    }
    market = MarketParams.model_validate({**MARKET.model_dump(), "stretches": stretches})
    incidents.collect()
    _, yearly = describe("markov")
    nodes.draw_pair(correlate(draw_processed(), PAIR), yearly, SERIES, PAIR, market, "pair")
    assert {label for _, _, label in shown} == {"apart"}


def test_inputs_of_the_report_are_left_as_they_are() -> None:
    """Writing changes neither states nor tables."""
    state, yearly = describe("zscore", "markov")
    before = json.dumps(state), yearly.copy(deep=True)
    write(state, yearly)
    assert json.dumps(state) == before[0]
    pd.testing.assert_frame_equal(yearly, before[1])


def test_inputs_of_the_description_are_left_as_they_are() -> None:
    """Describing and correlating change no table."""
    processed, returns = draw_processed(), draw_returns()
    before = processed.copy(deep=True), returns.copy(deep=True)
    describe("markov")
    correlate_all(returns)
    pd.testing.assert_frame_equal(processed, before[0])
    pd.testing.assert_frame_equal(returns, before[1])
