"""A figure: drawn by Matplotlib, stored as PNG, loaded as bytes."""

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview

from tidemark.files import write_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class FigureDataset(AbstractDataset[Any, bytes]):
    """Save a `matplotlib.figure.Figure` as PNG; load the PNG's bytes.

    Unlike `kedro_datasets.matplotlib.MatplotlibDataset` it can be loaded, so that a node can
    depend on a figure, and it does without pyplot. The file holds no date and no version: the
    same figure gives the same bytes.

    Parameters
    ----------
    filepath : str
        Path of the PNG file.
    metadata : dict, optional
        For other tools; not read here.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def save(self, data: "Figure") -> None:
        """Draw the figure and store it."""
        buffer = io.BytesIO()
        data.savefig(buffer, format="png", metadata={"Software": None})
        write_aside(self._filepath, buffer.getvalue())

    def load(self) -> bytes:
        """Read the PNG's bytes.

        Raises
        ------
        DatasetError
            If the file is absent.
        """
        try:
            return self._filepath.read_bytes()
        except FileNotFoundError as error:
            raise DatasetError(f"There is no figure '{self._filepath}'.") from error

    # kedro-viz reads this annotation at run time, so annotations are not deferred in this module.
    def preview(self) -> ImagePreview:
        """Return the figure as kedro-viz shows it."""
        return ImagePreview(base64.b64encode(self.load()).decode("ascii"))

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
