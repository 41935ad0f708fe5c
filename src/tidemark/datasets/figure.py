"""A figure that was rendered as PNG: stored and loaded as bytes."""

import base64
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview

from tidemark.files import write_aside

# A transparent pixel, for viewers that cannot do without an image.
_NO_IMAGE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAAC0lEQVR42mNgAAIAAAUAAen63NgAAAAASUVORK5CYII="
)


class FigureDataset(AbstractDataset[bytes, bytes]):
    """Store the bytes of a PNG; an empty file stands for a figure that could not be drawn.

    Unlike `kedro_datasets.matplotlib.MatplotlibDataset` it can be loaded, so that a node can
    depend on a figure. It does not draw: what fails while drawing belongs to the node.

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

    def save(self, data: bytes) -> None:
        """Store the PNG's bytes."""
        write_aside(self._filepath, data)

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
        return ImagePreview(base64.b64encode(self.load()).decode("ascii") or _NO_IMAGE)

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
