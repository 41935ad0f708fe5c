"""``tidemark rolling-corr``: the rolling correlation of two columns of any file."""

from __future__ import annotations

import logging
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidemark import errors, logs
from tidemark.files import write_aside

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

_FILE = click.Path(dir_okay=False, path_type=Path)
_TASK = "rolling_corr"


@click.command("rolling-corr")
@click.option("--prices", required=True, type=_FILE, help="CSV or Parquet: wide or long prices.")
@click.option("--eq-col", required=True, help="Column or series of the equity, such as SPY.")
@click.option("--bond-col", required=True, help="Column or series of the bond, such as TLT.")
@click.option("--window", default=60, show_default=True, type=click.IntRange(min=4))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--min-periods", default=None, type=click.IntRange(min=4), help="Returns that a window needs."
)
@click.option(
    "--method", default="pearson", show_default=True, type=click.Choice(["pearson", "spearman"])
)
@click.option(
    "--calendar",
    default="XNYS",
    show_default=True,
    help="Sessions of both: a code of exchange_calendars, weekdays, 24/7 or months.",
)
@click.option("--level", default=0.95, show_default=True, type=click.FloatRange(0.5, 0.999))
@click.option(
    "--logs", "folder", default=Path("logs"), show_default=True, type=click.Path(path_type=Path)
)
def rolling_corr(  # noqa: PLR0913, PLR0917 - one argument for each option
    prices: Path,
    eq_col: str,
    bond_col: str,
    window: int,
    out: Path,
    min_periods: int | None,
    method: str,
    calendar: str,
    level: float,
    folder: Path,
) -> None:
    """Correlate the daily log returns of an equity and a bond over a rolling window.

    Writes ``date, correlation, lower, upper`` to OUT, with Fisher's interval; then an empty file
    of the same name that ends in .ok. Rows on days without session (weekends and holidays that a
    source has filled) are left out. The log is rolling_corr.log in the folder of logs.

    Exit status: 0 success, 1 a file cannot be read or written, 2 the data are refused.
    """
    ok = out.with_suffix(".ok")
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    started = time.monotonic()
    logs.quieten_terminal(logging.CRITICAL)  # whose words are those at the end
    log = None
    try:
        ok.unlink(missing_ok=True)
        log = logs.open_task_log(folder, _TASK)
        if out.resolve() == prices.resolve():
            raise errors.DataError(f"'{out}' holds the prices. Give --out another name.")
        levels = _read(prices)
        table = _correlate(levels, (eq_col, bond_col), window, min_periods, method, calendar, level)
        write_aside(out, table.to_csv(index=False))
        write_aside(ok, b"")
        known = table.dropna(subset="correlation")
        logger.info("%d rows to '%s' in %.2f s", len(table), out, time.monotonic() - started)
    except (errors.TidemarkError, OSError) as error:
        logger.error("%s", error)
        click.echo(str(error), err=True)
        click.get_current_context().exit(
            error.exit_status if isinstance(error, errors.TidemarkError) else errors.EXIT_ERROR
        )
    finally:
        if log is not None:
            logs.close_task_log(log)
    last = known.iloc[-1]
    click.echo(
        f"{last['correlation']:+.3f} [{last['lower']:+.3f}, {last['upper']:+.3f}] on "
        f"{last['date']:%Y-%m-%d}; {len(known)} of {len(table)} sessions have a full window; {out}"
    )


def _read(path: Path) -> pd.DataFrame:
    """Read long levels out of a file.

    Raises
    ------
    DataError
        If the file is neither CSV nor Parquet, or its table has no shape that can be read.
    """
    import pandas as pd

    from tidemark.domain.series import read_levels

    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
        elif path.name.endswith((".csv", ".csv.gz")):
            frame = pd.read_csv(path)
        else:
            raise errors.DataError(f"'{path}' must end in .csv, .csv.gz or .parquet.")
        return read_levels(frame)
    except (ValueError, EOFError, zlib.error) as error:  # pyarrow's and pandas' among them
        raise errors.DataError(f"'{path}' cannot be used: {error}") from error


def _correlate(
    levels: pd.DataFrame,
    columns: tuple[str, str],
    window: int,
    min_periods: int | None,
    method: str,
    calendar: str,
    level: float,
) -> pd.DataFrame:
    from tidemark.domain.alignment import align_calendar, drop_off_session
    from tidemark.domain.asset_returns import compute_returns
    from tidemark.domain.correlation import count_pairs, rolling_correlation
    from tidemark.domain.correlation_bands import fisher_band
    from tidemark.domain.series import MONTHS, Frequency, SeriesDefinition, normalise_name
    from tidemark.domain.sessions import list_sessions

    names = [normalise_name(column) for column in columns]
    if names[0] == names[1]:
        raise errors.DataError(f"--eq-col and --bond-col both name '{names[0]}'. Name two.")
    known = sorted(set(levels["series"]))
    for column, name in zip(columns, names, strict=True):
        if name not in known:
            shown = errors.describe_examples(known, 12)
            raise errors.DataError(f"There is no column or series '{column}'; found {shown}.")
    frequency: Frequency = "monthly" if calendar == MONTHS else "daily"
    own = levels[levels["series"].isin(names)].dropna(subset="value")
    twice = own[own.duplicated(["date", "series"])]
    if len(twice):
        days = errors.describe_examples(f"{day:%Y-%m-%d}" for day in twice["date"])
        raise errors.DataError(f"{len(twice)} rows repeat a date and series: {days}. Keep one.")
    try:
        definitions = [
            SeriesDefinition(name, "price", "log_return", calendar, frequency=frequency)
            for name in dict.fromkeys(names)
        ]
        kept, dropped = drop_off_session(own, definitions)
        if kept.empty:
            raise ValueError(f"no level of {' or '.join(columns)} is on a session of {calendar}")
        sessions = list_sessions(calendar, kept["date"].min(), kept["date"].max())
        aligned = align_calendar(kept, definitions, sessions, 0)
    except ValueError as error:
        raise errors.DataError(str(error)) from error
    logger.info(
        "%d levels on sessions of %s; %d on other days were left out (%d of them filled)",
        len(kept),
        calendar,
        len(dropped),
        int((dropped["reason"] == "filled").sum()),
    )
    returns = compute_returns(aligned.levels, aligned.filled, definitions)
    both = returns.dropna()
    span = returns.loc[both.index[0] :] if len(both) else returns
    left, right = span[names[0]], span[names[1]]
    try:
        correlation = rolling_correlation(left, right, window, min_periods, method)
        n_obs = count_pairs(left, right, window)
        lower, upper = fisher_band(correlation, n_obs, level)
    except ValueError as error:
        raise errors.DataError(str(error)) from error
    if correlation.isna().all():
        raise errors.DataError(
            f"No window of {window} sessions has {min_periods or window} returns of both "
            f"{' and '.join(columns)}; the fullest has {int(n_obs.max())}. Give more data, a "
            f"shorter --window, or fewer --min-periods."
        )
    table = {"correlation": correlation, "lower": lower, "upper": upper}
    import pandas as pd

    return pd.DataFrame(table).rename_axis("date").reset_index()
