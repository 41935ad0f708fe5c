"""Equal objects give equal pickles, whichever process wrote them, and Python reads them."""

from __future__ import annotations

import pickle
import pickletools
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from tidemark.datasets.model import dump_canonical
from tidemark.domain.estimators import Approximation, EstimatorName, make_estimator

NAMES = ["linear", "ridge", "svr", "poly2"]
FEATURES = ["ret_lag_1", "ret_lag_2"]

# Prints the canonical pickle of a set of words, whose order depends on the process's hash seed.
SET_OF_WORDS = """
import sys
from tidemark.datasets.model import dump_canonical
sys.stdout.write(dump_canonical({"words": set("the tide comes in and goes out".split())}).hex())
"""


def fitted(name: EstimatorName, exact_rows: int = 1000) -> Any:
    """Fit an estimator to seeded numbers."""
    rng = np.random.default_rng(7)
    features = pd.DataFrame(rng.normal(size=(60, 2)), columns=FEATURES)
    model = make_estimator(name, 60, Approximation(exact_rows, 20), 1)
    return model.fit(features, 0.3 * features["ret_lag_1"] ** 2)


def read(content: bytes) -> Any:
    """Read a pickle as Python itself does."""
    return pickle.loads(content)  # noqa: S301 - bytes that a test has just written


def unshared(text: str) -> str:
    """Make a string that is equal to another and not the same object."""
    return "".join(list(text))


@pytest.mark.parametrize("exact_rows", [1000, 1])
@pytest.mark.parametrize("name", NAMES)
def test_dump_model_that_was_read_back_has_the_same_bytes(
    name: EstimatorName, exact_rows: int
) -> None:
    """Fitted here, read from its own bytes or from Python's usual ones: one file."""
    model = fitted(name, exact_rows)
    content = dump_canonical(model)
    assert dump_canonical(read(content)) == content
    assert dump_canonical(read(pickle.dumps(model))) == content
    assert dump_canonical(fitted(name, exact_rows)) == content


@pytest.mark.parametrize(
    ("shared", "apart"),
    [
        (["the tide"] * 2, ["the tide", unshared("the tide")]),
        ([b"the tide"] * 2, [b"the tide", bytes(bytearray(b"the tide"))]),
        ([(1, "a")] * 2, [(1, "a"), tuple([1, "a"])]),
        ([1.5] * 2, [1.5, float("1.5")]),
        ([10**30] * 2, [10**30, 10**29 * 10]),
        ([np.float64(1.5)] * 2, [np.float64(1.5), np.float64(1.5)]),
        ([np.dtype("f8")] * 2, [np.dtype("f8"), read(pickle.dumps(np.dtype("f8")))]),
        ([frozenset("ab")] * 2, [frozenset("ab"), frozenset("ba")]),
    ],
    ids=["text", "bytes", "tuple", "float", "integer", "scalar", "dtype", "frozenset"],
)
def test_dump_does_not_tell_equal_constants_from_the_same_one(
    shared: list[Any], apart: list[Any]
) -> None:
    """Whether two places hold one object or two equal ones is chance, and not written."""
    assert dump_canonical(shared) == dump_canonical(apart)
    assert read(dump_canonical(apart)) == shared


def test_dump_estimator_with_names_of_its_own_has_the_same_bytes() -> None:
    """Names of features and parameters that are not interned change nothing."""
    model = fitted("ridge")
    content = dump_canonical(model)
    other = fitted("ridge")
    scaler = other.named_steps["scaler"]
    scaler.feature_names_in_ = np.array([unshared(name) for name in FEATURES], dtype=object)
    other.steps = [(unshared(name), step) for name, step in other.steps]
    other.named_steps["regressor"].solver = unshared("cholesky")
    assert dump_canonical(other) == content
    assert pickle.dumps(other) != pickle.dumps(model)  # which is why the dataset exists


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0)[::2],
        np.arange(6.0).reshape(2, 3)[:, 1],
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6).reshape(2, 3).T,
        np.frombuffer(bytes(24), dtype="f8"),
        np.array(["a", None], dtype=object),
        np.array(3.0),
        np.empty((0, 2)),
    ],
    ids=["gaps", "column", "fortran", "turned", "read-only", "objects", "no axis", "no rows"],
)
def test_dump_array_of_any_layout_is_read_back_and_written_alike(array: np.ndarray) -> None:
    """Gaps and write protection are no values; values, shape and type come back."""
    content = dump_canonical(array)
    back = read(content)
    assert_array_equal(back, array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert dump_canonical(back) == content
    if array.flags.f_contiguous:  # sums over rows or columns round as they did
        assert back.flags.f_contiguous


def test_dump_set_of_words_is_the_same_in_every_process() -> None:
    """The order in which a process keeps a set is left to its hash seed, and not written."""
    written = {
        subprocess.run(
            [sys.executable, "-c", SET_OF_WORDS],
            env={"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    (content,) = written
    words = {"the", "tide", "comes", "in", "and", "goes", "out"}
    assert read(bytes.fromhex(content)) == {"words": words}


def test_dump_keeps_what_can_change_shared() -> None:
    """Two places that hold one array or list hold one after loading; two equal ones stay two."""
    numbers, words = np.arange(3.0), ["a"]
    together = read(dump_canonical([numbers, words, numbers, words]))
    assert together[0] is together[2]
    assert together[1] is together[3]
    apart = read(dump_canonical([numbers, words, numbers.copy(), ["a"]]))
    assert apart[0] is not apart[2]
    assert apart[1] is not apart[3]


def test_dump_list_that_holds_itself_is_read_back() -> None:
    """What refers to itself through a tuple ends."""
    knot: list[Any] = []
    knot.append((knot, "end"))
    back = read(dump_canonical(knot))
    assert back[0][0] is back
    assert back[0][1] == "end"


def test_dump_uses_protocol_5() -> None:
    """The protocol does not follow Python's default."""
    opcodes = list(pickletools.genops(dump_canonical({"a": 1})))
    assert (opcodes[0][0].name, opcodes[0][1]) == ("PROTO", 5)
