"""Logs: one file of JSON lines for the project, one readable file for each task."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from kedro.framework.project import configure_logging

from tidemark.errors import mask

PIPELINE_LOG = "pipeline.log"


class JsonLines(logging.Formatter):
    """Format a record as one line of JSON; what it carries under ``facts`` is merged in."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": mask(record.getMessage()),
        }
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["traceback"] = mask(self.formatException(record.exc_info))
        return json.dumps(line, default=str)


class MaskingFormatter(logging.Formatter):
    """Format a record as readable text without anybody's password or key."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text."""
        return mask(super().format(record))


class _LogFile(logging.FileHandler):
    """A file of log lines; a disk that takes no more costs the lines and one sentence."""

    _has_failed = False

    def handleError(self, _: logging.LogRecord) -> None:
        """Say once that lines are lost."""
        if not self._has_failed:
            self._has_failed = True
            sys.stderr.write(f"'{self.baseFilename}' takes no more lines: {sys.exception()}\n")


class _ThisThread(logging.Filter):
    """Pass only what the thread that made this filter logs."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread == self._thread


def configure_terminal(project_path: Path, is_verbose: bool = False) -> None:
    """Let the project's ``conf/logging.yml`` say what the terminal shows.

    Kedro finds that file from the project's root only; from a folder below it, it would fall
    back to showing everything. ``KEDRO_LOGGING_CONFIG`` names another file.
    """
    if "KEDRO_LOGGING_CONFIG" not in os.environ:
        text = (project_path / "conf/logging.yml").read_text(encoding="utf-8")
        settings = yaml.safe_load(text)
        if is_verbose:
            for about in (*settings["loggers"].values(), *settings["handlers"].values()):
                about["level"] = "DEBUG"
            for name in ("urllib3", "kedro.framework.hooks"):  # below, they show keys
                settings["loggers"][name]["level"] = "INFO"
        configure_logging(settings)
        about = settings["formatters"]["terminal"]
        for handler in _terminal_handlers():  # Kedro lets no configuration name our class
            handler.setFormatter(MaskingFormatter(about["format"], about.get("datefmt")))
    _Terminal.is_verbose = is_verbose


def quieten_terminal(level: int = logging.WARNING) -> None:
    """Let only warnings of this process reach the terminal, or another level and above."""
    for handler in _terminal_handlers():
        handler.setLevel(level)


def _terminal_handlers() -> list[logging.StreamHandler[Any]]:
    handlers = logging.getLogger().handlers
    return [handler for handler in handlers if type(handler) is logging.StreamHandler]


def is_verbose() -> bool:
    """Say whether the terminal shows all there is."""
    return _Terminal.is_verbose


class _Terminal:
    """What the terminal of this process shows."""

    is_verbose = False


def open_pipeline_log(folder: Path) -> None:
    """Let the root logger write JSON lines to ``pipeline.log``, once for each process."""
    path = Path(os.path.abspath(folder / PIPELINE_LOG))
    root = logging.getLogger()
    for handler in _pipeline_handlers():
        if Path(handler.baseFilename) == path:
            return
        root.removeHandler(handler)
        handler.close()
    folder.mkdir(parents=True, exist_ok=True)
    logging.captureWarnings(True)
    handler = _LogFile(path, encoding="utf-8", delay=True)
    handler.setLevel(logging.DEBUG)
    handler.setFormatter(JsonLines())
    root.addHandler(handler)


def pipeline_log() -> Path | None:
    """Say where this process writes its JSON lines, if it does."""
    return next((Path(handler.baseFilename) for handler in _pipeline_handlers()), None)


def _pipeline_handlers() -> list[logging.FileHandler]:
    return [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.FileHandler) and isinstance(handler.formatter, JsonLines)
    ]


def open_task_log(folder: Path, task: str) -> logging.Handler:
    """Let the root logger also write what this thread says to the task's own file.

    The file holds the newest run of the task. Whoever opens it closes it with
    `close_task_log`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handler = _LogFile(folder / f"{task}.log", mode="w", encoding="utf-8")
    handler.setLevel(logging.DEBUG)
    handler.setFormatter(MaskingFormatter("%(asctime)s %(levelname)-7s %(message)s"))
    handler.addFilter(_ThisThread())
    logging.getLogger().addHandler(handler)
    return handler


def close_task_log(handler: logging.Handler) -> None:
    """Close what `open_task_log` has opened."""
    logging.getLogger().removeHandler(handler)
    handler.close()
