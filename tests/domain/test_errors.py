"""Errors cross process boundaries whole, and say what is wrong and what to do."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tidemark import errors
from tidemark.errors import DataRefused, TidemarkError, UnknownName, describe_examples

CLASSES = sorted(
    (
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, TidemarkError)
    ),
    key=lambda one: one.__name__,
)
REFUSED = DataRefused.from_findings(
    "returns", iter(["no rows (no_rows)", "stale (stale_data)"]), "returns_data.report"
)
UNKNOWN = UnknownName.of("model", "rigde", iter(["ridge", "linear"]))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "error",
    [*[one("what failed") for one in CLASSES], REFUSED, UNKNOWN],
    ids=lambda one: repr(one)[:20],
)
def test_error_pickled_comes_back_the_same(error: TidemarkError, protocol: int) -> None:
    """Type, message, arguments and exit status survive, with every protocol."""
    for back in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error)):  # noqa: S301 - our own bytes
        assert type(back) is type(error)
        assert str(back) == str(error)
        assert back.args == error.args
        assert back.exit_status == error.exit_status


def test_error_raised_in_another_process_arrives_whole() -> None:
    """A worker's error reaches the parent with its type and message."""
    words = "from tidemark.errors import UnknownName as U; raise U.of('model', 'rigde', ['ridge'])"
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        future = pool.submit(exec, words)
        with pytest.raises(UnknownName, match=r"^Unknown model 'rigde'. Did you mean 'ridge'"):
            future.result()


@pytest.mark.parametrize(
    ("name", "parents", "status"),
    [
        ("TidemarkError", [], 1),
        ("DataError", ["TidemarkError"], 2),
        ("DataRefused", ["DataError", "TidemarkError"], 2),
        ("LeakageFound", ["DataError", "TidemarkError"], 2),
        ("ConfigError", ["TidemarkError"], 1),
        ("UnknownName", ["ConfigError", "TidemarkError"], 1),
        ("ModelError", ["TidemarkError"], 1),
        ("SourceError", ["TidemarkError"], 1),
        ("RunError", ["TidemarkError"], 1),
        ("StaleInputs", ["RunError", "TidemarkError"], 1),
        ("TrackingError", ["TidemarkError"], 1),
    ],
)
def test_error_tree_families_and_exit_statuses_are_as_documented(
    name: str, parents: list[str], status: int
) -> None:
    """One ancestor, six families, and status 2 for refused data alone."""
    kind = getattr(errors, name)
    assert [one.__name__ for one in kind.__mro__[1:-3]] == parents
    assert kind.exit_status == status


def test_error_tree_is_known_whole() -> None:
    """A new class joins the table above."""
    assert {one.__name__ for one in CLASSES} == {
        "TidemarkError", "DataError", "DataRefused", "ConfigError", "UnknownName", "ModelError",
        "SourceError", "RunError", "StaleInputs", "TrackingError", "LeakageFound",
    }  # fmt: skip


def test_data_refused_names_study_reasons_and_report() -> None:
    """One line for each reason, and where to read more."""
    assert str(REFUSED).splitlines() == [
        "The data of study 'returns' was refused:",
        "  - no rows (no_rows)",
        "  - stale (stale_data)",
        "Nothing downstream has run. The whole report is in 'returns_data.report'.",
    ]


def test_unknown_name_near_miss_is_suggested_and_all_are_listed() -> None:
    """Names come sorted, also from an iterator."""
    assert str(UNKNOWN) == (
        "Unknown model 'rigde'. Did you mean 'ridge'?\nThose that exist: linear, ridge."
    )


def test_unknown_name_far_off_is_not_guessed_and_nothing_known_is_said() -> None:
    """Without a near match there is no hint, without names there are none."""
    assert str(UnknownName.of("model", "forest", ["ridge"])) == (
        "Unknown model 'forest'.\nThose that exist: ridge."
    )
    assert str(UnknownName.of("model", "forest", [])).endswith("Those that exist: none.")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        (["a"], "a"),
        (list("abcde"), "a, b, c, d, e"),
        (list("abcdef"), "a, b, c, d, e and 1 more"),
        (range(100), "0, 1, 2, 3, 4 and 95 more"),
    ],
)
def test_describe_examples_shows_five_at_most(values: list[object], expected: str) -> None:
    """Beyond five the rest is counted."""
    assert describe_examples(values) == expected
    assert describe_examples(iter(values)) == expected
