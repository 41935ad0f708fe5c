"""``tidemark rolling-corr``: any file, from any folder, and an .ok file for a success alone."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from numpy.testing import assert_allclose
from scipy.stats import pearsonr, spearmanr

from tidemark.cli.rolling_corr import rolling_corr

WINDOW = 20
# Of the New York Stock Exchange in 2019, as it has published them.
HOLIDAYS = [
    *("2019-01-21", "2019-02-18", "2019-04-19", "2019-05-27", "2019-07-04", "2019-09-02"),
    *("2019-11-28", "2019-12-25"),
]


def make_wide() -> pd.DataFrame:
    """Draw closes of two funds on the sessions of New York."""
    sessions = pd.bdate_range("2019-01-02", "2019-12-31", freq="C", holidays=HOLIDAYS)
    rng = np.random.default_rng(11)
    common = rng.standard_normal((len(sessions), 1))
    moves = 0.01 * (np.array([0.8, -0.6]) * common + rng.standard_normal((len(sessions), 2)))
    closes = pd.DataFrame(100.0 * np.exp(moves.cumsum(axis=0)), columns=["SPY", "TLT"])
    return closes.assign(date=sessions)[["date", "SPY", "TLT"]]


def correlate(closes: pd.DataFrame, window: int) -> pd.Series:
    """Correlate each full window of log returns by NumPy; NaN where it lacks one."""
    returns = np.log(closes.set_index("date")).diff().iloc[1:]
    values = returns.to_numpy()
    found = [math.nan] * (window - 1)
    for end in range(window, len(values) + 1):
        found.append(np.corrcoef(values[end - window : end].T)[0, 1])
    return pd.Series(found, index=returns.index)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Undo what the command does to the root logger of its process."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    levels = [handler.level for handler in handlers]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    for handler, own in zip(handlers, levels, strict=True):
        handler.setLevel(own)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with a wide file in it."""
    monkeypatch.chdir(tmp_path)
    make_wide().to_csv("prices.csv", index=False)
    return tmp_path


def run(*words: str, prices: str = "prices.csv", out: str = "out.csv") -> Result:
    """Run the command in this process; a later option wins."""
    given = ("--prices", prices, "--eq-col", "SPY", "--bond-col", "TLT", "--out", out)
    options = ("--window", str(WINDOW), *words)
    return CliRunner().invoke(rolling_corr, [*given, *options], prog_name="tidemark rolling-corr")


def start(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    return subprocess.run(
        [sys.executable, "-m", "tidemark", "rolling-corr", *words],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def read(path: str = "out.csv") -> pd.DataFrame:
    """Read what was written."""
    return pd.read_csv(path, parse_dates=["date"])


def to_long(wide: pd.DataFrame) -> pd.DataFrame:
    """Stack a wide table, in no order."""
    long = wide.melt("date", var_name="series", value_name="value")
    return long.sample(frac=1.0, random_state=3)


def to_panel(wide: pd.DataFrame) -> pd.DataFrame:
    """Stack a wide table as a panel of prices, with a close that is not to be used."""
    long = to_long(wide).rename(columns={"series": "ticker", "value": "adj_close"})
    return long.assign(close=1.0)


@pytest.mark.parametrize("shape", [pd.DataFrame.copy, to_long, to_panel])
@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_every_shape_and_format_gives_what_numpy_gives(
    folder: Path, shape: Callable[[pd.DataFrame], pd.DataFrame], kind: str
) -> None:
    """Window by window the correlation of log returns, with Fisher's interval of SciPy."""
    wide = make_wide()
    table, path = shape(wide), f"table.{kind}"
    if kind == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False)
    result = run(prices=path)
    assert result.exit_code == 0, result.output
    found, expected = read(), correlate(wide, WINDOW)
    assert list(found) == ["date", "correlation", "lower", "upper"]
    assert found["date"].tolist() == expected.index.tolist()
    assert_allclose(found["correlation"], expected, atol=1e-9)
    returns = np.log(wide[["SPY", "TLT"]]).diff().iloc[-WINDOW:].to_numpy()
    interval = pearsonr(*returns.T).confidence_interval(0.95)
    assert_allclose(found[["lower", "upper"]].iloc[-1], interval, atol=1e-9)
    assert f"{expected.iloc[-1]:+.3f} [" in result.output
    assert (folder / "out.ok").read_bytes() == b""


def test_rows_on_weekends_and_holidays_are_left_out(folder: Path) -> None:
    """A table that was filled on all days gives the same file, byte by byte."""
    assert run().exit_code == 0
    wide = make_wide().set_index("date")
    every_day = wide.reindex(pd.date_range(wide.index[0], wide.index[-1], name="date")).ffill()
    assert len(every_day) > len(wide) + 100
    every_day.to_csv("filled.csv")
    result = run(prices="filled.csv", out="filled_out.csv")
    assert result.exit_code == 0, result.output
    assert Path("filled_out.csv").read_bytes() == Path("out.csv").read_bytes()
    log = Path("logs/rolling_corr.log").read_text()
    assert f"{2 * (len(every_day) - len(wide))} on other days were left out" in log


def test_missing_close_makes_no_return(folder: Path) -> None:
    """Neither over two sessions nor of zero; windows with too few are NaN unless allowed."""
    wide = make_wide()
    wide.loc[100, "TLT"] = np.nan
    wide.to_csv("hole.csv", index=False)
    assert run(prices="hole.csv").exit_code == 0
    returns = np.log(wide.set_index("date")).diff().iloc[1:]
    strict = read()["correlation"].to_numpy()
    assert np.isnan(strict[99 : 99 + WINDOW + 1]).all()
    assert np.isfinite(strict[[98, 99 + WINDOW + 1]]).all()
    assert run("--min-periods", "10", prices="hole.csv").exit_code == 0
    part = returns.iloc[105 - WINDOW + 1 : 106].dropna().to_numpy()
    assert len(part) == WINDOW - 2
    assert read()["correlation"][105] == pytest.approx(np.corrcoef(part.T)[0, 1], abs=1e-9)


def test_later_rows_change_no_earlier_one(folder: Path) -> None:
    """A shorter file gives the first lines of the longer one's output."""
    assert run().exit_code == 0
    make_wide().head(150).to_csv("short.csv", index=False)
    assert run(prices="short.csv", out="short_out.csv").exit_code == 0
    short = Path("short_out.csv").read_text().splitlines()
    assert len(short) == 150
    assert short == Path("out.csv").read_text().splitlines()[:150]


def test_method_and_level_are_those_that_are_asked_for(folder: Path) -> None:
    """Ranks in place of returns, and an interval of another coverage."""
    assert run("--method", "spearman", "--level", "0.8").exit_code == 0
    found = read()
    last = np.log(make_wide()[["SPY", "TLT"]]).diff().iloc[-WINDOW:].to_numpy()
    assert found["correlation"].iloc[-1] == pytest.approx(spearmanr(*last.T).statistic, abs=1e-9)
    z = np.arctanh(found["correlation"].iloc[-1])
    reach = 1.2815515655446004 / math.sqrt(WINDOW - 3)
    assert_allclose(found[["lower", "upper"]].iloc[-1], np.tanh([z - reach, z + reach]), atol=1e-9)


def test_names_are_found_as_people_write_them(folder: Path) -> None:
    """Case and signs do not matter."""
    make_wide().rename(columns={"SPY": "brk-b"}).to_csv("named.csv", index=False)
    result = run("--eq-col", "BRK-B", "--bond-col", "tlt", prices="named.csv")
    assert result.exit_code == 0, result.output
    assert_allclose(read()["correlation"], correlate(make_wide(), WINDOW), atol=1e-9)


def test_ok_is_written_last_and_stays_away_from_a_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sees it sees the whole table; a table that cannot be written has none."""
    module = import_module("tidemark.cli.rolling_corr")
    write, written = module.write_aside, []

    def spy(path: Path, content: Any) -> None:
        assert not Path("out.ok").exists()
        write(path, content)
        written.append(path.name)

    monkeypatch.setattr(module, "write_aside", spy)
    assert run().exit_code == 0
    assert written == ["out.csv", "out.ok"]

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_aside", full)
    result = run()
    assert result.exit_code == 1
    assert "No space left on device" in result.output
    assert not Path("out.ok").exists()


def _bad_value(wide: pd.DataFrame) -> pd.DataFrame:
    return wide.astype({"TLT": "object"}).assign(TLT=lambda t: t["TLT"].mask(t.index == 7, "n.a."))


def _twice(wide: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([wide, wide.iloc[[9]].assign(TLT=1.0)])


@pytest.mark.parametrize(
    ("spoil", "words", "fault"),
    [
        (pd.DataFrame.copy, ("--bond-col", "AGG"), "'AGG'; found spy, tlt"),
        (pd.DataFrame.copy, ("--window", "400"), "has 400 returns of both"),
        (pd.DataFrame.copy, ("--calendar", "XNOWHERE"), "'XNOWHERE' does not exist"),
        (lambda t: t.head(WINDOW), (), f"has {WINDOW} returns of both"),
        (lambda t: t.head(0), (), "There is no column or series"),
        (_bad_value, (), "'n.a.'"),
        (_twice, (), "repeat a date and series: 2019-01-15"),
        (lambda t: t.drop(columns="date"), (), "0 date columns"),
        (lambda t: t.assign(date="01/02/2019"), (), "YYYY-MM-DD"),
    ],
)
def test_data_that_cannot_be_used_are_refused_with_2(
    folder: Path, spoil: Callable[[pd.DataFrame], pd.DataFrame], words: tuple[str, ...], fault: str
) -> None:
    """The message names the fault, on the terminal and in the log; an older .ok file is gone."""
    assert run().exit_code == 0
    before = Path("out.csv").read_bytes()
    spoil(make_wide()).to_csv("bad.csv", index=False)
    result = run(*words, prices="bad.csv")
    assert result.exit_code == 2, result.output
    assert fault in result.output
    assert "Traceback" not in result.output
    assert fault in Path("logs/rolling_corr.log").read_text()
    assert not Path("out.ok").exists()
    assert Path("out.csv").read_bytes() == before


def test_file_that_is_no_table_is_refused(folder: Path) -> None:
    """Another ending, and bytes that are none of what the ending says."""
    Path("prices.txt").write_text("date,SPY,TLT\n")
    assert "must end in" in run(prices="prices.txt").output
    Path("garbage.parquet").write_bytes(bytes(range(256)))
    result = run(prices="garbage.parquet")
    assert result.exit_code == 2
    assert "'garbage.parquet' cannot be used" in result.output
    assert not Path("out.ok").exists()


def test_packed_file_that_breaks_off_is_refused(folder: Path) -> None:
    """A download that was cut says which file cannot be used."""
    make_wide().to_csv("cut.csv.gz", index=False)
    Path("cut.csv.gz").write_bytes(Path("cut.csv.gz").read_bytes()[:2000])
    result = run(prices="cut.csv.gz")
    assert result.exit_code in (1, 2)
    assert "cut.csv.gz" in result.output
    assert "Aborted" not in result.output


@pytest.mark.parametrize("case", ["holes", "constant"])
def test_data_without_any_full_window_are_refused(folder: Path, case: str) -> None:
    """A close that is missing every tenth day, and one that never moves: nothing to be said."""
    wide = make_wide()
    if case == "holes":
        wide.loc[::10, "TLT"] = np.nan
    else:
        wide["TLT"] = 5.0
    wide.to_csv("holes.csv", index=False)
    result = run(prices="holes.csv")
    assert not isinstance(result.exception, IndexError)
    assert result.exit_code == 2
    assert not Path("out.ok").exists()


def test_more_periods_than_the_window_are_a_wrong_usage(folder: Path) -> None:
    """No window of 20 holds 30 returns."""
    result = run("--min-periods", "30")
    assert not isinstance(result.exception, ValueError)
    assert result.exit_code in (2, 64)
    assert "min_periods" in result.output or "min-periods" in result.output


def test_folder_of_logs_that_cannot_be_made_is_said(folder: Path) -> None:
    """A file stands in the way: status 1, a sentence, and no .ok of an earlier success."""
    assert run().exit_code == 0
    result = run("--logs", "prices.csv")
    assert result.exit_code == 1
    assert not isinstance(result.exception, OSError)
    assert not Path("out.ok").exists()


def test_output_in_the_place_of_the_input_is_refused(folder: Path) -> None:
    """Nobody means to lose the prices."""
    before = Path("prices.csv").read_bytes()
    run(out="prices.csv")
    assert Path("prices.csv").read_bytes() == before


def test_log_holds_the_newest_run_alone(folder: Path) -> None:
    """What was read, what was left out and how long it took."""
    run("--bond-col", "AGG")
    assert run().exit_code == 0
    log = Path("logs/rolling_corr.log").read_text()
    assert "AGG" not in log
    assert f"{2 * len(make_wide())} levels on sessions of XNYS; 0 on other days" in log
    assert "rows to 'out.csv' in" in log


def test_command_works_outside_the_project_with_relative_paths(tmp_path: Path) -> None:
    """Folders are made; nothing is written anywhere else."""
    make_wide().to_csv(tmp_path / "prices.csv", index=False)
    words = ("--prices", "prices.csv", "--eq-col", "SPY", "--bond-col", "TLT", "--window", "60")
    done = start(*words, "--out", "deep/er/out.csv", "--logs", "notes", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = correlate(make_wide(), 60)
    found = read(str(tmp_path / "deep/er/out.csv"))
    assert_allclose(found["correlation"], expected, atol=1e-9)
    assert f"{expected.iloc[-1]:+.3f}" in done.stdout
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert names == {"prices.csv", "deep/er/out.csv", "deep/er/out.ok", "notes/rolling_corr.log"}


def test_each_kind_of_failure_has_its_exit_status(tmp_path: Path) -> None:
    """64 for a misspelt option, 1 for a file that is not there, 2 for data that are refused."""
    make_wide().head(10).to_csv(tmp_path / "few.csv", index=False)
    given = ("--eq-col", "SPY", "--bond-col", "TLT", "--out", "out.csv")
    for words, status in (("few.csv --widow 5", 64), ("absent.csv", 1)):
        done = start("--prices", *words.split(), *given, cwd=tmp_path)
        assert done.returncode == status, done.stderr
        assert words.split()[-1] in done.stderr or "--widow" in done.stderr
    refused = start("--prices", "few.csv", *given, cwd=tmp_path)
    assert refused.returncode == 2
    assert "has 60 returns of both" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "out.ok").exists()


def test_terminal_shows_each_word_once(tmp_path: Path) -> None:
    """A success is one line, a refusal one sentence."""
    make_wide().head(10).to_csv(tmp_path / "few.csv", index=False)
    given = ("--eq-col", "SPY", "--bond-col", "TLT", "--out", "out.csv")
    refused = start("--prices", "few.csv", *given, cwd=tmp_path)
    assert (refused.stdout + refused.stderr).count("has 60 returns of both") == 1
