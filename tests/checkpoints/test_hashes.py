"""A known hash saves reading a file again, and never stands for bytes that have changed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tidemark.checkpoints.files import HashCache, hash_path, stat_of

# FIPS 180-4's own examples of SHA-256 (NIST, "Secure Hash Standard", example values).
KNOWN = {
    b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    b"": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": (
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    b"a" * 1_000_000: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
}
LIE = "0" * 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file that holds ``first``."""
    path = tmp_path / "f"
    path.write_bytes(b"first")
    return path


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return where a cache is kept; its folder does not exist yet."""
    return tmp_path / "checkpoints" / "hashes.json"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _lie(kept: Path, path: Path, *, stat: list[int] | None = None) -> HashCache:
    """Return a cache that holds a wrong hash for a file, so that using it shows."""
    kept.parent.mkdir(exist_ok=True)
    content = {str(path): [*(stat or stat_of(path)), LIE]}
    kept.write_text(json.dumps(content), encoding="utf-8")
    return HashCache(kept)


@pytest.mark.parametrize("content", KNOWN, ids=len)
def test_hash_file_gives_the_published_answers(tmp_path: Path, content: bytes) -> None:
    """The hash is SHA-256, whether the file is empty, small or larger than one read."""
    (tmp_path / "f").write_bytes(content)

    assert HashCache().hash_file(tmp_path / "f") == KNOWN[content]


def test_hash_file_known_is_not_read_again(path: Path, kept: Path) -> None:
    """While size, times and inode stay, what is known is the answer, without a look inside."""
    assert _lie(kept, path).hash_file(path) == LIE


@pytest.mark.parametrize("number", range(4), ids=["size", "modified", "changed", "inode"])
def test_hash_file_with_any_other_stat_is_hashed_anew(path: Path, kept: Path, number: int) -> None:
    """A difference in one of the four facts is enough to read the file."""
    stat = stat_of(path)
    stat[number] += 1

    assert _lie(kept, path, stat=stat).hash_file(path) == _sha256(b"first")


def _rewrite_and_restore_time(path: Path) -> None:
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # older kernels count in ticks of 4 ms
        path.write_bytes(b"other")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace_and_restore_time(path: Path) -> None:
    before, beside = path.stat(), path.with_name("beside")
    beside.write_bytes(b"other")
    os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(beside, path)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"longer than before"),
        _rewrite_and_restore_time,
        _replace_and_restore_time,
    ],
    ids=["longer", "time restored", "replaced"],
)
def test_hash_file_changed_between_two_calls_is_hashed_anew(
    path: Path, change: Callable[[Path], object]
) -> None:
    """No way of changing a file goes unseen, not even one that puts its time back."""
    cache = HashCache()
    before = cache.hash_file(path)
    change(path)

    assert before == _sha256(b"first")
    assert cache.hash_file(path) == _sha256(path.read_bytes())


def test_cache_saved_is_read_by_the_next_process(path: Path, kept: Path) -> None:
    """What one process has hashed is known to the next, by size, times and inode."""
    cache = HashCache(kept)
    cache.hash_file(path)
    cache.save()

    assert json.loads(kept.read_text(encoding="utf-8")) == {
        str(path): [*stat_of(path), _sha256(b"first")]
    }
    assert [one.name for one in kept.parent.iterdir()] == ["hashes.json"]


def test_cache_that_learnt_nothing_writes_nothing(path: Path, kept: Path) -> None:
    """Looking around leaves no trace on the disk."""
    _lie(kept, path)
    before = stat_of(kept)
    cache = HashCache(kept)
    cache.hash_file(path)
    cache.save()

    assert stat_of(kept) == before


def test_cache_saved_forgets_files_that_are_gone(path: Path, kept: Path, tmp_path: Path) -> None:
    """The cache does not grow with every version that was ever written."""
    (tmp_path / "gone").write_bytes(b"")
    cache = HashCache(kept)
    for one in (path, tmp_path / "gone"):
        cache.hash_file(one)
    (tmp_path / "gone").unlink()
    cache.save()

    assert list(json.loads(kept.read_text(encoding="utf-8"))) == [str(path)]


@pytest.mark.parametrize("content", [b"", b'{"/x": [1, 2', b"\0" * 64, b"\xff\xfe\x80"])
def test_cache_that_is_torn_costs_time_only(path: Path, kept: Path, content: bytes) -> None:
    """Half a cache, or a damaged one, is as good as none and is replaced."""
    kept.parent.mkdir()
    kept.write_bytes(content)
    cache = HashCache(kept)

    assert cache.hash_file(path) == _sha256(b"first")
    cache.save()
    assert json.loads(kept.read_text(encoding="utf-8"))[str(path)][4] == _sha256(b"first")


def test_cache_in_a_folder_that_cannot_be_written_is_no_error(path: Path, tmp_path: Path) -> None:
    """A read-only place costs hashing again; the hash is right all the same."""
    (tmp_path / "file").write_bytes(b"a file where the folder would be")
    cache = HashCache(tmp_path / "file" / "hashes.json")
    digest = cache.hash_file(path)
    cache.save()

    assert digest == _sha256(b"first")
    assert (tmp_path / "file").read_bytes() == b"a file where the folder would be"


def test_cache_that_is_not_trusted_hashes_everything_anew(path: Path, kept: Path) -> None:
    """To verify is to read: neither what is kept nor what a record says is used."""
    _lie(kept, path)
    cache = HashCache(kept, is_trusted=False)
    cache.learn(path, stat_of(path), LIE)

    assert cache.hash_file(path) == _sha256(b"first")
    cache.save()
    assert HashCache(kept).hash_file(path) == _sha256(b"first")


def test_learn_is_used_while_the_file_is_as_the_record_says(path: Path) -> None:
    """A node's record saves the first hashing of its outputs, until one of them changes."""
    cache = HashCache()
    cache.learn(path, stat_of(path), LIE)
    before = cache.hash_file(path)
    _rewrite_and_restore_time(path)

    assert before == LIE
    assert cache.hash_file(path) == _sha256(b"other")


def test_learn_of_another_stat_is_not_used(path: Path) -> None:
    """A record of a file that was written since says nothing about it."""
    cache = HashCache()
    cache.learn(path, [5, 1, 1, 1], LIE)

    assert cache.hash_file(path) == _sha256(b"first")


def test_learn_does_not_replace_what_was_hashed(path: Path) -> None:
    """What this process has read itself counts more than what a record says."""
    cache = HashCache()
    digest = cache.hash_file(path)
    cache.learn(path, stat_of(path), LIE)

    assert cache.hash_file(path) == digest == _sha256(b"first")


def test_hash_path_of_a_folder_reads_changed_files_only(tmp_path: Path, kept: Path) -> None:
    """Each file in a folder is known by itself; a change of one shows in the whole."""
    folder = tmp_path / "parts"
    (folder / "sub").mkdir(parents=True)
    for name in ("a", "sub/b"):
        (folder / name).write_bytes(name.encode())
    cache = HashCache(kept)
    before = hash_path(folder, cache)
    cache.save()

    assert list(json.loads(kept.read_text(encoding="utf-8"))) == [
        str(folder / "a"),
        str(folder / "sub" / "b"),
    ]
    assert hash_path(folder, HashCache(kept)) == before
    _rewrite_and_restore_time(folder / "sub" / "b")
    assert hash_path(folder, HashCache(kept)) == hash_path(folder, HashCache()) != before


def test_hash_path_without_a_cache_sees_changes_as_well(path: Path) -> None:
    """The cache of the process is no exception."""
    before = hash_path(path)
    _rewrite_and_restore_time(path)

    assert [before, hash_path(path)] == [_sha256(b"first"), _sha256(b"other")]
