"""A checkpoint is whole or absent, and only a finished node is marked so."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tidemark.checkpoints.store import CheckpointStore, NodeRecord

NODE = "median_impute.ridge.train"


def test_store_finished_record_is_read_back_whole(
    store: CheckpointStore, record: NodeRecord
) -> None:
    """Every field of a record survives the way through its file."""
    store.write(record)

    assert store.is_finished(NODE)
    assert store.read(NODE) == record


def test_store_write_moves_ok_into_place_last(
    store: CheckpointStore, record: NodeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the mark appears, the checkpoint that it vouches for is already there."""
    moved, really_replace = [], os.replace

    def note(source: Path, target: Path) -> None:
        really_replace(source, target)
        moved.append(target.name)

    monkeypatch.setattr(os, "replace", note)
    store.write(record)

    assert moved == [f"{NODE}.json", f"{NODE}.ok"]


def test_store_failed_record_leaves_json_and_no_ok(
    store: CheckpointStore, record: NodeRecord
) -> None:
    """What failed is told, but not marked as finished."""
    store.clear(NODE)
    store.write(replace(record, status="failed", error="ValueError: no rows"))

    stored = store.read(NODE)
    assert stored is not None
    assert (stored.status, stored.error) == ("failed", "ValueError: no rows")
    assert not store.is_finished(NODE)


def test_store_started_record_takes_back_ok(store: CheckpointStore, record: NodeRecord) -> None:
    """A node that begins anew looks unfinished at once, to whoever looks while it runs."""
    store.write(record)
    store.write(replace(record, status="started", run_id="newer"))

    assert not store.is_finished(NODE)
    found = store.find(NODE)
    assert found.record == replace(record, status="started", run_id="newer")
    assert (found.is_marked, found.problem, found.is_torn) == (False, None, False)


@pytest.mark.parametrize(
    ("status", "is_marked", "unfinished"),
    [
        ("finished", True, False),
        ("finished", False, True),  # killed before its mark
        ("started", False, True),
        ("failed", False, True),
    ],
)
def test_store_found_names_the_run_that_left_a_node_unfinished(
    store: CheckpointStore, record: NodeRecord, status: str, is_marked: bool, unfinished: bool
) -> None:
    """Versions of a run that did not finish the node are nobody's; those of others are kept."""
    store.write(replace(record, status=status))
    if not is_marked:
        store.clear(NODE)

    assert store.find(NODE).unfinished_run == ({record.run_id} if unfinished else set())
    assert store.find("never.ran").unfinished_run == set()


def test_store_clear_takes_back_ok_and_keeps_the_rest(
    store: CheckpointStore, record: NodeRecord
) -> None:
    """Clearing one node neither loses its last record nor touches another node."""
    other = replace(record, node="median_impute.ridge.train_more")
    store.write(record)
    store.write(other)
    store.clear(NODE)
    store.clear("a.node.that.never.ran")

    assert not store.is_finished(NODE)
    assert store.read(NODE) == record
    assert store.is_finished(other.node)


def test_store_finished_lists_the_nodes_that_are_done(
    store: CheckpointStore, record: NodeRecord
) -> None:
    """Failed nodes and nodes in progress have no part in the list."""
    store.write(record)
    store.write(replace(record, node="median_impute.ridge.evaluate"))
    store.write(replace(record, node="median_impute.ridge.plot", run_id="another run"))
    store.write(replace(record, node="median_impute.ridge.conclude", status="failed"))
    store.write(replace(record, node="median_impute.split"))
    store.clear("median_impute.split")

    names = [one.node for one in store.finished()]

    assert names == ["median_impute.ridge.evaluate", "median_impute.ridge.plot", NODE]


def test_store_without_a_folder_has_nothing(store: CheckpointStore, folder: Path) -> None:
    """Asking a store that nobody has written to neither fails nor makes its folder."""
    assert store.read(NODE) is None
    assert not store.is_finished(NODE)
    assert list(store.finished()) == []
    store.clear(NODE)
    assert not folder.exists()
