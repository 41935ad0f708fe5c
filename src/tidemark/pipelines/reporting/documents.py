"""Node functions that make what people read: figures, Markdown, one page of HTML, the gate."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemark.domain.comparison_figures import draw_forest, draw_heat_map
from tidemark.domain.figures import CELL_FIGURES
from tidemark.domain.plotting import Quantity
from tidemark.domain.time_figures import MAX_LINES, draw_cumulative_r2, draw_loss_differential
from tidemark.errors import LeakageFound
from tidemark.pipelines.drawing import MISSING, draw_twice
from tidemark.pipelines.reporting.findings import say_p, show_p
from tidemark.pipelines.reporting.params import ReportParams
from tidemark.pipelines.reporting.tables import RANK_BY, done_cells

if TYPE_CHECKING:
    from jinja2 import Environment

STUDY_FIGURES = ("comparison", "heat_map", "cumulative_r2", "loss_differential")

Templates = dict[str, Callable[[], str]]

_WORDS = {
    "predicted_vs_true": "Predicted against true",
    "hexbin": "Density of predicted against true",
    "residual_histogram": "Residuals",
    "residuals_vs_predicted": "Residuals against predicted",
}


def draw(
    table: pd.DataFrame,
    daily: pd.DataFrame,
    comparisons: pd.DataFrame,
    verdicts: dict[str, Any],
    params: ReportParams,
) -> list[bytes]:
    """Draw the study's figures as PNG, in the order of `STUDY_FIGURES`.

    A figure that cannot be drawn is missing, as is that of two cells where there is no model or
    no baseline, and so are all if every cell has failed. With several comparison groups, the
    first is drawn.
    """
    done = done_cells(table)
    if done.empty:
        return [MISSING] * len(STUDY_FIGURES)
    group = str(done["group"].iloc[0])
    verdict, cells = verdicts[group], table[table["group"] == group]
    best, baseline = verdict["best_model"], verdict["best_baseline"]
    quantity = Quantity(**params.quantity.model_dump())
    # The best cell of each model: scenarios that differ little would hide each other.
    ranked = done_cells(cells).sort_values(RANK_BY).drop_duplicates("model")
    lines = list(dict.fromkeys([*filter(None, [best, baseline]), *ranked["cell"]]))[:MAX_LINES]
    pictures: dict[str, Callable[[], Any]] = {
        "comparison": partial(draw_forest, cells, "r2_oos_zero", baseline, quantity),
        "heat_map": partial(draw_heat_map, cells, "r2_oos_zero", quantity),
        "cumulative_r2": partial(
            draw_cumulative_r2, daily, lines, "Out-of-sample R2 as it grew with the test"
        ),
    }
    if best is not None and baseline is not None:
        interval = _difference(comparisons, best, baseline)
        pictures["loss_differential"] = partial(
            draw_loss_differential, daily, best, baseline, *interval, quantity
        )
    return [
        draw_twice(pictures[name], name) if name in pictures else MISSING for name in STUDY_FIGURES
    ]


def _difference(comparisons: pd.DataFrame, best: str, baseline: str) -> tuple[float, float]:
    """Read the 95 % interval of the mean difference of two cells' losses."""
    pair = comparisons[
        (comparisons["test"] == "diebold_mariano")
        & comparisons["cell"].isin([best, baseline])
        & comparisons["against"].isin([best, baseline])
    ]
    mean, error = (float(pair[name].iloc[0]) for name in ("mean_difference", "std_error"))
    mean = mean if pair["cell"].iloc[0] == best else -mean
    return mean - 1.96 * error, mean + 1.96 * error


def assemble_album(*parts: Any) -> str:
    """Put the figures of a scenario's cells into one piece of HTML that needs no other file.

    Parameters
    ----------
    parts : dict or bytes
        The outcomes of all cells, then four PNG for each in the order of `CELL_FIGURES`; empty
        where one is missing.
    """
    n_figures = len(CELL_FIGURES)
    n_cells = len(parts) // (1 + n_figures)
    folds = []
    for number, outcome in enumerate(parts[:n_cells]):
        start = n_cells + number * n_figures
        cell = f"{outcome['scenario']}.{outcome['model']}"
        shown = "".join(
            f'<img loading="lazy" alt="{_WORDS[name]} of {cell}" src="{_inline(content)}">'
            if content != MISSING
            else f"<p>{_WORDS[name]}: could not be drawn.</p>"
            for name, content in zip(CELL_FIGURES, parts[start : start + n_figures], strict=True)
        )
        folds.append(f"<details><summary>{cell}</summary>{shown}</details>")
    return "\n".join(folds)


def _inline(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"


def write_markdown(
    findings: dict[str, Any],
    templates: Templates,
    notes: str,
    *figures: bytes,
) -> tuple[str, str, str, str]:
    """Write the summary, the communication report, the memo and the reflection.

    Parameters
    ----------
    templates : dict of str to callable
        Each returns the text of one Jinja template.
    notes : str
        A person's words, copied as they are.
    figures : bytes
        The study's figures, in the order of `STUDY_FIGURES`; empty where one is missing.
    """
    environment = _prepare(templates)
    shown = _shown(figures)
    names = (
        "scenario_summary.md",
        "model_communication_report.md",
        "model_evaluation_memo.md",
        "reflection.md",
    )
    first, second, third, fourth = (
        environment.get_template(name).render(**findings, shown=shown, notes=notes.strip())
        for name in names
    )
    return first, second, third, fourth


def write_page(findings: dict[str, Any], templates: Templates, *pictures: Any) -> str:
    """Write one page of HTML that needs no other file.

    Parameters
    ----------
    pictures : bytes or str
        The study's figures as PNG, in the order of `STUDY_FIGURES`, then the scenarios' albums.
    """
    figures, albums = pictures[: len(STUDY_FIGURES)], pictures[len(STUDY_FIGURES) :]
    images = {
        name: _inline(content)
        for name, content in zip(STUDY_FIGURES, figures, strict=True)
        if content != MISSING
    }
    page = _prepare(templates).get_template("report.html")
    return page.render(**findings, images=images, albums=albums)


def certify(findings: dict[str, Any], page: str) -> dict[str, Any]:
    """State what a later step may rely on, once the reports are written.

    Returns
    -------
    dict
        ``passed``, whether no audit has failed; the verdicts and what made them; ready for JSON.
    """
    return {
        "study": findings["study"],
        "as_of": findings["as_of"],
        "passed": not findings["leaks"],
        "leaks": findings["leaks"],
        "verdicts": findings["verdicts"],
        "suspicions": findings["suspicions"],
        **findings["made_by"],
    }


def gate(certificate: dict[str, Any]) -> None:
    """End the run where the certificate says that an audit has failed.

    Raises
    ------
    LeakageFound
        With every finding.
    """
    if not certificate["passed"]:
        reasons = "\n".join(f"  - {leak}" for leak in certificate["leaks"])
        raise LeakageFound(
            f"The leakage audit of study '{certificate['study']}' failed:\n{reasons}\n"
            f"The reports are written and say so. Take these features out, or date them right."
        )


def _shown(figures: tuple[bytes, ...]) -> list[str]:
    pairs = zip(STUDY_FIGURES, figures, strict=True)
    return [name for name, content in pairs if content != MISSING]


def _prepare(templates: Templates) -> Environment:
    from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape

    environment = Environment(
        loader=DictLoader({name: load() for name, load in templates.items()}),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=select_autoescape(["html"], default=False),
    )
    environment.filters |= {
        "share": _share,
        "number": _number,
        "p_value": show_p,
        "p_words": lambda p: f"p {say_p(p)}",
        "with_interval": _with_interval,
    }
    return environment


def _share(value: float | None, digits: int = 2) -> str:
    """Show a share in percent."""
    return "-" if value is None else f"{100.0 * value:.{digits}f} %"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _with_interval(
    row: dict[str, Any], metric: str, scale: float = 1.0, unit: str = "", digits: int = 4
) -> str:
    """Show a metric of a cell with its interval."""
    if row["status"] == "failed":
        return "failed"
    value, low, high = (row[f"{metric}{end}"] for end in ("", "_low", "_high"))
    if value is None:
        return "-"
    text = f"{scale * value:.{digits}f}{unit}"
    if low is None or high is None:
        return text
    return f"{text} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"
