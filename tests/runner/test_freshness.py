"""What is fresh, what is not, and why: one change at a time on four nodes that have run."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from kedro.pipeline import Node

from tidemark.runner.freshness import State

NAMES = ("parse", "scale", "total", "count")
NODES = __name__.replace("test_freshness", "conftest")  # the module of the four functions


def _flip_one_byte(path: Any) -> None:
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[0] ^= 1
    while path.stat().st_ctime_ns == stat.st_ctime_ns:  # older kernels count in ticks of 4 ms
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _rewire(bench: Any) -> None:
    bench.add_files("offset")
    (bench.root / "offset.json").write_text("1", encoding="utf-8")
    nodes = {node.name: node for node in bench.pipeline.nodes}
    inputs = ["numbers", "params:factor", "offset"]
    nodes["scale"] = Node(nodes["scale"].func, inputs, "scaled", name="scale")
    bench.pipeline = list(nodes.values())


def _unwire(bench: Any) -> None:
    inputs = bench.record("scale").inputs
    bench.edit("scale", inputs=[{**vars(inputs[0]), "name": "gone"}, vars(inputs[0])])


def _forget_output(bench: Any) -> None:
    bench.edit("scale", outputs=[])


def _incident(kind: str) -> Callable[[Any], None]:
    return lambda bench: bench.edit("scale", incidents=[{"kind": kind, "message": "it rained"}])


WAITS = "stale: waits for scale"
FRESH = "fresh: "
CHANGED = "stale: input numbers has changed, "

# What happens, and what is then said of scale, of total (which needs it), and of the others if
# they are touched. A place for a hash is written as #.
CASES: dict[str, tuple[Callable[[Any], object], dict[str, str]]] = {
    "nothing": (lambda bench: None, {}),
    "a touched file": (lambda bench: os.utime(bench.root / "numbers.json"), {}),
    "a parameter": (
        lambda bench: bench.params.update(factor=3),
        {"scale": "stale: params:factor 2 -> 3", "total": WAITS},
    ),
    "an entry": (
        lambda bench: bench.entries["scaled"].update(save_args={"indent": 2}),
        {
            "scale": "stale: catalog entry scaled: save_args.indent absent -> 2",
            "total": "stale: catalog entry scaled: save_args.indent absent -> 2; waits for scale",
        },
    ),
    "metadata of an entry": (
        lambda bench: bench.entries["scaled"].update(metadata={"kedro-viz": {"layer": "raw"}}),
        {},
    ),
    "the source": (
        lambda bench: (bench.root / "source.txt").write_text("1 2 4", encoding="utf-8"),
        {
            "parse": "stale: input source has changed, # -> #",
            "scale": "stale: waits for parse",
            "total": WAITS,
            "count": "stale: waits for parse",
        },
    ),
    "an altered output": (
        lambda bench: _flip_one_byte(bench.root / "numbers.json"),
        {
            "parse": "corrupt: output numbers was altered after it was written",
            "scale": f"{CHANGED}# -> #; waits for parse",
            "total": WAITS,
            "count": f"{CHANGED}# -> #; waits for parse",
        },
    ),
    "a removed output": (
        lambda bench: (bench.root / "numbers.json").unlink(),
        {
            "parse": "missing: output numbers is absent",
            "scale": f"{CHANGED}# -> absent; waits for parse",
            "total": WAITS,
            "count": f"{CHANGED}# -> absent; waits for parse",
        },
    ),
    "a torn checkpoint": (
        lambda bench: (bench.root / "checkpoints/scale.json").write_text("{", encoding="utf-8"),
        {"scale": "corrupt: its checkpoint cannot be read", "total": WAITS},
    ),
    "an old format": (
        lambda bench: bench.edit("scale", format=1),
        {"scale": "stale: its checkpoint has format 1, not 2", "total": WAITS},
    ),
    "a node that died": (
        lambda bench: bench.edit("scale", status="started"),
        {"scale": "failed: run r1 ended while it ran", "total": WAITS},
    ),
    "a death before the mark": (
        lambda bench: (bench.root / "checkpoints/scale.ok").unlink(),
        {"scale": "failed: run r1 ended while it ran", "total": WAITS},
    ),
    "a failure": (
        lambda bench: bench.edit("scale", status="failed", error="ValueError: no\nmore"),
        {"scale": "failed: failed in run r1: ValueError: no", "total": WAITS},
    ),
    "no checkpoint": (
        lambda bench: [path.unlink() for path in (bench.root / "checkpoints").glob("scale.*")],
        {"scale": "missing: has not run here", "total": WAITS},
    ),
    "a library": (
        lambda bench: bench.edit("scale", libraries={"kedro-datasets": "0.1"}),
        {
            "scale": f"stale: library kedro-datasets 0.1 -> {version('kedro-datasets')}",
            "total": WAITS,
        },
    ),
    "a module": (
        lambda bench: bench.edit("scale", code={NODES: "0" * 64}),
        {"scale": f"stale: module {NODES} changed", "total": WAITS},
    ),
    "modules": (
        lambda bench: bench.edit("scale", code=dict.fromkeys(["b", "a", "d", "c"], "0")),
        {"scale": "stale: modules a, b, c and 1 more changed", "total": WAITS},
    ),
    "a function": (
        lambda bench: bench.edit("scale", function="old.name"),
        {"scale": f"stale: function old.name -> {NODES}.scale", "total": WAITS},
    ),
    "a new input": (
        _rewire,
        {"scale": "stale: input offset is new", "total": WAITS},
    ),
    "an input no longer": (
        _unwire,
        {"scale": "stale: input gone is read no longer", "total": WAITS},
    ),
    "a new output": (
        _forget_output,
        {"scale": "stale: output scaled is new", "total": WAITS},
    ),
    "a fallback": (_incident("fallback"), {}),
    "a source that was down": (
        _incident("degraded"),
        {"scale": "stale: degraded last time: it rained", "total": WAITS},
    ),
    "an output not made": (
        _incident("missing"),
        {"scale": "stale: missing last time: it rained", "total": WAITS},
    ),
    "a failed cell": (
        _incident("failed_cell"),
        {"scale": "failed: failed cell last time: it rained", "total": WAITS},
    ),
    "a leak": (
        _incident("leak"),
        {"scale": "failed: leak last time: it rained", "total": WAITS},
    ),
    "an alarm": (_incident("alarm"), {}),
    "two things": (
        lambda bench: (bench.params.update(factor=3), (bench.root / "scaled.json").unlink()),
        {
            "scale": "missing: output scaled is absent; params:factor 2 -> 3",
            "total": "stale: input scaled has changed, # -> absent; waits for scale",
        },
    ),
}
# Outputs that are whole, and were made from what they would be made from now.
USABLE = {"nothing", "a touched file", "metadata of an entry", "a fallback", "a leak", "an alarm"}
USABLE |= {"a source that was down", "an output not made", "a failed cell"}


@pytest.mark.parametrize("case", CASES)
def test_judge_after_one_change_says_what_is_not_fresh_and_why(
    ran: Any, reasons_of: Callable[..., dict[str, str]], case: str
) -> None:
    """Each change is told by the node that it concerns; what needs that node waits for it."""
    change, expected = CASES[case]
    change(ran)
    states = ran.judge()

    found = reasons_of(states)
    for name in NAMES:
        words = expected.get(name, FRESH).split("#")
        rest = found[name]
        for word in words[:-1]:
            assert rest.startswith(word), found
            rest = rest.removeprefix(word)[8:]
        assert rest == words[-1], found
    assert states["scale"].is_usable is (case in USABLE)
    assert states["total"].is_usable is (case in USABLE)
    assert states["count"].is_usable is ("count" not in expected)


@pytest.mark.parametrize("case", CASES)
def test_run_after_one_change_leaves_everything_fresh(ran: Any, case: str) -> None:
    """Whatever was found, one run mends it, and gives what a first run would have given."""
    CASES[case][0](ran)
    first = ran.run("r2")
    second = ran.run("r3")

    assert (first.error, second.error) == (None, None)
    assert {one.state for one in ran.judge().values()} == {State.FRESH}
    assert not second.begun
    numbers = [int(word) for word in ran.read("source").split()]
    assert ran.read("sum") == {"total": sum(numbers) * ran.params["factor"]}
    assert ran.read("number") == {"count": 3}


def test_judge_of_one_node_takes_what_lies_on_the_disk_for_done(ran: Any) -> None:
    """When its turn comes, a node is judged by its inputs as they are, not by how they stood."""
    ran.params["factor"] = 3
    judge = ran.new_judge()
    nodes = {node.name: node for node in ran.pipeline.nodes}

    assert judge.judge(nodes["total"]).state is State.FRESH
    assert judge.judge(nodes["scale"]).reasons == ("params:factor 2 -> 3",)
    assert [node.name for node in judge.makers(nodes["total"])] == ["scale"]
