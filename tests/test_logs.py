"""One file of JSON lines for all processes, and a file for each task with only its own words."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tidemark import logs

# Writes long lines, each of one letter, to the project's log.
WRITER = """
import logging, sys
from pathlib import Path
from tidemark import logs

logs.open_pipeline_log(Path(sys.argv[1]))
for _ in range(100):
    logging.getLogger("tidemark").warning(sys.argv[2] * 30_000)
"""


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """Give the root logger back as it was, and let warnings be warnings again."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.setLevel(logging.DEBUG)
    yield root
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def _lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "pipeline.log").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_json_lines_hold_time_level_logger_message_and_facts(tmp_path: Path) -> None:
    """A line says when, how grave, who and what, with the facts beside them."""
    logs.open_pipeline_log(tmp_path)
    before = datetime.now(UTC)
    facts = {"node": "a.train", "seconds": 1.5, "path": Path("x")}
    logging.getLogger("tidemark.test").info("%s took\n%.1f s", "a", 1.5, extra={"facts": facts})

    (line,) = _lines(tmp_path)

    moment = datetime.fromisoformat(line.pop("time"))
    assert moment.utcoffset() is not None
    assert abs((moment - before).total_seconds()) < 60
    assert line == {
        "level": "INFO",
        "logger": "tidemark.test",
        "message": "a took\n1.5 s",
        "node": "a.train",
        "seconds": 1.5,
        "path": "x",
    }


def test_json_lines_of_an_error_hold_the_traceback_in_one_line(tmp_path: Path) -> None:
    """A traceback of many lines is one line of the file, for machines to read."""
    logs.open_pipeline_log(tmp_path)
    try:
        raise ValueError("no rows: \u00e9\u4e2d")
    except ValueError:
        logging.getLogger("tidemark").exception("it failed")

    (line,) = _lines(tmp_path)

    assert line["message"] == "it failed"
    assert line["traceback"].startswith("Traceback")
    assert line["traceback"].endswith("ValueError: no rows: \u00e9\u4e2d")


def test_pipeline_log_opened_twice_writes_each_line_once(
    tmp_path: Path, root: logging.Logger
) -> None:
    """Opening the log for each node neither doubles its lines nor adds handlers."""
    before = len(root.handlers)
    for _ in range(3):
        logs.open_pipeline_log(tmp_path / "logs")
    logging.getLogger("tidemark").info("once")

    assert len(root.handlers) == before + 1
    assert [line["message"] for line in _lines(tmp_path / "logs")] == ["once"]
    assert logs.pipeline_log() == tmp_path / "logs" / "pipeline.log"


def test_pipeline_log_in_a_folder_with_dots_stays_open(
    tmp_path: Path, root: logging.Logger
) -> None:
    """A data root such as ``../out`` does not make every node open the log anew."""
    folder = tmp_path / "project" / ".." / "logs"
    logs.open_pipeline_log(folder)
    first = list(root.handlers)
    logs.open_pipeline_log(folder)

    assert root.handlers == first


def test_pipeline_log_of_another_folder_takes_the_first_ones_place(tmp_path: Path) -> None:
    """A second run with another data root in the same process writes to its own log only."""
    for folder in ("one", "two"):
        logs.open_pipeline_log(tmp_path / folder)
        logging.getLogger("tidemark").info(folder)

    assert [line["message"] for line in _lines(tmp_path / "one")] == ["one"]
    assert [line["message"] for line in _lines(tmp_path / "two")] == ["two"]


def test_pipeline_log_keeps_what_earlier_runs_have_written(tmp_path: Path) -> None:
    """The project's log grows; a new process does not begin it anew."""
    (tmp_path / "pipeline.log").write_text('{"message": "earlier"}\n', encoding="utf-8")
    logs.open_pipeline_log(tmp_path)
    logging.getLogger("tidemark").info("later")

    assert [line["message"] for line in _lines(tmp_path)] == ["earlier", "later"]


def test_pipeline_log_holds_warnings(tmp_path: Path) -> None:
    """What a library warns of is found in the log afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.open_pipeline_log(tmp_path)
        warnings.warn("the moon is full", UserWarning, stacklevel=1)

    (line,) = _lines(tmp_path)
    assert "UserWarning: the moon is full" in line["message"]
    assert line["level"] == "WARNING"


def test_pipeline_log_of_several_processes_has_whole_lines(tmp_path: Path) -> None:
    """Processes that write long lines at once do not write into each other's."""
    commands = [[sys.executable, "-c", WRITER, str(tmp_path), letter] for letter in "abc"]
    processes = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for command in commands]
    codes = [process.wait(timeout=60) for process in processes]

    messages = sorted(line["message"] for line in _lines(tmp_path))
    assert codes == [0, 0, 0]
    assert messages == [letter * 30_000 for letter in "abc" for _ in range(100)]


def test_task_log_holds_only_what_its_own_thread_says(tmp_path: Path) -> None:
    """Two tasks at once, each in its thread, keep their logs apart."""
    barrier = threading.Barrier(2)

    def work(task: str) -> None:
        handler = logs.open_task_log(tmp_path, task)
        barrier.wait(timeout=30)
        logging.getLogger("tidemark").debug("%s works", task)
        barrier.wait(timeout=30)
        logs.close_task_log(handler)

    threads = [threading.Thread(target=work, args=(task,)) for task in ("fit", "plot")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    for task in ("fit", "plot"):
        (line,) = (tmp_path / f"{task}.log").read_text(encoding="utf-8").splitlines()
        assert line.endswith(f"DEBUG   {task} works")


def test_task_log_holds_the_newest_run_and_ends_when_closed(
    tmp_path: Path, root: logging.Logger
) -> None:
    """A task's file begins anew with each run, and takes nothing after it was closed."""
    before = list(root.handlers)
    for word in ("first", "second"):
        handler = logs.open_task_log(tmp_path, "fit")
        logging.getLogger("tidemark").info(word)
        logs.close_task_log(handler)
        logging.getLogger("tidemark").info("after")

    text = (tmp_path / "fit.log").read_text(encoding="utf-8")
    assert [line.split()[-1] for line in text.splitlines()] == ["second"]
    assert root.handlers == before
