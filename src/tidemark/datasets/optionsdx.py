"""End-of-day chains in the layout of OptionsDX."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemark.datasets.chain_file import ChainFileDataset

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_BLANKS = ["", " "]
# Small blocks stay in the processor's cache while they are parsed; large chunks cost fewer calls.
_BLOCK_BYTES = 2 << 20
_MIN_ROWS = 131_072


class OptionsDXDataset(ChainFileDataset):
    """Read text files of OptionsDX in chunks of whole days; they are never written.

    Names stand in brackets, blanks follow the commas, a row holds a call and a put, sizes are
    written ``59 x 59``. The layout says neither underlying nor root nor terms.

    Parameters
    ----------
    filepath : str
        A ``.txt`` or ``.csv`` file, or a folder of them, read in the order of their names.
    underlying : str
        The symbol that the options are on.
    root : str, optional
        The root of the contracts; the underlying's symbol, if not given.
    settlement : str
        ``am`` or ``pm``.
    exercise_style : str
        ``american`` or ``european``.
    metadata : dict, optional
        For other tools; not read here.
    """

    suffixes = (".txt", ".csv", ".txt.gz", ".csv.gz")
    min_rows = _MIN_ROWS

    def __init__(
        self,
        filepath: str,
        underlying: str,
        root: str | None = None,
        settlement: Any = "pm",
        exercise_style: Any = "american",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        from tidemark.domain.chains import Terms

        super().__init__(filepath, metadata)
        self._underlying = underlying
        self._root = root or underlying
        self._terms = Terms(settlement, exercise_style)

    @property
    def date_column(self) -> str:
        """The column of the quote date."""
        return "QUOTE_DATE"

    def check(self, file: Path) -> None:
        """Refuse a file without the columns that are needed, with a ValueError."""
        from tidemark.domain.chains import require_columns
        from tidemark.domain.optionsdx_layout import COLUMNS

        require_columns(read_header(file), COLUMNS, f"'{file.name}'")

    def read_tables(self, file: Path) -> Iterator[pa.Table]:
        """Read one file in pieces."""
        import pyarrow as pa

        from tidemark.domain import optionsdx_layout as layout

        types: dict[str, Any] = dict.fromkeys(layout.NUMBERS, pa.float64())
        types |= dict.fromkeys(layout.DATES, pa.date32())
        types |= dict.fromkeys(layout.SIZES, pa.dictionary(pa.int32(), pa.string()))
        yield from read_csv(file, types, layout.COLUMNS)

    def convert(self, table: pa.Table, name: str) -> pd.DataFrame:
        """Convert one piece to a canonical table."""
        from tidemark.domain.optionsdx_layout import convert_optionsdx

        frame = table.unify_dictionaries().to_pandas(date_as_object=False, split_blocks=True)
        return convert_optionsdx(frame, self._underlying, self._root, self._terms)

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "underlying": self._underlying, "root": self._root}


def read_header(file: Path) -> list[str]:
    """Read the names of a text file's columns, without blanks and brackets around them."""
    import pyarrow as pa

    with pa.input_stream(str(file), compression="detect") as stream:
        head = stream.read(1 << 16).partition(b"\n")[0].decode("utf-8-sig", errors="replace")
    return [name.strip().strip("[]").strip() for name in head.split(",")]


def read_csv(
    file: Path,
    types: dict[str, Any],
    columns: tuple[str, ...],
    date_formats: list[str] | None = None,
) -> Iterator[pa.Table]:
    """Read some columns of a text in pieces; a cell that is no number is a ValueError."""
    import pyarrow as pa
    import pyarrow.csv as pc

    # Arrow reads ahead in threads of its own: a stream of ours could be closed under its hands.
    reader = pc.open_csv(
        str(file),
        read_options=pc.ReadOptions(
            column_names=read_header(file), skip_rows=1, block_size=_BLOCK_BYTES
        ),
        convert_options=pc.ConvertOptions(
            column_types=types,
            include_columns=list(columns),
            null_values=_BLANKS,
            strings_can_be_null=True,
            timestamp_parsers=date_formats,
        ),
    )
    with reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])
