"""Kill runs at every kind of moment, resume them, and check that nothing is lost or untrue.

``python tests/crash/harness.py --kills 200`` kills runs of the returns study on small data: at
node boundaries one after the other, at numbered changes of the file system, and at random
instants. After each kill, and whenever a data root is complete, everything is compared with a
run that nobody has disturbed. Exit status: 0 if all is well, 1 if anything is not; the place is
then kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from crash_checks import (
    FINISHED,
    KILLED,
    Problem,
    Reference,
    check_end,
    check_repeats,
    check_rest,
    check_state,
    read_done,
    take_reference,
)
from crash_place import Process, Root, Site, describe_process

POINTS = {"json": "before .json", "ok": "before .ok", "after": "after .ok"}
PATIENCE_SECONDS = 120
WORKER_SECONDS = 1.0  # that a process which runs nodes may outlive its run
OTHERS_SECONDS = 5.0  # that any other may: a fork server that is busy leaving
MAX_FAILED_ROOTS = 5


@dataclass(frozen=True)
class Kill:
    """How the next run is to die."""

    kind: str  # "boundary", "change" or "instant"
    target: str = "main"
    change: int | None = None


@dataclass
class Campaign:
    """Kills, one after the other, on one data root after the other."""

    site: Site
    reference: Reference
    kills: int
    mode: str
    executor: str
    seed: int
    startup_seconds: float
    made: Counter[str] = field(default_factory=Counter)
    problems: list[tuple[str, Problem]] = field(default_factory=list)
    finished_roots: int = 0
    slowest_worker: float = 0.0

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._wanted: dict[tuple[str, str], int] = {}
        self._root: Root | None = None
        self._failed_roots = 0
        self._chosen = self._choose()

    @property
    def count(self) -> int:
        """How many kills were made."""
        return self.made.total()

    def run(self) -> None:
        """Make all kills, then let the last run finish."""
        while self.count < self.kills and self._failed_roots < MAX_FAILED_ROOTS:
            self._run_once(next(self._chosen))
        if self._root is not None:
            self._run_once(None)

    def _choose(self) -> Iterator[Kill]:
        """Alternate between the sweep and chance, as the mode says."""
        number = 0
        while True:
            sweeps = self.mode == "sweep" or (self.mode == "mixed" and number % 2 == 0)
            number += 1
            hits_worker = self.executor == "processes" and number % 5 == 0
            target = "worker" if hits_worker else "main"
            if sweeps:
                yield Kill("boundary", target)
            elif self._rng.random() < 0.4:
                yield Kill("change", target, int(np.exp(self._rng.uniform(0, np.log(500)))))
            else:
                yield Kill("instant", target)

    def _want(self) -> list[tuple[str, str]]:
        """Return the boundaries that are still to be met, all of them anew once they are met."""
        if not self._wanted:
            pairs = [(node, point) for node in self.reference.nodes for point in POINTS]
            share = self.kills if self.mode == "sweep" else (self.kills + 1) // 2
            if share < len(pairs):  # each node at least once, its points in turn
                turn = [
                    pairs[3 * i + (i + k) % 3] for k in range(3) for i in range(len(pairs) // 3)
                ]
                pairs = turn[: max(share, 1)]
                if share < len(self.reference.nodes):
                    step = len(self.reference.nodes) / max(share, 1)
                    pairs = [turn[int(i * step)] for i in range(max(share, 1))]
            self._wanted = dict.fromkeys(pairs, 0)
        return list(self._wanted)

    def _run_once(self, kill: Kill | None) -> None:
        root = self._root = self._root or self.site.new_root()
        before, offset = read_done(root.data), root.log_size()
        started = time.perf_counter()
        process, point = self._start_and_kill(root, kill, offset)
        status = process.wait(PATIENCE_SECONDS)
        found: list[Problem] = []
        if status is None:
            found.append(Problem("hang", f"it did not end within {PATIENCE_SECONDS} s"))
        elif status not in (0, -signal.SIGKILL):
            found.append(Problem("exit status", f"{status}: {process.output[-600:]}"))
        found += self._check_orphans(process)
        if point is not None:
            self.made[point[0]] += 1
        if status == -signal.SIGKILL:
            note_ends(root, self.reference)
        found += check_state(root, self.reference) + check_repeats(root, before, offset)
        is_over = status == 0
        if is_over:
            note_ends(root, self.reference)
            found += check_end(root, self.reference) + self._check_rest(root)
        self._report(process, point, found, is_over, time.perf_counter() - started)

    def _start_and_kill(
        self, root: Root, kill: Kill | None, offset: int
    ) -> tuple[Process, tuple[str, str] | None]:
        """Start a run and see it die; return how: the kind of kill, and where."""
        if kill is None:
            return root.start(self.executor), None
        if kill.kind == "instant":
            process = root.start(self.executor)
            where = self._kill_at_instant(process, kill.target, offset)
            return process, (f"{kill.target}, {where.split(' at ')[0]}", where) if where else None
        wanted = self._want() if kill.kind == "boundary" else []
        plan = {"points": wanted, "change": kill.change, "target": kill.target}
        process = root.start(self.executor, plan)
        process.wait(PATIENCE_SECONDS)
        hit = process.hit
        if hit is None:
            for pair in wanted:  # met by nobody, twice: a worker that ends makes no change
                self._wanted[pair] += 1
                if self._wanted[pair] >= 4:
                    del self._wanted[pair]
            return process, None
        if kill.kind == "change":
            return process, (f"{kill.target}, at a change", f"change {hit['subject']}")
        self._wanted.pop((hit["subject"], hit["point"]), None)
        name = POINTS[hit["point"]]
        return process, (f"{kill.target}, {name}", f"{hit['subject']} {name}")

    def _kill_at_instant(self, process: Process, target: str, offset: int) -> str | None:
        """Kill at a random instant: while it starts, or while nodes run."""
        if target == "main" and self._rng.random() < 0.25:
            moment = float(self._rng.uniform(0.2, self.startup_seconds))
            where = "starting"
        else:
            if not process.wait_for_node(offset):
                return None
            moment = float(self._rng.uniform(0, 2.5))
            where = "running"
        if process.wait(moment) is not None:
            return None
        if target == "worker":
            workers = process.workers()
            if not workers:
                return None
            os.kill(int(self._rng.choice(workers)), signal.SIGKILL)
        else:
            process.kill()
        return f"{where} at {moment:.2f} s"

    def _check_rest(self, root: Root) -> list[Problem]:
        """Check that one more run has nothing to do, and leaves nothing of runs that died."""
        root.age_outbox()
        before, offset = read_done(root.data), root.log_size()
        process = root.start(self.executor)
        status = process.wait(PATIENCE_SECONDS)
        found = self._check_orphans(process) + check_repeats(root, before, offset)
        if status != 0 or "Nothing to do" not in process.output:
            found.append(Problem("exit status", f"{status} with nothing to do: {process.output}"))
        return found + check_rest(root)

    def _check_orphans(self, process: Process) -> list[Problem]:
        """Check that workers end within a second of their run, and everything else soon."""
        root, ended, workers = process.root, time.monotonic(), 0.0
        while (left := root.processes()) and time.monotonic() - ended < OTHERS_SECONDS:
            if process.workers():
                workers = time.monotonic() - ended
                if workers > WORKER_SECONDS:
                    break
            time.sleep(0.02)
        self.slowest_worker = max(self.slowest_worker, workers)
        if not left:
            return []
        named = [f"{pid} ({describe_process(pid, root.log)})" for pid in left]
        process.end_all()
        seconds = time.monotonic() - ended
        return [Problem("process left", f"after {seconds:.1f} s: {', '.join(named)}")]

    def _report(
        self,
        process: Process,
        point: tuple[str, str] | None,
        found: list[Problem],
        is_over: bool,
        seconds: float,
    ) -> None:
        root = process.root
        how = f"{point[0]}: {point[1]}" if point else "not killed"
        done = f"{len(read_done(root.data))}/{self.reference.node_count} nodes"
        end = ", complete" if is_over else ""
        say(
            f"[{self.count:>3}/{self.kills}] {root.folder.name} {how}; {done}{end}; {seconds:.1f} s"
        )
        where = f"{root.folder.name}/{process.folder.name}"
        known = {one for place, one in self.problems if place.startswith(root.folder.name)}
        for one in dict.fromkeys(one for one in found if one not in known):
            self.problems.append((where, one))
            say(f"    {one.kind.upper()} {one.text}")
        if found:
            (process.folder / "problems.json").write_text(json.dumps(found, indent=1))
        keep = any(place.startswith(root.folder.name) for place, _ in self.problems)
        serious = [one for one in found if one.kind in ("hang", "exit status")]
        if is_over or serious:
            self._root = None
            self._failed_roots += bool(serious)
            self.finished_roots += is_over
            if not keep:
                shutil.rmtree(root.folder)


def note_ends(root: Root, reference: Reference) -> None:
    """Note, from what lies on the disk when a run has ended, what MLflow may say of it."""
    done = read_done(root.data)
    for facts in (root.data / "outbox").glob("*/run.json"):
        run_id, folder = facts.parent.name, facts.parent
        if run_id not in root.expected:
            end = folder / "end.json"
            status = json.loads(end.read_text("utf-8"))["status"] if end.exists() else KILLED
            root.expected[run_id] = {status}
        for cell, nodes in reference.cell_nodes.items():
            if (run_id, cell) in root.cells:
                continue
            kept = {path.stem for path in (folder / "records").glob("*.json")}
            # Whole by this run's own records, or by those of several runs: then the next start
            # adds what this one lacks.
            is_whole = nodes <= kept or nodes <= done.keys()
            is_finished = is_whole or root.expected[run_id] == {FINISHED}
            root.cells[run_id, cell] = {FINISHED if is_finished else KILLED}


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_table(campaign: Campaign, seconds: float) -> None:
    """Print what was done and what was found."""
    say(f"\n{'kills':<44} {campaign.count:>5}")
    for kind, count in sorted(campaign.made.items()):
        say(f"  {kind:<42} {count:>5}")
    say(f"{'data roots completed':<44} {campaign.finished_roots:>5}")
    found = Counter(one.kind for _, one in campaign.problems)
    always = ("not finished", "half a file", "re-run", "mismatch", "model bytes", "tracking")
    more = ("metrics", "incomplete cell", "process left")
    for kind in dict.fromkeys([*always, *more, *sorted(found)]):
        say(f"{kind:<44} {found[kind]:>5}")
    say(f"{'longest life of a worker after its run':<44} {campaign.slowest_worker:>5.2f} s")
    say(f"{'time':<44} {seconds:>5.0f} s")


@dataclass(frozen=True)
class Trial:
    """A place, what an undisturbed run has left in it, and how long a run takes to start."""

    site: Site
    reference: Reference
    undisturbed: Root
    startup_seconds: float

    @classmethod
    def prepare(cls, folder: Path, *, is_small: bool) -> Trial:
        """Make a place and run the study in it once.

        Raises
        ------
        RuntimeError
            If that run fails.
        """
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        site = Site.make(folder, is_small=is_small)
        root = site.new_root("reference")
        begun = time.time()
        undisturbed = root.start("sequential")
        if undisturbed.wait(PATIENCE_SECONDS) != 0:
            raise RuntimeError(f"The reference run failed:\n{undisturbed.output}")
        reference = take_reference(root)
        first = min((root.data / "logs").glob("*.log"), key=lambda path: path.stat().st_ctime)
        say(f"reference: {reference.node_count} nodes, {len(reference.files)} files")
        return cls(site, reference, root, max(2.0, first.stat().st_ctime - begun))

    def kill(self, *, kills: int, seed: int, executor: str, mode: str = "mixed") -> int:
        """Make a campaign, print what came of it, and return the exit status."""
        started = time.perf_counter()
        campaign = Campaign(
            site=self.site,
            reference=self.reference,
            kills=kills,
            mode=mode,
            executor=executor,
            seed=seed,
            startup_seconds=self.startup_seconds,
        )
        campaign.run()
        print_table(campaign, time.perf_counter() - started)
        return 1 if campaign.problems or campaign.count < kills else 0


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="how many kills (200)")
    parser.add_argument("--seed", type=int, default=1, help="of all that is left to chance (1)")
    parser.add_argument("--executor", choices=("sequential", "processes"), default="sequential")
    parser.add_argument("--mode", choices=("sweep", "random", "mixed"), default="mixed")
    parser.add_argument(
        "--small", action="store_true", help="a baseline, two scenarios of two models"
    )
    parser.add_argument("--keep", action="store_true", help="keep the place even if all is well")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tidemark-crash-"))
    say(f"place {folder}")
    trial = Trial.prepare(folder, is_small=options.small)
    status = trial.kill(
        kills=options.kills, seed=options.seed, executor=options.executor, mode=options.mode
    )
    if status or options.keep:
        say(f"the place is kept: {folder}")
    else:
        shutil.rmtree(folder)
    return status


if __name__ == "__main__":
    sys.exit(main())
