"""The cross-asset study by the command line: embedded data, funds, an earlier day, live sources."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.testing import assert_array_equal

from tidemark.domain.regimes import MarkovParameters, filter_markov

PROJECT = Path(__file__).parents[2]
FUNDS = PROJECT.parent / "shared/data/cross_asset/fintix_etf_adjclose.parquet"
sys.path.insert(0, str(PROJECT / "tests/datasets"))

from replay import ReplayServer, pack  # noqa: E402 -- found in the folder above

pytestmark = pytest.mark.slow

PAIRS = ("equity_bond", "equity_oil", "equity_fx")
METHODS = ("zscore", "markov")  # of every pair; some have more
SCENARIOS = yaml.safe_load((PROJECT / "conf/base/scenarios.yml").read_text(encoding="utf-8"))
SLOWEST = ("equity_oil", "markov_slope")  # another pair has this method, too
CELLS = {
    name: [model for model in scenario["models"] if (name, model) != SLOWEST]
    for name, scenario in SCENARIOS["scenarios"]["cross_asset"].items()
}
BASELINES = {
    name
    for name, model in SCENARIOS["models"]["cross_asset"].items()
    if model["estimator"] == "baseline"
}
FEWER_STARTS = {f"models.cross_asset.{one}.n_starts": 1 for one in ("markov", "markov_slope")}
KEY = "hunter2abcdefghijklmnopqrstuvwxy"


@dataclass(frozen=True)
class Ran:
    """A place, and what the newest command on it has said."""

    place: Any
    done: subprocess.CompletedProcess[str]

    @property
    def data(self) -> Path:
        """Where the run wrote."""
        found: Path = self.place.data
        return found

    def table(self, name: str) -> pd.DataFrame:
        """Read a Parquet file below the data."""
        return pd.read_parquet(self.data / f"{name}.parquet")

    def newest(self, name: str) -> Path:
        """Find the newest version of a versioned file."""
        folder = self.data / name
        return max(folder.glob(f"*/{folder.name}"))

    def text(self, name: str) -> str:
        """Read the newest version of a versioned file."""
        return self.newest(name).read_text(encoding="utf-8")

    def rolling(self, pair: str) -> pd.DataFrame:
        """Read a pair's rolling correlation."""
        path = self.data / f"04_feature/{pair}/rolling_correlation.csv"
        return pd.read_csv(path, parse_dates=["date"])

    def record(self, node: str) -> dict[str, Any]:
        """Read a node's checkpoint."""
        path = self.data / f"checkpoints/{node}.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found


def run(
    place: Any, *words: str, params: Mapping[str, object] | None = None, **environment: str
) -> Ran:
    """Run ``kedro run`` on a place's data to its end."""
    given = {"data_root": place.data, **(params or {})}
    text = ",".join(f"{key}={value}" for key, value in given.items())
    done = subprocess.run(
        place.command("run", *words, "--params", text),
        cwd=PROJECT,
        env=place.environment(**environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    return Ran(place, done)


def assert_links_lead_somewhere(path: Path) -> None:
    """Every picture that a Markdown file shows is there."""
    links = re.findall(r"!\[[^]]*\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (path.parent / link).is_file()] == []


# --- embedded data ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def words(make_conf: Callable[..., Any]) -> tuple[str, ...]:
    """Choose the study, without its slowest cell."""
    scenario, model = SLOWEST

    def drop(tree: dict[str, Any]) -> None:
        tree["scenarios"]["cross_asset"][scenario]["models"].remove(model)

    conf = make_conf()
    conf.change("scenarios", drop)
    return "--pipeline", "cross_asset", *conf.words


@pytest.fixture(scope="module")
def default(new_workplace: Callable[[], Any], words: tuple[str, ...]) -> Ran:
    """Run the study once, with one start for each of its slowest fits."""
    return run(new_workplace(), *words, params=FEWER_STARTS)


def test_run_ends_well_and_says_where_its_reports_are(default: Ran) -> None:
    """Status 0, the best of every scenario, an answer to every question, both reports."""
    assert default.done.returncode == 0, default.done.stderr
    assert "Traceback" not in default.done.stderr
    for scenario in (*PAIRS, "correlation_forecast"):
        assert f"best of {scenario}" in default.done.stdout
    assert default.done.stdout.count("answer") == 4
    assert "market_report.html" in default.done.stdout
    assert list((default.data / "outbox").iterdir()) == []


@pytest.mark.parametrize(
    ("first", "last", "expected", "tolerance"),
    [("1960", "1996", 0.28, 0.02), ("2000", "2018", -0.04, 0.03)],
)
def test_stocks_and_bonds_have_changed_their_sign(
    first: str, last: str, expected: float, tolerance: float, default: Ran
) -> None:
    """The known history: positive until the middle of the nineties, about nothing since 2000."""
    rolling = default.rolling("equity_bond").set_index("date")["correlation"]
    assert rolling[first:last].mean() == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("pair", PAIRS)
def test_rolling_correlation_is_a_table_that_people_can_rely_on(pair: str, default: Ran) -> None:
    """``date, correlation, lower, upper``, dates ascending, the band around the value."""
    table = default.rolling(pair)
    assert list(table) == ["date", "correlation", "lower", "upper"]
    assert table["date"].is_monotonic_increasing
    assert table["date"].is_unique
    known = table.dropna()
    assert len(known) > 900
    assert known["correlation"].between(known["lower"], known["upper"]).all()
    assert known[["lower", "upper"]].abs().le(1.0).all(axis=None)
    assert table["correlation"].notna().equals(table["lower"].notna())
    if pair != "equity_bond":
        assert table["date"].dt.day_of_week.lt(5).all()


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("method", METHODS)
def test_regimes_are_a_table_that_people_can_rely_on(pair: str, method: str, default: Ran) -> None:
    """``date, regime, p_0`` and so on; the regime is the likeliest, dates are the features'."""
    table = default.table(f"07_model_output/{pair}/{method}/regimes")
    numbers = [name for name in table if str(name).startswith("p_")]
    assert list(table)[: 2 + len(numbers)] == ["date", "regime", *numbers]
    assert len(numbers) == (3 if method == "zscore" else 2)
    values = table[numbers].to_numpy()
    assert np.allclose(values.sum(axis=1), 1.0)
    assert_array_equal(table["regime"], values.argmax(axis=1))
    features = default.table(f"04_feature/{pair}/features")
    assert table["date"].tolist() == features["date"].tolist()
    model = json.loads(default.text(f"06_models/{pair}/{method}/regime_model.json"))
    assert len(model["names"]) == len(numbers)
    assert [fit["method"] for fit in model["fits"]] == [method] * len(model["fits"])


@pytest.mark.parametrize("pair", PAIRS)
def test_every_cell_is_scored_on_the_same_rows(pair: str, default: Ran) -> None:
    """Finite log scores of the same dates and truths, none before the test."""
    split = json.loads((default.data / f"05_model_input/{pair}/split.json").read_text())
    tables = [default.table(f"07_model_output/{pair}/{model}/scored") for model in CELLS[pair]]
    for table in tables:
        assert np.isfinite(table["log_score"]).all()
        assert table[["date", "y_true"]].equals(tables[0][["date", "y_true"]])
    assert f"{tables[0]['date'].min():%Y-%m-%d}" == split["test_start"]


def test_audits_have_passed(default: Ran) -> None:
    """Neither data, nor pairs, nor forecasts know the future."""
    for name in ("cross_asset", *PAIRS, "correlation_forecast"):
        audit = json.loads((default.data / f"05_model_input/{name}/audit.json").read_text())
        assert audit["passed"], audit["findings"]


def test_reports_are_there_and_whole(default: Ran) -> None:
    """The market report and the study's own pages: every pair, no hole, nothing from elsewhere."""
    text = default.text("08_reporting/cross_asset/market_report.md")
    page = default.text("08_reporting/cross_asset/market_report.html")
    for words in (text, page):
        for label in ("US equities and AAA bonds", "S&P 500 and WTI crude oil"):
            assert label in words.replace("&amp;", "&")
        assert "Regimes by markov" in words
        assert not re.search(r"\bnan\b|\bNone\b|Undefined", words)
    sources = re.findall(r'src="([^"]*)"', page)
    fitted = [model for pair in PAIRS for model in CELLS[pair] if model not in BASELINES]
    assert len(sources) == 2 * len(PAIRS) + 3 * len(fitted) + 1
    assert all(one.startswith("data:image/png;base64,") for one in sources)
    for name in ("report.html", "dq_report.md", "dq_report.html"):
        assert len(default.text(f"08_reporting/cross_asset/{name}")) > 1000


@pytest.mark.parametrize("name", ["market_report", "dq_report"])
def test_pictures_of_the_texts_are_where_they_are_said_to_be(name: str, default: Ran) -> None:
    """A link counts from the folder of the version that shows it."""
    assert_links_lead_somewhere(default.newest(f"08_reporting/cross_asset/{name}.md"))


def test_mlflow_has_one_run_and_one_for_each_cell(default: Ran) -> None:
    """All are finished, and each cell of a pair has its log score."""
    runs = default.place.mlflow_runs("cross_asset")
    assert {one.info.status for one in runs} == {"FINISHED"}
    levels = Counter(one.data.tags["tidemark.level"] for one in runs)
    assert levels == {"run": 1, "cell": sum(len(models) for models in CELLS.values())}
    (markov,) = [one for one in runs if one.info.run_name == "equity_oil.markov"]
    assert np.isfinite(markov.data.metrics["log_score"])


def test_second_run_has_nothing_to_do(default: Ran, words: tuple[str, ...]) -> None:
    """All is fresh, and no run is recorded of nothing."""
    before = len(default.place.mlflow_runs("cross_asset"))
    again = run(default.place, *words, params=FEWER_STARTS)
    assert again.done.returncode == 0, again.done.stderr
    assert "Nothing to do" in again.done.stderr
    assert len(default.place.mlflow_runs("cross_asset")) == before


# --- an earlier day --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def earlier(new_workplace: Callable[[], Any]) -> Ran:
    """Pretend that it is a day in 2012, from the sources to the features of the pairs."""
    return run(
        new_workplace(),
        *("--pipelines", "data_engineering,feature_engineering"),
        *("--namespaces", ",".join(("cross_asset_data", *PAIRS))),
        params={"as_of": "2012-06-29"},
    )


def _assert_same_past(past: pd.DataFrame, whole: pd.DataFrame) -> None:
    """Compare all that was known, bit by bit; nothing of it is missing and nothing is more."""
    assert len(past)
    known = whole[whole["date"] <= past["date"].max()].reset_index(drop=True)
    pd.testing.assert_frame_equal(past, known, check_exact=True)
    for name in past.select_dtypes("float64"):
        assert_array_equal(
            past[name].to_numpy().view("int64"), known[name].to_numpy().view("int64")
        )


def test_earlier_day_leaves_out_what_was_not_known(earlier: Ran) -> None:
    """Nothing is dated later, and the last sessions before it are there."""
    assert earlier.done.returncode == 0, earlier.done.stderr
    levels = earlier.table("02_intermediate/cross_asset/levels")
    assert levels["date"].max() == pd.Timestamp("2012-06-29")
    report = json.loads(earlier.text("08_reporting/cross_asset/validation_report.json"))
    assert report["as_of"] == "2012-06-29"
    assert report["accepted"]


def test_earlier_day_gives_the_levels_and_returns_of_the_whole_run(
    earlier: Ran, default: Ran
) -> None:
    """What is known later changes no level, no return and no aligned pair."""
    _assert_same_past(
        earlier.table("02_intermediate/cross_asset/levels"),
        default.table("02_intermediate/cross_asset/levels"),
    )
    _assert_same_past(
        earlier.table("03_primary/cross_asset/returns"),
        default.table("03_primary/cross_asset/returns"),
    )
    for pair in PAIRS:
        name = f"03_primary/{pair}/processed"
        _assert_same_past(earlier.table(name), default.table(name))


@pytest.mark.parametrize("pair", PAIRS)
def test_earlier_day_gives_the_correlations_and_zscores_of_the_whole_run(
    pair: str, earlier: Ran, default: Ran
) -> None:
    """The text of the correlations is the same, and observations and z-scores are, bit by bit."""
    path = f"04_feature/{pair}/rolling_correlation.csv"
    past = (earlier.data / path).read_text().splitlines()
    assert past == (default.data / path).read_text().splitlines()[: len(past)]
    name = f"04_feature/{pair}/features"
    _assert_same_past(earlier.table(name), default.table(name))
    assert "zscore" in earlier.table(name)


@pytest.mark.parametrize("pair", PAIRS)
def test_earlier_day_gives_the_filtered_probabilities_of_the_whole_run(
    pair: str, earlier: Ran, default: Ran
) -> None:
    """With given parameters, those of the whole run's last fit."""
    model = json.loads(default.text(f"06_models/{pair}/markov/regime_model.json"))
    names = ("transition", "means", "variances", "slopes", "ar")
    parameters = MarkovParameters.from_dict({name: model["fits"][-1][name] for name in names})
    found = []
    for ran in (earlier, default):
        features = ran.table(f"04_feature/{pair}/features")
        one = filter_markov(parameters, features["y"], features["x"])
        found.append(np.column_stack([one.filtered, one.predicted, one.log_scores]))
    past, whole = found
    assert 200 < len(past) < len(whole)
    assert_array_equal(past.view("int64"), whole[: len(past)].view("int64"))


# --- exchange-traded funds -------------------------------------------------------------------


@pytest.fixture(scope="module")
def funds(new_workplace: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run the study of funds with the cheapest methods, because of its data."""
    if not FUNDS.is_file():
        pytest.skip(f"needs the closes of funds in '{FUNDS}'")
    conf = _copy_conf(tmp_path_factory.mktemp("etf"))

    def keep(tree: dict[str, Any]) -> None:
        own = tree["scenarios"]["cross_asset"]
        for name in ("equity_bond", "equity_gold"):
            own[name]["models"] = ["single", "student", "zscore"]
        own["correlation_forecast"] = None

    _change(conf / "etf/scenarios.yml", keep)
    return run(
        new_workplace(),
        *("--env", "etf", "--pipeline", "cross_asset", "--conf-source", str(conf)),
        params={"series_file": FUNDS},
    )


def _copy_conf(folder: Path) -> Path:
    conf: Path = shutil.copytree(PROJECT / "conf", folder / "conf")
    return conf


def _change(path: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    edit(tree)
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")


def test_funds_have_the_known_correlations_by_year(funds: Ran) -> None:
    """SPY and TLT on sessions of New York: weekend rows that the source has filled dilute none."""
    assert funds.done.returncode == 0, funds.done.stderr
    table = pd.read_csv(funds.newest("08_reporting/yearly/equity_bond.csv")).set_index("year")
    known = {2008: -0.487, 2012: -0.651, 2021: -0.138, 2022: 0.084}
    for year, expected in known.items():
        assert table.loc[year, "correlation"] == pytest.approx(expected, abs=0.005)
        assert table.loc[year, "lower"] < expected < table.loc[year, "upper"]
        assert 249 <= table.loc[year, "n"] <= 253


def test_funds_levels_hold_no_row_of_a_weekend_or_holiday(funds: Ran) -> None:
    """All but bitcoin's are on sessions of the exchange."""
    levels = funds.table("02_intermediate/cross_asset/levels")
    own = levels[levels["series"] != "btc_usd"]
    assert set(own["series"]) >= {"spy", "tlt", "gld", "hyg"}
    assert own["date"].dt.day_of_week.lt(5).all()
    days = {f"{day:%m-%d}" for day in own["date"].unique()}
    assert not days & {"12-25", "07-04", "01-01"}
    thanksgivings = ["2014-11-27", "2018-11-22", "2022-11-24"]
    assert not own["date"].isin(pd.to_datetime(thanksgivings)).any()
    report = json.loads(funds.text("08_reporting/cross_asset/validation_report.json"))
    assert report["tables"]["series"]["rows_dropped"] > 904


def test_funds_report_names_the_change_of_sign(funds: Ran) -> None:
    """The year and both correlations, in the text and on the page."""
    for name in ("market_report.md", "market_report.html"):
        words = re.sub(r"\s+", " ", funds.text(f"08_reporting/cross_asset/{name}"))
        assert re.search(r"In 2022 the sign of the year(&#39;|')s correlation changed", words)
        assert re.search(r"\+0\.08\d after -0\.13\d in 2021", words)
    state = json.loads(funds.text("08_reporting/states/equity_bond.json"))
    assert 2022 in [one["year"] for one in state["sign_changes"]]
    assert state["years_say_little"] is False


def test_funds_pair_with_gold_has_its_own_calendar_and_regimes(funds: Ran) -> None:
    """A scenario of the environment alone is studied as all others are."""
    table = funds.table("07_model_output/equity_gold/zscore/regimes")
    assert table["date"].max() == pd.Timestamp("2023-05-18")
    assert table["date"].min() > pd.Timestamp("2004-11-18")


# --- live sources ----------------------------------------------------------------------------

AS_OF = "2020-03-31"
SYMBOLS = {"SPY": "spy", "TLT": "tlt", "GLD": "gld", "EURUSD=X": "eur_usd"}
CODES = {"DCOILWTICO": "wti", "VIXCLS": "vix", "DGS10": "us10y"}
HOLIDAYS = [
    *("2019-01-21", "2019-02-18", "2019-04-19", "2019-05-27", "2019-07-04", "2019-09-02"),
    *("2019-11-28", "2019-12-25", "2020-01-01", "2020-01-20", "2020-02-17"),
]


def _closes(name: str) -> pd.Series:
    """Draw closes of a series on its own days."""
    holidays = [] if name in ("eur_usd", "us10y") else HOLIDAYS
    days = pd.bdate_range("2019-01-02", AS_OF, freq="C", holidays=holidays)
    rng = np.random.default_rng(sum(name.encode()))
    walk = np.exp(0.01 * rng.standard_normal(len(days)).cumsum())
    start = {"eur_usd": 1.1, "vix": 20.0, "us10y": 2.0, "wti": 55.0}.get(name, 150.0)
    return pd.Series((start * walk).round(4), index=days)


def _chart(symbol: str) -> bytes:
    """Write closes as Yahoo does: bars begin at the opening, a currency has no adjusted close."""
    closes = _closes(SYMBOLS[symbol])
    is_currency = symbol.endswith("=X")
    zone = "Europe/London" if is_currency else "America/New_York"
    hour = pd.Timedelta(hours=0 if is_currency else 9.5)
    moments = [int((day + hour).tz_localize(zone).timestamp()) for day in closes.index]
    values = closes.tolist()
    quote = {name: values for name in ("open", "high", "low", "close")}
    indicators: dict[str, Any] = {"quote": [{**quote, "volume": [1000] * len(values)}]}
    if not is_currency:
        indicators["adjclose"] = [{"adjclose": values}]
        indicators["quote"][0]["close"] = [2.0 * one for one in values]  # before distributions
    meta = {"symbol": symbol, "dataGranularity": "1d", "exchangeTimezoneName": zone}
    result = {"meta": meta, "timestamp": moments, "indicators": indicators}
    return pack({"chart": {"result": [result], "error": None}})


def _serve(server: ReplayServer) -> None:
    """Let a server know all that conf/live asks for, with a key and without."""
    for symbol in SYMBOLS:
        server.record(f"/v8/finance/chart/{symbol}", _chart(symbol))
    for code, name in CODES.items():
        rows = [(f"{day:%Y-%m-%d}", f"{value}") for day, value in _closes(name).items()]
        rows[5] = (rows[5][0], ".")
        period = {"realtime_start": AS_OF, "realtime_end": AS_OF}
        observations = [{**period, "date": day, "value": value} for day, value in rows]
        answer = {**period, "count": len(rows), "observations": observations}
        server.record("/fred/series/observations", pack(answer), query={"series_id": code})
        text = "".join(f"{day},{value}\n" for day, value in [("observation_date", code), *rows])
        server.record(
            "/graph/fredgraph.csv", text.encode(), query={"id": code}, content_type="text/csv"
        )


@pytest.fixture(scope="module")
def live_conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the configuration, with short waits in the place of long ones."""
    conf = _copy_conf(tmp_path_factory.mktemp("live"))
    haste = {"first_delay_seconds": 0.02, "jitter_seconds": 0.02}
    _change(conf / "base/retries.yml", lambda tree: tree["retries"]["jobs"]["fetch"].update(haste))

    def hurry(tree: dict[str, Any]) -> None:
        for source in ("yahoo", "fred"):
            args = tree[f"cross_asset_data.{source}.source"].setdefault("download_args", {})
            args |= {"requests_per_second": 1000, "read_timeout_seconds": 5}

    _change(conf / "live/catalog_cross_asset.yml", hurry)
    return conf


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    """Run a server of what conf/live asks for, for one test."""
    with ReplayServer() as own:
        _serve(own)
        thread = threading.Thread(target=own.serve_forever, args=(0.01,))
        thread.start()
        yield own
        own.stopping.set()
        own.shutdown()
        thread.join()


def fetch(place: Any, server: ReplayServer, conf: Path, *words: str, key: str = "") -> Ran:
    """Fetch and check live data."""
    return run(
        place,
        *("--env", "live", "--pipeline", "cross_asset", "--conf-source", str(conf)),
        *("--to-nodes", "cross_asset_data.accept", *words),
        params={
            "as_of": AS_OF,
            "yahoo_url": server.base,
            "fred_url": f"{server.base}/fred",
            "fred_graph_url": f"{server.base}/graph/fredgraph.csv",
        },
        NO_PROXY="127.0.0.1",
        FRED_API_KEY=key,
    )


def assert_levels_are_true(ran: Ran) -> None:
    """Compare every accepted level with what was sent, to the last digit."""
    levels = ran.table("02_intermediate/cross_asset/levels").set_index(["series", "date"])["value"]
    names = [*SYMBOLS.values(), *CODES.values()]
    assert set(levels.index.get_level_values("series")) == set(names)
    for name in names:
        expected = _closes(name)
        if name in CODES.values():
            expected = expected.drop(expected.index[5])
        found = levels[name]
        assert (name, found.index.tolist()) == (name, expected.index.tolist())
        assert_array_equal(found, expected)


def assert_key_is_nowhere(ran: Ran) -> None:
    """Look for the key in the terminal's output and in every file of the run, MLflow's too."""
    secrets = {KEY, quote_plus(KEY)}
    said = (ran.done.stdout + ran.done.stderr).splitlines()
    assert not [line for line in said for one in secrets if one in line]
    files = [path for path in ran.place.root.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"mlflow.db", "pipeline.log"}
    assert not [path for path in files for one in secrets if one.encode() in path.read_bytes()]


def test_live_sources_are_tried_again_then_stand_in_for_themselves(
    workplace: Any, server: ReplayServer, live_conf: Path
) -> None:
    """Faults that pass cost tries and no data; a source that stays down leaves what it sent."""
    server.retry_after = "0.1"
    server.fail("garbage", "truncated", "page", "429", path="/v8/finance/chart/TLT")
    server.fail("500", "cut", "truncated", path="/fred/")
    first = fetch(workplace, server, live_conf, key=KEY)
    assert first.done.returncode == 0, first.done.stderr
    assert_levels_are_true(first)
    assert any(KEY in address for address in server.asked)
    for source, n_failed in (("yahoo", 4), ("fred", 3)):
        record = first.record(f"cross_asset_data.{source}.fetch")
        assert len(record["attempts"]) == n_failed
        assert record["incidents"] == []
    assert_key_is_nowhere(first)

    server.fail("garbage", path="/v8/", always=True)
    server.fail("closed", path="/fred/", always=True)
    down = fetch(workplace, server, live_conf, "--force", key=KEY)
    assert down.done.returncode == 0, down.done.stderr
    assert_levels_are_true(down)
    for source, series in (("yahoo", SYMBOLS), ("fred", CODES)):
        found = down.record(f"cross_asset_data.{source}.fetch")["incidents"]
        assert [one["kind"] for one in found] == ["degraded"] * len(series)
        told = [one["message"] for one in found]
        assert all(f"of {AS_OF} stands in" in words for words in told)
        assert all(sum(f"'{code}'" in words for words in told) == 1 for code in series)
    assert "degraded" in down.done.stdout
    newest = workplace.mlflow_runs("cross_asset")[0]
    assert "stands in" in newest.data.tags["tidemark.degraded"]
    assert_key_is_nowhere(down)


@pytest.mark.parametrize(
    ("fault", "words"), [("closed", "could not be read"), ("truncated", "cannot be read as")]
)
def test_live_source_that_fails_without_a_cache_ends_the_run(
    fault: str, words: str, workplace: Any, server: ReplayServer, live_conf: Path
) -> None:
    """Status 1, the series, the reason and the remedy; no level is accepted from half a source."""
    server.fail(fault, path="/graph/", always=True)
    ran = fetch(workplace, server, live_conf)
    assert ran.done.returncode == 1, ran.done.stderr
    assert "Series 'DGS10' (us10y)" in ran.done.stderr
    assert words in ran.done.stderr
    assert "no cached file" in ran.done.stderr
    assert "Blocked" in ran.done.stderr
    assert "Traceback" not in ran.done.stderr
    assert not (ran.data / "02_intermediate/cross_asset/levels.parquet").exists()
    assert not (ran.data / "01_raw/cross_asset/fred").exists()


def test_live_key_that_is_refused_is_told_to_nobody(
    workplace: Any, server: ReplayServer, live_conf: Path
) -> None:
    """An answer that repeats the key reaches no terminal, log, checkpoint or MLflow record."""
    refusal = {"error_code": 400, "error_message": f"Bad Request. {KEY} is not registered."}
    server.record("/fred/series/observations", pack(refusal), status=400)
    for code in CODES:
        query = {"series_id": code}
        server.record("/fred/series/observations", pack(refusal), query=query, status=400)
    ran = fetch(workplace, server, live_conf, key=KEY)
    assert ran.done.returncode == 1, ran.done.stderr
    assert "is not registered" in ran.done.stderr
    assert any(KEY in address for address in server.asked)
    assert len([one for one in server.asked if one.startswith("/fred/")]) == 1  # never tried again
    assert_key_is_nowhere(ran)


def test_live_key_is_not_shown_to_whoever_wants_to_see_all(
    workplace: Any, server: ReplayServer, live_conf: Path
) -> None:
    """--verbose shows Kedro's own lines too, and of them none may hold the key."""
    ran = fetch(workplace, server, live_conf, "--verbose", key=KEY)
    assert ran.done.returncode == 0, "the run has failed"
    assert "DEBUG" in ran.done.stderr
    assert_key_is_nowhere(ran)


def test_live_without_a_key_leaves_out_what_was_not_yet_published(
    workplace: Any, server: ReplayServer, live_conf: Path
) -> None:
    """Oil is a week late, and no level has a vintage."""
    ran = fetch(workplace, server, live_conf)
    assert ran.done.returncode == 0, ran.done.stderr
    levels = ran.table("02_intermediate/cross_asset/levels")
    last = levels.groupby("series")["date"].max()
    assert last["wti"] == pd.Timestamp("2020-03-24")
    assert last["vix"] == last["us10y"] == pd.Timestamp("2020-03-30")
    assert last["spy"] == pd.Timestamp(AS_OF)
    (raw,) = (ran.data / "01_raw/cross_asset/fred").glob("*.parquet")
    assert pd.read_parquet(raw)["vintage"].isna().all()
