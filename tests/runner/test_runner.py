"""A run does what is to be done and no more, and goes as far as it can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidemark.errors import ConfigError, StaleInputs, UnknownName
from tidemark.runner.runner import Conduct, TidemarkRunner

NAMES = ("parse", "scale", "total", "count")


def test_run_of_what_never_ran_runs_all_in_order(ready: Any) -> None:
    """Every node runs once, after what it needs, and leaves a finished checkpoint of this run."""
    spy = ready.run("r1")

    assert (spy.begun, spy.error) == (True, None)
    assert sorted(spy.ran) == sorted(NAMES)
    assert spy.ran.index("parse") == 0
    assert spy.ran.index("scale") < spy.ran.index("total")
    assert {ready.record(name).run_id for name in NAMES} == {"r1"}
    assert ready.read("sum") == {"total": 12}


def test_run_again_touches_nothing_and_is_no_run(ran: Any) -> None:
    """A second run opens nothing, calls no node and leaves every file alone."""
    before = ran.files()
    spy = ran.run("r2")

    assert (spy.begun, spy.ran, spy.error) == (False, [], None)
    assert ran.files() == before


def test_run_after_a_change_without_effect_stops_early(ran: Any) -> None:
    """White space in the source makes the first node run; what comes out the same ends it there."""
    (ran.root / "source.txt").write_text(" 1  2\n3\n", encoding="utf-8")
    spy = ran.run("r2")

    assert spy.ran == ["parse"]
    assert {name: ran.record(name).run_id for name in NAMES} == {
        **dict.fromkeys(NAMES, "r1"),
        "parse": "r2",
    }


def test_run_after_a_change_runs_what_needs_it_and_nothing_else(ran: Any) -> None:
    """A parameter of one node leaves its siblings alone."""
    ran.params["factor"] = 3
    spy = ran.run("r2")

    assert spy.ran == ["scale", "total"]
    assert ran.read("sum") == {"total": 18}


def test_run_forced_runs_all(ran: Any) -> None:
    """``--force`` runs what is fresh, too."""
    spy = ran.run("r2", conduct=Conduct(is_forced=True))

    assert sorted(spy.ran) == sorted(NAMES)
    assert {ran.record(name).run_id for name in NAMES} == {"r2"}


@pytest.mark.parametrize("options", [(), ("--env", "test")])
def test_run_of_a_slice_on_stale_inputs_is_refused_with_the_command(
    ran: Any, options: tuple[str, ...]
) -> None:
    """Nothing is begun; the remedy repeats what of the command it needs."""
    ran.params["factor"] = 3
    before = ran.files()
    spy = ran.run("r2", "total", conduct=Conduct(remedy_options=options))

    assert isinstance(spy.error, StaleInputs)
    lines = [line.strip() for line in str(spy.error).splitlines()]
    assert "- scale is stale: params:factor 2 -> 3" in lines
    assert " ".join(["kedro run --to-nodes scale", *options]) in lines
    assert "--allow-stale-inputs" in lines[-1]
    assert not spy.begun
    assert ran.files() == before


def test_run_of_a_slice_on_stale_inputs_that_is_allowed_says_so(ran: Any) -> None:
    """The slice runs on what is there, and its checkpoint names it."""
    ran.params["factor"] = 3
    conduct = Conduct(is_forced=True, allows_stale_inputs=True)
    spy = ran.run("r2", "total", "count", conduct=conduct)

    assert (sorted(spy.ran), spy.error) == (["count", "total"], None)
    assert ran.record("total").stale_inputs == ["scaled"]
    assert ran.record("count").stale_inputs == []
    assert ran.read("sum") == {"total": 12}


def test_run_of_a_slice_on_inputs_that_can_only_get_better_is_not_refused(ran: Any) -> None:
    """A cached file in the place of a source that was down is whole: a slice may read it."""
    ran.edit("parse", incidents=[{"kind": "degraded", "message": "it rained"}])
    ran.params["factor"] = 3
    spy = ran.run("r2", "scale")

    assert (spy.ran, spy.error) == (["scale"], None)
    assert ran.record("scale").stale_inputs == []


def test_run_through_memory_runs_the_reader_whenever_the_writer_runs(ran: Any) -> None:
    """What was never stored cannot be compared: both sides of it run, with the new data."""
    ran.entries["numbers"] = {"type": "MemoryDataset"}
    first = ran.run("r2")
    (ran.root / "source.txt").write_text("1 2 4", encoding="utf-8")
    second = ran.run("r3")

    assert (first.error, second.error) == (None, None)
    assert sorted(second.ran) == sorted(NAMES)
    assert ran.read("sum") == {"total": 14}


def test_run_of_processes_refuses_datasets_in_memory(ready: Any) -> None:
    """What one process holds no other can read; it is said which, and before any node runs."""
    ready.entries["scaled"] = {"type": "MemoryDataset"}
    spy = ready.run("r1", executor="processes", max_workers=1)

    assert isinstance(spy.error, ConfigError)
    assert "scaled. Add entries, or use executor=sequential." in str(spy.error)
    assert spy.ran == []


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda bench: bench.run("r1", executor="sequental"), UnknownName, "'sequential'"),
        (lambda bench: bench.entries.pop("source") and bench.run("r1"), ConfigError, "source"),
    ],
)
def test_run_that_cannot_begin_says_why(
    ready: Any, make: Callable[[Any], Any], kind: type[Exception], words: str
) -> None:
    """A misspelt executor and an input that nobody makes are known before anything runs."""
    spy = make(ready)

    assert isinstance(spy.error, kind)
    assert words in str(spy.error)
    assert spy.ran == []


def test_runner_refuses_what_it_does_not_do(ready: Any) -> None:
    """Asynchronous loading and a run outside a session are not taken for something else."""
    with pytest.raises(ConfigError, match="--async needs one of Kedro's runners"):
        TidemarkRunner(is_async=True)
    with pytest.raises(ConfigError, match="needs hooks and a run id"):
        TidemarkRunner().run(ready.pipeline, ready.catalog())
    assert not Path(ready.root / "checkpoints").exists()
