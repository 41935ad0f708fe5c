"""A figure that cannot be drawn is missing; the numbers and the other figures are not."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import pytest
from matplotlib.figure import Figure

from tidemark import incidents
from tidemark.domain.figures import CELL_FIGURES
from tidemark.domain.plotting import render_png
from tidemark.pipelines.drawing import MISSING, draw_twice


class Painter:
    """Draws an empty figure, after failing as often as it is told to."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    def __call__(self) -> Figure:
        """Draw, or fail."""
        self.calls += 1
        if self.calls <= self.failures:
            raise RuntimeError(f"call {self.calls}")
        return Figure(figsize=(1, 1))


@pytest.mark.parametrize("failures", [0, 1])
def test_draw_twice_figure_that_is_drawn_in_the_end_is_no_incident(failures: int) -> None:
    """One failure is forgotten: the bytes are those of a figure that never failed."""
    collector, painter = incidents.collect(), Painter(failures)
    assert draw_twice(painter, "cell.hexbin") == render_png(Figure(figsize=(1, 1)))
    assert painter.calls == failures + 1
    assert collector.found == []


def test_draw_twice_figure_that_fails_twice_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    """There is no third try; the incident names the figure and the last error."""
    collector, painter = incidents.collect(), Painter(5)
    with caplog.at_level(logging.WARNING):
        assert draw_twice(painter, "cell.hexbin") == MISSING == b""
    assert painter.calls == 2
    (incident,) = collector.found
    assert incident.kind == "missing"
    assert incident.message == "cell.hexbin could not be drawn: RuntimeError: call 2"
    assert incident.facts == {"figure": "cell.hexbin", "error": "RuntimeError: call 2"}
    assert incident.message in caplog.text


def test_draw_twice_figure_that_cannot_be_rendered_is_missing() -> None:
    """What fails only when the figure is rendered is caught as well."""

    def draw() -> Figure:
        figure = Figure()
        figure.suptitle(r"$\frac{$")  # no formula that Matplotlib understands
        return figure

    collector = incidents.collect()
    assert draw_twice(draw, "cell.hexbin") == b""
    assert collector.found[0].message.startswith(
        r"cell.hexbin could not be drawn: ValueError: \frac{ ^"
    )


def test_draw_twice_interrupt_is_not_swallowed() -> None:
    """Whoever stops the run is not told that a figure is missing."""

    def draw() -> Figure:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_twice(draw, "cell.hexbin")


def test_plot_of_a_cell_draws_four_figures_twice_the_same(study: Any) -> None:
    """Each is a PNG of its own, and the outcome holds its hash."""
    run, again = (study.run_cell_anew("mean.linear", is_drawn=True) for _ in range(2))
    assert len(set(run.figures)) == len(CELL_FIGURES) == 4
    assert all(content.startswith(b"\x89PNG") for content in run.figures)
    assert again.figures == run.figures
    assert run.outcome["figures"] == {
        name: hashlib.sha256(content).hexdigest()
        for name, content in zip(CELL_FIGURES, run.figures, strict=True)
    }


def test_plot_figures_fail_one_by_one(study: Any) -> None:
    """Three figures that cannot be drawn leave the fourth as it is; the outcome says which."""
    run, usual = study.run_cell("mean.ridge", is_spoilt=True), study.run_cell("mean.ridge")
    drawn = [name for name, content in zip(CELL_FIGURES, run.figures, strict=True) if content]
    assert drawn == ["residual_histogram"]
    missing = {name for name, digest in run.outcome["figures"].items() if digest is None}
    assert missing == {"predicted_vs_true", "hexbin", "residuals_vs_predicted"}
    assert [(one.kind, one.facts["figure"]) for one in run.incidents] == [
        ("missing", "mean.ridge.predicted_vs_true"),
        ("missing", "mean.ridge.hexbin"),
        ("missing", "mean.ridge.residuals_vs_predicted"),
    ]
    assert (run.outcome["status"], run.outcome["metrics"]) == ("ok", usual.outcome["metrics"])
