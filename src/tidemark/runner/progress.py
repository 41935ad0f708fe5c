"""How far a run has come: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from tidemark.errors import brief
from tidemark.runner.specs import NodeResult

logger = logging.getLogger(__name__)

Expected = Mapping[str, float | None]


class Progress:
    """Say what runs, in one line for each node.

    Parameters
    ----------
    total : int
        Nodes that are selected.
    expected_seconds : mapping of str to float or None
        How long each that may run took the last time, where that is known.
    workers : int
        How many run at once.
    """

    def __init__(
        self, total: int, expected_seconds: Mapping[str, float | None], workers: int
    ) -> None:
        self._total = total
        self._expected = dict(expected_seconds)
        self._workers = workers
        self._ended = 0
        self._running: dict[str, float] = {}
        self._seconds: list[float] = []
        self.skipped_count = 0

    def started(self, node: str) -> None:
        """Note that a node begins."""
        self._running[node] = time.monotonic()

    def skipped(self, node: str) -> None:
        """Note that a node was fresh."""
        self._end(node)
        self.skipped_count += 1
        logger.debug("%s %s is fresh", self._place(), node)

    def done(self, result: NodeResult) -> None:
        """Note that a node finished."""
        self._end(result.node)
        self._seconds.append(result.seconds)
        logger.info("%s %-44s %7.1f s", self._place(), result.node, result.seconds)

    def failed(self, result: NodeResult, blocked: int) -> None:
        """Note that a node failed, and how many cannot run now."""
        self._end(result.node)
        logger.error(
            "%s %-44s failed: %s%s",
            *(self._place(), result.node, brief(result.error or "")),
            f" ({blocked} nodes blocked so far)" if blocked else "",
        )

    def tick(self) -> None:
        """Take the chance to draw anew."""

    def close(self) -> None:
        """Draw no more."""

    def _end(self, node: str) -> None:
        self._ended += 1
        self._running.pop(node, None)
        self._expected.pop(node, None)

    def _place(self) -> str:
        return f"[{self._ended:>{len(str(self._total))}}/{self._total}]"

    def _seconds_left(self) -> float:
        """Guess from the last time, or from the nodes before where there was none."""
        known = [*(one for one in self._expected.values() if one is not None), *self._seconds]
        usual = sum(known) / len(known) if known else 0.0
        whole = sum(usual if one is None else one for one in self._expected.values())
        spent = sum(time.monotonic() - begun for begun in self._running.values())
        return max(0.0, whole - spent) / self._workers


class LiveProgress(Progress):
    """The same lines, above a line that lives: done, running, fresh, time left."""

    def __init__(
        self, total: int, expected_seconds: Mapping[str, float | None], workers: int
    ) -> None:
        super().__init__(total, expected_seconds, workers)
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        # It draws when it is told to: a thread that draws could be forked with its lock held.
        self._bar = Bar(
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[fresh]} fresh  {task.fields[left]}"),
            TextColumn("{task.fields[now]}", style="dim"),
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total, fresh=0, left="", now="")
        self._handlers = _through(self._bar.console)
        self._bar.start()

    def started(self, node: str) -> None:
        """Note that a node begins."""
        super().started(node)
        self.tick()

    def skipped(self, node: str) -> None:
        """Note that a node was fresh."""
        super().skipped(node)
        self.tick()

    def tick(self) -> None:
        """Draw the line anew."""
        left = self._seconds_left()
        self._bar.update(
            self._task,
            completed=self._ended,
            fresh=self.skipped_count,
            left=f"about {left:.0f} s left" if left >= 1 else "",
            now=", ".join(self._running),
        )
        self._bar.refresh()

    def close(self) -> None:
        """Remove the line."""
        self._bar.stop()
        for handler, stream in self._handlers:
            handler.setStream(stream)


class _Lines:
    """A stream for log handlers that writes above the living line."""

    def __init__(self, console: Any) -> None:
        self._console = console

    def write(self, text: str) -> None:
        if text.strip():
            self._console.print(text.rstrip("\n"), markup=False, highlight=False, soft_wrap=True)

    def flush(self) -> None:
        return


def _through(console: Any) -> list[tuple[logging.StreamHandler[Any], Any]]:
    """Let what is logged to the terminal go through the console that draws on it."""
    changed = []
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            changed.append((handler, handler.setStream(_Lines(console))))
    return changed


def open_progress(
    total: int, expected_seconds: Mapping[str, float | None], workers: int
) -> Progress:
    """Choose the display that fits where the output goes."""
    import sys

    kind = LiveProgress if sys.stderr.isatty() else Progress
    return kind(total, expected_seconds, workers)
