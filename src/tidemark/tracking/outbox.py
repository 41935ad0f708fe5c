"""The outbox: records of runs on their way to MLflow and the metrics store, a folder for each."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tidemark.errors import mask
from tidemark.files import name_aside, write_aside

_BEGINNING_SECONDS = 10.0  # a run that begins has its folder before its facts
_FACTS, _END, _STATE, _LOCK = "run.json", "end.json", "state.json", "lock"


class OutboxRun:
    """The records of one run.

    ``run.json`` holds the run's facts, ``records/NAME.json`` one record each, ``files`` copies
    of what records refer to, ``end.json`` how the run ended, ``state.json`` what MLflow and the
    metrics store have.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FileLock(folder / _LOCK)

    @property
    def run_id(self) -> str:
        """Kedro's id of the run."""
        return self.folder.name

    @property
    def exists(self) -> bool:
        """Whether the run is still in the outbox."""
        return (self.folder / _FACTS).exists()

    @property
    def facts(self) -> dict[str, Any]:
        """The run's facts."""
        return _read(self.folder / _FACTS)

    @property
    def names(self) -> set[str]:
        """Names of the nodes whose records are here."""
        return {path.stem for path in (self.folder / "records").glob("*.json")}

    @property
    def end(self) -> dict[str, Any] | None:
        """How the run ended, or None while nobody has said so."""
        path = self.folder / _END
        return _read(path) if path.exists() else None

    @property
    def state(self) -> dict[str, Any]:
        """What MLflow and the metrics store have received so far."""
        path = self.folder / _STATE
        return _read(path) if path.exists() else {"runs": {}, "sent": []}

    def save_state(self, state: dict[str, Any]) -> None:
        """Note what MLflow and the metrics store have received."""
        write_aside(self.folder / _STATE, json.dumps(state))

    def put(self, name: str, record: dict[str, Any]) -> None:
        """Add a record; it is whole or absent."""
        write_aside(self.folder / "records" / f"{name}.json", json.dumps(record, default=str))
        (self.folder / "started" / f"{name}.json").unlink(missing_ok=True)

    def start(self, name: str, record: dict[str, Any]) -> None:
        """Note that a node has begun; `put` takes the note back."""
        write_aside(self.folder / "started" / f"{name}.json", json.dumps(record, default=str))

    def fail_started(self, error: str | None, ended: str) -> None:
        """Turn every node that began and never ended into a failed record."""
        for path in sorted((self.folder / "started").glob("*.json")):
            self.put(path.stem, {**_read(path), "status": "failed", "error": error, "ended": ended})

    def keep(self, source: Path, name: str) -> str:
        """Copy a file, because a later run may overwrite it; return the copy's name."""
        place = self.file(name)
        place.parent.mkdir(exist_ok=True)
        aside = name_aside(place)
        shutil.copyfile(source, aside)
        os.replace(aside, place)
        return name

    def file(self, name: str) -> Path:
        """Find a copy by its name."""
        return self.folder / "files" / name

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Read all records in the order in which their nodes ended."""
        found = [(path.stem, _read(path)) for path in (self.folder / "records").glob("*.json")]
        yield from sorted(found, key=lambda item: (item[1]["ended"], item[0]))

    def close(
        self,
        status: str,
        ended: str,
        error: str | None = None,
        data_hash: dict[str, str] | None = None,
        daily: dict[str, str] | None = None,
    ) -> None:
        """Say how the run ended, unless that has been said.

        Parameters
        ----------
        data_hash : dict of str to str, optional
            The hash of each study's accepted data.
        daily : dict of str to str, optional
            Where each cell's losses by date lie.
        """
        if self.end is None:
            end = {
                "status": status,
                "ended": ended,
                "error": error and mask(error),
                "data_hash": data_hash or {},
                "daily": daily or {},
            }
            write_aside(self.folder / _END, json.dumps(end))

    def remove(self) -> None:
        """Forget the run: MLflow and the metrics store have all of it."""
        # Without its facts a run is no run any more, however far the rest of the removal gets.
        (self.folder / _FACTS).unlink()
        self.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def hold(self) -> bool:
        """Take the run's lock for this process; False if a living process has it, or it is gone."""
        if not self.folder.is_dir():
            return False
        try:
            self._lock.acquire(timeout=0)
        except (Timeout, FileNotFoundError):  # held, or removed since it was looked for
            return False
        return True

    def release(self) -> None:
        """Give the run's lock back."""
        self._lock.release()


class Outbox:
    """All runs that wait, in one folder of a data root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def root(self) -> Path:
        """The outbox's folder."""
        return self._root

    @property
    def data_root(self) -> Path:
        """The data root that the outbox stands in."""
        return self._root.parent

    def open(self, run_id: str, facts: dict[str, Any]) -> OutboxRun:
        """Begin a run's records and hold its lock."""
        folder = self._root / run_id
        folder.mkdir(parents=True)
        run = OutboxRun(folder)
        run.hold()
        write_aside(folder / _FACTS, json.dumps(facts, default=str))
        return run

    def find(self, run_id: str) -> OutboxRun | None:
        """Find a run by its id."""
        folder = self._root / run_id
        return OutboxRun(folder) if (folder / _FACTS).exists() else None

    def waiting(self) -> Iterator[OutboxRun]:
        """List the runs that wait, oldest first."""
        for path in sorted(self._root.glob(f"*/{_FACTS}")):
            yield OutboxRun(path.parent)

    def dead(self) -> Iterator[OutboxRun]:
        """List the runs that died or were interrupted, and hold each."""
        for run in self.waiting():
            if (run.end is None or run.end["status"] == "KILLED") and run.hold():
                try:
                    if run.exists:
                        yield run
                finally:
                    run.release()

    def sweep(self) -> None:
        """Remove folders of runs that never began, or were not wholly removed."""
        for folder in self._root.glob("*/"):
            run = OutboxRun(folder)
            is_over = (folder / _END).exists()  # its removal was cut short
            is_old = time.time() - folder.stat().st_mtime > _BEGINNING_SECONDS
            if (is_over or is_old) and not run.exists and run.hold():
                run.release()
                shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
