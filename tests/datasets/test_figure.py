"""Figures are stored as the bytes that they were rendered to; an empty file is a missing one."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from kedro.io import DatasetError
from matplotlib import image
from matplotlib.figure import Figure

from tidemark.datasets.figure import FigureDataset
from tidemark.domain.figures import render_png


def test_figure_bytes_come_back(tmp_path: Path) -> None:
    """What is stored is what was given, in a folder that is made for it."""
    dataset = FigureDataset(str(tmp_path / "deep" / "one.png"))
    content = render_png(Figure(figsize=(1, 1)))
    assert not dataset.exists()
    dataset.save(content)
    assert dataset.exists()
    assert dataset.load() == content
    assert (tmp_path / "deep" / "one.png").read_bytes() == content


def test_figure_that_is_missing_is_an_empty_file(tmp_path: Path) -> None:
    """A missing figure exists as a dataset: a node can depend on it and find it empty."""
    dataset = FigureDataset(str(tmp_path / "one.png"))
    dataset.save(b"")
    assert dataset.exists()
    assert dataset.load() == b""
    assert (tmp_path / "one.png").stat().st_size == 0


def test_figure_that_was_never_saved_raises(tmp_path: Path) -> None:
    """An absent file is no missing figure."""
    with pytest.raises(DatasetError, match=r"There is no figure '.*one\.png'"):
        FigureDataset(str(tmp_path / "one.png")).load()


def test_preview_shows_the_figure_or_one_clear_pixel(tmp_path: Path) -> None:
    """Kedro-viz gets the image itself, and an image that shows nothing of a missing one."""
    dataset = FigureDataset(str(tmp_path / "one.png"))
    content = render_png(Figure(figsize=(1, 1)))
    dataset.save(content)
    assert base64.b64decode(dataset.preview()) == content
    dataset.save(b"")
    pixel = image.imread(io.BytesIO(base64.b64decode(dataset.preview())))
    assert pixel.tolist() == [[[0.0, 0.0, 0.0, 0.0]]]


def test_preview_is_annotated_as_kedro_viz_asks() -> None:
    """Kedro-viz looks at the annotation itself to learn what the preview is."""
    assert FigureDataset.preview.__annotations__["return"].__name__ == "ImagePreview"
