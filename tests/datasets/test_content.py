"""Bytes come back as they were, each version its own, and an empty file is a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io import DataCatalog, DatasetError, Version
from kedro.io.core import VersionNotFoundError

from tidemark.datasets.content import ContentDataset

CONTENT = bytes(range(256)) + b"\r\n\x1a\x00"


@pytest.mark.parametrize("content", [CONTENT, b""])
def test_content_comes_back_as_it_was(tmp_path: Path, content: bytes) -> None:
    """Nothing is added, nothing translated; the folder is made."""
    path = tmp_path / "new" / "model.keras"
    dataset = ContentDataset(str(path))
    assert not dataset.exists()
    dataset.save(content)
    assert dataset.exists()
    assert dataset.load() == content
    assert path.read_bytes() == content
    assert [one.name for one in path.parent.iterdir()] == ["model.keras"]


def test_content_that_is_saved_again_replaces_the_first(tmp_path: Path) -> None:
    """Also by a shorter one."""
    dataset = ContentDataset(str(tmp_path / "model.h5"))
    for content in (CONTENT, b"short"):
        dataset.save(content)
        assert dataset.load() == content


def test_versions_are_kept_apart(tmp_path: Path) -> None:
    """Each is loaded by its name, the latest without one, and none is written twice."""
    path = str(tmp_path / "model.keras")
    names = ["2019-01-03T10.00.00.000Z", "2019-01-04T10.00.00.000Z"]
    for name, content in zip(names, (b"one", b"two"), strict=True):
        ContentDataset(path, Version(None, name)).save(content)
    for name, content in zip(names, (b"one", b"two"), strict=True):
        assert ContentDataset(path, Version(name, None)).load() == content
        assert (tmp_path / "model.keras" / name / "model.keras").read_bytes() == content
    assert ContentDataset(path, Version(None, None)).load() == b"two"
    with pytest.raises(DatasetError, match="must not exist"):
        ContentDataset(path, Version(None, names[0])).save(b"again")
    assert ContentDataset(path, Version(names[0], None)).load() == b"one"


def test_version_that_was_never_saved_is_an_error(tmp_path: Path) -> None:
    """And is known not to be there."""
    dataset = ContentDataset(str(tmp_path / "model.keras"), Version(None, None))
    assert not dataset.exists()
    with pytest.raises(VersionNotFoundError, match="Did not find any versions"):
        dataset.load()


def test_content_that_is_absent_is_an_error(tmp_path: Path) -> None:
    """With its path."""
    with pytest.raises(DatasetError, match=r"model\.keras"):
        ContentDataset(str(tmp_path / "model.keras")).load()


def test_content_of_a_catalog_is_versioned_where_it_says_so(tmp_path: Path) -> None:
    """As the catalog writes networks."""
    entry = {
        "type": "tidemark.datasets.content.ContentDataset",
        "filepath": str(tmp_path / "network.keras"),
        "versioned": True,
        "metadata": {"tidemark": {"track": "artifact"}},
    }
    catalog = DataCatalog.from_config({"network": entry}, save_version="2019-01-03T10.00.00.000Z")
    catalog.save("network", CONTENT)
    assert catalog.load("network") == CONTENT
    stored = [one for one in (tmp_path / "network.keras").rglob("*") if one.is_file()]
    assert [one.relative_to(tmp_path).parts[1] for one in stored] == ["2019-01-03T10.00.00.000Z"]
    assert catalog["network"].metadata == {"tidemark": {"track": "artifact"}}
