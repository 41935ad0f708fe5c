"""What is kept of modules saves parsing them again, and never stands for code that has changed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidemark.checkpoints import code, code_cache
from tidemark.checkpoints.code import CodeMap, CodeReader
from tidemark.checkpoints.code_cache import CodeCache
from tidemark.checkpoints.files import stat_of

FILES = {
    "__init__.py": "",
    "nodes.py": "from . import helper\nimport numpy\n",
    "helper.py": "RATE = 2  # percent\n",
}
EDITED = "RATE = 3  # percent\n"  # of the same size
LIE = "0" * 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the folder of a package of three modules."""
    folder = tmp_path / "fake"
    folder.mkdir()
    for name, source in FILES.items():
        (folder / name).write_text(source, encoding="utf-8")
    return folder


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return where a cache is kept; its folder does not exist yet."""
    return tmp_path / "checkpoints" / "code"


@pytest.fixture
def _minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a minute pass between the writing of files and the reading of them."""
    monkeypatch.setattr(code_cache, "time_ns", lambda: time.time_ns() + 60 * 10**9)


def _reach(root: Path, kept: Path | None = None, **options: Any) -> CodeMap:
    """Read as a new process does that uses what is kept, and keeps what it reads."""
    reader = CodeReader("fake", root)
    if kept is not None:
        reader.use(CodeCache(kept, **options))
    found = reader.reach("fake.nodes")
    reader.save()
    return found


def _change(kept: Path, path: Path, **changes: Any) -> None:
    """Change what a cache holds of one file."""
    content = json.loads(kept.read_text(encoding="utf-8"))
    content["files"][str(path)].update(changes)
    kept.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def _lie(root: Path, kept: Path, **changes: Any) -> None:
    """Keep a wrong hash of the helper, so that using it shows."""
    _reach(root, kept)
    _change(kept, root / "helper.py", sha256=LIE, **changes)


@pytest.mark.usefixtures("_minute_later")
def test_reach_with_a_cache_is_what_it_is_without(root: Path, kept: Path) -> None:
    """Modules, hashes and libraries are the same before, with and without anything kept."""
    plain = _reach(root)

    assert list(plain.modules) == ["fake", "fake.helper", "fake.nodes"]
    assert plain.libraries == {"numpy"}
    assert [_reach(root, kept), _reach(root, kept)] == [plain] * 2


@pytest.mark.usefixtures("_minute_later")
def test_module_that_is_kept_is_not_read_again(
    root: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second process parses nothing, and leaves what was kept as it is."""
    before = _reach(root, kept)
    facts = stat_of(kept)
    monkeypatch.setattr(code, "_read_source", lambda name, _: pytest.fail(f"{name} is read"))

    assert _reach(root, kept) == before
    assert stat_of(kept) == facts


@pytest.mark.usefixtures("_minute_later")
def test_module_with_the_facts_that_are_kept_has_the_hash_that_is_kept(
    root: Path, kept: Path
) -> None:
    """While size, times and inode stay, nobody looks inside."""
    _lie(root, kept)

    assert _reach(root, kept).modules["fake.helper"] == LIE


@pytest.mark.usefixtures("_minute_later")
@pytest.mark.parametrize("number", range(4), ids=["size", "modified", "changed", "inode"])
def test_module_with_any_other_fact_is_read_anew(root: Path, kept: Path, number: int) -> None:
    """A difference in one of the four facts is enough, and what was read is kept in its place."""
    stat = stat_of(root / "helper.py")
    stat[number] -= 1
    _lie(root, kept, stat=stat)

    assert _reach(root, kept) == _reach(root)
    assert LIE not in kept.read_text(encoding="utf-8")


@pytest.mark.usefixtures("_minute_later")
def test_module_edited_is_noticed(root: Path, kept: Path) -> None:
    """An edit that keeps the size, and puts the time back, changes the hash of that module."""
    before = _reach(root, kept).modules
    path = root / "helper.py"
    stat = path.stat()
    while path.stat().st_ctime_ns == stat.st_ctime_ns:  # older kernels count in ticks of 4 ms
        path.write_text(EDITED, encoding="utf-8")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = _reach(root, kept).modules

    assert [name for name in before if before[name] != after[name]] == ["fake.helper"]


def test_module_edited_twice_in_one_tick_is_noticed(
    root: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system that counts whole seconds the second edit leaves no trace but the code."""
    second = time.time_ns() // 10**9 * 10**9

    def stat_in_seconds(path: Path) -> list[int]:
        size, _, _, inode = stat_of(path)
        return [size, second, second, inode]

    monkeypatch.setattr(code_cache, "stat_of", stat_in_seconds)
    before = _reach(root, kept).modules
    facts = stat_in_seconds(root / "helper.py")
    (root / "helper.py").write_text(EDITED, encoding="utf-8")
    after = _reach(root, kept).modules

    assert stat_in_seconds(root / "helper.py") == facts
    assert [name for name in before if before[name] != after[name]] == ["fake.helper"]


@pytest.mark.usefixtures("_minute_later")
def test_module_edited_while_it_is_read_is_noticed(root: Path, kept: Path) -> None:
    """What changes a file after it was looked at differs from what was seen of it then."""
    cache, path = CodeCache(kept), root / "helper.py"

    def read_and_edit() -> code.Source:
        source = code._read_source("fake.helper", path)
        path.write_text("RATE = 2\nMORE = 3\n", encoding="utf-8")
        return source

    before = cache.get("fake.helper", path, read_and_edit)
    cache.save()

    assert _reach(root, kept).modules["fake.helper"] != before.sha256


@pytest.mark.usefixtures("_minute_later")
def test_comments_and_layout_change_nothing(root: Path, kept: Path) -> None:
    """A file that says the same in other words is read again and has the hash that it had."""
    before = _reach(root, kept)
    (root / "helper.py").write_text('"""Helper."""\n\nRATE = (2)  # of a hundred\n')

    assert _reach(root, kept) == before


@pytest.mark.usefixtures("_minute_later")
def test_import_added_is_followed(root: Path, kept: Path) -> None:
    """A kept module beside an edited one keeps its place, and what is new is reached."""
    _reach(root, kept)
    (root / "more.py").write_text("import pandas\n", encoding="utf-8")
    (root / "helper.py").write_text("from fake import more\n", encoding="utf-8")
    after = _reach(root, kept)

    assert "fake.more" in after.modules
    assert after.libraries == {"numpy", "pandas"}


@pytest.mark.usefixtures("_minute_later")
def test_import_of_a_module_that_was_made_later_is_followed(root: Path, kept: Path) -> None:
    """Names are kept as they are written: which of them are modules is seen each time."""
    (root / "helper.py").write_text("import fake.later\n", encoding="utf-8")
    before = _reach(root, kept)
    (root / "later.py").write_text("import scipy\n", encoding="utf-8")

    assert "fake.later" not in before.modules
    assert _reach(root, kept).libraries == {"numpy", "scipy"}


@pytest.mark.usefixtures("_minute_later")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "\0" * len(text),
        lambda text: json.dumps([text]),
        lambda text: text.replace('"imports":["', '"imports":[3,"'),
        lambda text: text.replace('"module"', '"name"'),
        lambda text: text.replace('"made_by":"', '"made_by":"another '),
    ],
    ids=["empty", "half", "zeros", "list", "number", "other key", "other reader"],
)
def test_cache_that_cannot_be_used_is_ignored_and_replaced(
    root: Path, kept: Path, spoil: Callable[[str], str]
) -> None:
    """A torn cache, one of another shape or another reader's is as good as none."""
    _lie(root, kept)
    whole = kept.read_text(encoding="utf-8")
    kept.write_text(spoil(whole), encoding="utf-8")

    assert spoil(whole) != whole
    assert _reach(root, kept) == _reach(root)
    assert LIE not in kept.read_text(encoding="utf-8")
    assert str(root / "helper.py") in json.loads(kept.read_text(encoding="utf-8"))["files"]


@pytest.mark.usefixtures("_minute_later")
def test_cache_of_another_python_is_ignored(
    root: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version of Python, or of the reader, may give another tree to the same text."""
    _lie(root, kept)
    monkeypatch.setattr(code_cache, "_MADE_BY", "another")

    assert _reach(root, kept) == _reach(root)


@pytest.mark.usefixtures("_minute_later")
def test_cache_of_the_same_file_under_another_name_is_ignored(root: Path, kept: Path) -> None:
    """What a relative import means depends on the name of the module that holds it."""
    _reach(root, kept)
    reader = CodeReader("other", root)
    reader.use(CodeCache(kept))

    assert list(reader.reach("other.nodes").modules) == ["other", "other.helper", "other.nodes"]


@pytest.mark.usefixtures("_minute_later")
def test_cache_that_is_not_trusted_reads_every_module_anew(root: Path, kept: Path) -> None:
    """To verify is to read, and to keep what was read."""
    _lie(root, kept)

    assert _reach(root, kept, is_trusted=False) == _reach(root)
    assert LIE not in kept.read_text(encoding="utf-8")


@pytest.mark.usefixtures("_minute_later")
def test_cache_saved_forgets_files_that_are_gone(root: Path, kept: Path) -> None:
    """The cache does not grow with every module that ever was."""
    _reach(root, kept)
    (root / "nodes.py").write_text("", encoding="utf-8")
    (root / "helper.py").unlink()
    _reach(root, kept)

    files = json.loads(kept.read_text(encoding="utf-8"))["files"]
    assert sorted(files) == [str(root / name) for name in ("__init__.py", "nodes.py")]


@pytest.mark.usefixtures("_minute_later")
def test_cache_in_a_folder_that_cannot_be_written_is_no_error(root: Path, tmp_path: Path) -> None:
    """A read-only place costs reading again; the answer is right all the same."""
    (tmp_path / "file").write_bytes(b"a file where the folder would be")

    assert _reach(root, tmp_path / "file" / "code") == _reach(root)


def test_cache_of_files_as_young_as_this_moment_is_not_written(root: Path, kept: Path) -> None:
    """What may change unseen is not kept; where nothing is, no file appears."""
    _reach(root, kept)

    assert not kept.exists()


def test_reach_of_the_project_is_the_same_with_a_cache(kept: Path) -> None:
    """Two routes agree on every module that the pipelines reach."""
    start = "tidemark.pipeline_registry"
    plain = CodeReader().reach(start)
    found = []
    for _ in range(2):
        reader = CodeReader()
        reader.use(CodeCache(kept))
        found.append(reader.reach(start))
        reader.save()

    assert found == [plain] * 2
    assert len(plain.modules) > 50
