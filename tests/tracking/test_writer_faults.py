"""A writer that dies, or meets a server that is down, can be started again and loses nothing."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tidemark.tracking.outbox import Outbox, OutboxRun
from tidemark.tracking.settings import TrackingSettings
from tidemark.tracking.sync import sync_outbox
from tidemark.tracking.writer import Writer

Fill = Callable[..., OutboxRun]
Read = Callable[[TrackingSettings], dict[str, dict[str, Any]]]

RUN_ID = "2019-01-03T10.00.00.000Z"
CALLS = ["create_experiment", "create_run", "log_batch", "log_artifacts", "set_terminated"]
CALLS += ["create_logged_model", "log_model_artifacts", "finalize_logged_model", "log_outputs"]


class Interrupted(Exception):
    """The writer dies here."""


def _interrupt_each(monkeypatch: pytest.MonkeyPatch, method: str, moment: str) -> list[str]:
    """Let every call of a client's method fail the first time that it is made."""
    really_call = getattr(MlflowClient, method)
    seen: list[str] = []

    def call(client: MlflowClient, *args: Any, **kwargs: Any) -> Any:
        # Ids of models and temporary folders differ from one attempt to the next.
        key = re.sub(r"m-[0-9a-f]{32}|/\S+", "", repr((args, kwargs)))
        is_new = key not in seen
        seen.append(key)
        if is_new and moment == "before":
            raise Interrupted
        result = really_call(client, *args, **kwargs)
        if is_new:
            raise Interrupted
        return result

    monkeypatch.setattr(MlflowClient, method, call)
    return seen


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("method", CALLS)
def test_sync_interrupted_at_any_call_ends_in_the_same_state(
    filled: Fill,
    outbox: Outbox,
    new_store: Callable[[str], TrackingSettings],
    runs_of: Read,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    method: str,
    moment: str,
) -> None:
    """A writer that dies before or after a call has taken effect, and starts again, loses nothing.

    Nor does it leave anything twice: the store ends as if nobody had died.
    """
    whole, interrupted = new_store("whole"), new_store("interrupted")
    filled()
    shutil.copytree(tmp_path / "data" / "outbox", tmp_path / "copy")
    sync_outbox(outbox, whole)
    copy = Outbox(tmp_path / "copy")

    seen = _interrupt_each(monkeypatch, method, moment)
    deaths = 0
    while list(copy.waiting()) and deaths < 40:
        with contextlib.suppress(Interrupted):
            sync_outbox(copy, interrupted)
        deaths += 1
    monkeypatch.undo()

    assert seen
    assert deaths > 1
    assert list(copy.waiting()) == []
    assert runs_of(interrupted) == runs_of(whole)


def test_sync_after_an_outage_ends_as_if_there_was_none(
    filled: Fill,
    outbox: Outbox,
    new_store: Callable[[str], TrackingSettings],
    runs_of: Read,
    tmp_path: Path,
) -> None:
    """Records that waited for a server that was down equal those that were sent directly."""
    direct, late = new_store("direct"), new_store("late")
    filled()
    shutil.copytree(tmp_path / "data" / "outbox", tmp_path / "copy")
    sync_outbox(outbox, direct)
    copy = Outbox(tmp_path / "copy")
    down = TrackingSettings(enabled=True, required=False, tracking_uri="http://127.0.0.1:9")
    for _ in range(2):
        with pytest.raises(Exception, match=r"127\.0\.0\.1"):
            sync_outbox(copy, down)

    assert sync_outbox(copy, late) == 1
    assert runs_of(late) == runs_of(direct)


def test_sync_with_an_unreachable_server_fails_in_seconds_and_keeps_everything(
    filled: Fill, outbox: Outbox, tmp_path: Path
) -> None:
    """A closed port is reported at once, and not a byte of what waits is lost."""
    filled()
    folder = tmp_path / "data" / "outbox"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    down = TrackingSettings(enabled=True, required=False, tracking_uri="http://127.0.0.1:9")

    started = time.perf_counter()
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        sync_outbox(outbox, down)

    assert time.perf_counter() - started < 8
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert after == before
    assert len(list(outbox.waiting())) == 1
    (run,) = outbox.waiting()
    assert run.hold(), "the failed writer still holds the run"
    run.release()


def test_writer_on_a_database_that_cannot_be_opened_fails_in_seconds(
    filled: Fill, outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is out of reach costs seconds, not the minutes that MLflow would wait."""
    filled()
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    folder = TrackingSettings(enabled=True, required=False, tracking_uri=f"sqlite:///{tmp_path}")

    with pytest.raises(Exception, match="unable to open database file"):
        sync_outbox(outbox, folder)

    assert sum(slept) < 30


@pytest.mark.parametrize("damage", ["torn record", "missing copy"])
def test_sync_with_one_damaged_run_still_sends_the_others(
    filled: Fill,
    outbox: Outbox,
    facts: dict[str, Any],
    put: Callable[..., None],
    store: TrackingSettings,
    damage: str,
) -> None:
    """An older run that can never be sent does not hold back the newer ones for good."""
    damaged = outbox.open("2019-01-01T10.00.00.000Z", facts)
    put(damaged, "median_impute.ridge.train", 1)
    if damage == "torn record":
        (damaged.folder / "records" / "a.json").write_text("{", encoding="utf-8")
    else:
        shutil.rmtree(damaged.folder / "files")
    damaged.release()
    filled()

    with contextlib.suppress(Exception):
        sync_outbox(outbox, store)

    client = MlflowClient(store.tracking_uri)
    experiment = client.get_experiment_by_name("returns")
    sent = {run.info.run_name for run in client.search_runs([experiment.experiment_id])}
    assert f"returns {RUN_ID}" in sent
    assert [run.run_id for run in outbox.waiting()] == ["2019-01-01T10.00.00.000Z"]


def test_sync_of_a_run_that_another_process_has_just_finished_skips_it(
    filled: Fill,
    outbox: Outbox,
    facts: dict[str, Any],
    store: TrackingSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that was sent and removed after it was listed is neither an error nor made anew."""
    filled()
    other = outbox.open("2019-01-04T10.00.00.000Z", facts)
    other.release()
    really_send = Writer.send

    def send(writer: Writer, run: OutboxRun) -> None:
        really_send(writer, run)
        if other.folder.exists():
            other.remove()

    monkeypatch.setattr(Writer, "send", send)

    sync_outbox(outbox, store)

    assert not other.folder.exists()
