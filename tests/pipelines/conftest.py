"""A small study of four tickers: its cells run one after the other, and its report made of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro_datasets.pandas import CSVDataset

from tidemark import incidents
from tidemark.config import Cell
from tidemark.domain.figures import CELL_FIGURES, draw_cell_figure
from tidemark.pipelines.data_engineering.publishing import publish
from tidemark.pipelines.feature_engineering.splitting import split
from tidemark.pipelines.modelling import nodes
from tidemark.pipelines.modelling.params import ModelParams, TrainParams
from tidemark.pipelines.params import EvaluationParams, QuantityParams, SplitParams
from tidemark.pipelines.reporting import documents, figures, findings, tables
from tidemark.pipelines.reporting.figures import GROUP_FIGURES
from tidemark.pipelines.reporting.params import ReportParams

PASSED = {"passed": True, "findings": []}

KEYS = ["date", "ticker"]
FEATURES = ["a", "b", "c"]
BASELINES = ["zero", "trailing_mean", "last_value"]
MODELS: dict[str, dict[str, Any]] = {
    "linear": {"estimator": "linear"},
    "ridge": {"estimator": "ridge", "grid": {"alpha": [1.0, 10.0]}},
    # The kernel map has nearly as many components as the first fold has rows, and C leaves no
    # regularisation: Liblinear does not converge, whatever the seed.
    "svr": {"estimator": "svr", "grid": {"C": [1e14]}},
}
SIMPLER = {"svr": MODELS["ridge"], "ridge": MODELS["linear"]}
SPLIT = SplitParams(test_share=0.25, n_folds=2, horizon_days=1, embargo_days=0, refit_sessions=10)
EVALUATION = EvaluationParams(
    seed=3,
    n_replicates=100,
    bootstrap="stationary",
    block_length_days=5,
    interval="bca",
    level=0.9,
    confidence_set_size=0.1,
)
# The remark of every small study: 25 dates in blocks of 5.
FEW_BLOCKS = (
    "The test holds about 5 blocks of dates. With so few, intervals and the confidence set are "
    "narrower than they should be."
)
QUANTITY = QuantityParams(name="return", unit="%", scale=100.0)
REPORT = ReportParams(
    title="Returns",
    question="Which?",
    unit="fraction",
    quantity=QUANTITY,
    too_good_r2=0.99,  # the target is planted
    sample_note="Small.",
)

PROJECT = Path(__file__).parents[2]
TEMPLATES = PROJECT / "src/tidemark/pipelines/reporting/templates"
TREATMENT = {"cells": 400, "missing_rate_before": 0.0}
PASSED: dict[str, Any] = {"passed": True, "findings": [], "features": []}
CHECKED = {"rows": 400, "rows_quarantined": {}, "findings": []}
VALIDATION = {"study": "returns", "as_of": "2019-01-03", "tables": {"prices": CHECKED}}
PROFILE = {
    "names": 4,
    "sessions": 100,
    "first": "2018-01-01",
    "last": "2018-05-18",
    "rows": 400,
    "started_late": [],
    "ended_early": [],
    "missing_cells": 0,
    "missing_share": 0.0,
    "blank_cells": {},
}
PICTURE = b"\x89PNG\r\n\x1a\n"  # stands for a figure where nobody looks at it
MADE_BY = {"data_hash": "d" * 16, "params_hash": "b" * 16, "code_hash": "c" * 16}

Store = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class CellRun:
    """What the nodes of one cell have made."""

    model: Any
    cv_scores: dict[str, Any]
    forecasts: pd.DataFrame
    predictions: pd.DataFrame
    daily: pd.DataFrame
    bootstrap: dict[str, Any]
    outcome: dict[str, Any]
    figures: list[bytes]
    incidents: list[incidents.Incident]


@dataclass(frozen=True)
class SmallStudy:
    """What the cells of a scenario are given; what they made is remembered."""

    train: pd.DataFrame
    test: pd.DataFrame
    dates: dict[str, Any]
    scoring: pd.DataFrame
    resampling: dict[str, Any]
    known: dict[tuple[Any, ...], CellRun] = field(default_factory=dict)

    def run_cell(self, name: str, simpler: Mapping[str, Any] = SIMPLER, **how: bool) -> CellRun:
        """Run the nodes of a cell as `run_cell_anew` does, the first time."""
        key = (name, json.dumps(simpler), *sorted(how.items()))
        if key not in self.known:
            self.known[key] = self.run_cell_anew(name, simpler, **how)
        return self.known[key]

    def run_cell_anew(
        self,
        name: str,
        simpler: Mapping[str, Any] = SIMPLER,
        *,
        is_drawn: bool = False,
        is_spoilt: bool = False,
        is_short: bool = False,
    ) -> CellRun:
        """Train, evaluate, plot and conclude; what is JSON in the catalog goes through JSON.

        Spoilt, only the histogram of residuals can be drawn. Short, one forecast is lost. Unless
        drawn or spoilt, a few bytes stand for each figure of a cell that has any.
        """
        cell = Cell("returns", *name.split("."))
        collector = incidents.collect()
        model, scores, forecasts = self._forecast(cell, simpler)
        forecasts = forecasts.iloc[1:] if is_short else forecasts
        predictions, daily, *judged = nodes.evaluate(
            forecasts, self.scoring, self.dates, self.resampling, cell
        )
        metrics, bootstrap, scores = json.loads(json.dumps([*judged, scores], allow_nan=False))
        figures = [PICTURE] * len(CELL_FIGURES)
        with pytest.MonkeyPatch.context() as patch:
            if is_spoilt:
                patch.setattr(nodes, "draw_cell_figure", _draw_histogram_only)
            if is_drawn or is_spoilt or predictions.empty:
                figures = nodes.plot(predictions, QUANTITY, cell)
        outcome = nodes.conclude(metrics, bootstrap, scores, predictions, "group", cell, *figures)
        return CellRun(
            model=model,
            cv_scores=scores,
            forecasts=forecasts,
            predictions=predictions,
            daily=daily,
            bootstrap=bootstrap,
            outcome=json.loads(json.dumps(outcome, allow_nan=False)),
            figures=figures,
            incidents=collector.found,
        )

    def _forecast(
        self, cell: Cell, simpler: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any], pd.DataFrame]:
        if cell.model in BASELINES:
            forecasts, scores = nodes.take_baseline(self.scoring, self.dates, cell)
            return None, scores, forecasts
        seeds = {"seed": 1, "fallback_seed": 2}
        sizes = {"exact_svr_max_rows": 1, "nystroem_components": 90}
        params = TrainParams.model_validate({**seeds, **sizes, "simpler": simpler})
        asked = ModelParams.model_validate(MODELS[cell.model])
        return nodes.train(self.train, self.test, self.dates, asked, params, cell)

    def run_baselines(self) -> list[CellRun]:
        """Run the three baselines."""
        return [self.run_cell(f"baseline.{name}") for name in BASELINES]


def _draw_histogram_only(name: str, **facts: Any) -> Any:
    if name != "residual_histogram":
        raise RuntimeError("no more ink")
    return draw_cell_figure(name, **facts)


def make_study(signal: float) -> SmallStudy:
    """Make 100 sessions of four tickers whose target follows the first feature, or nothing."""
    rng = np.random.default_rng(0)
    sessions = pd.bdate_range("2018-01-01", periods=100).as_unit("ns")
    keys = pd.MultiIndex.from_product([sessions, ["A", "B", "C", "D"]], names=KEYS)
    rows = pd.DataFrame(rng.normal(size=(len(keys), 3)), columns=FEATURES, index=keys)
    rows["target"] = signal * rows["a"] + 0.003 * rng.normal(size=len(rows))
    known = rows["target"].groupby("ticker").shift(1)
    mean = known.groupby("ticker").expanding().mean().droplevel(0)
    baselines = pd.DataFrame({"zero": 0.0, "trailing_mean": mean, "last_value": known})
    rows, baselines = rows.reset_index(), baselines.reindex(keys).reset_index()
    targets = rows[[*KEYS, "target"]].assign(eligible=True)
    dates, scoring, resampling = publish(targets, baselines, SPLIT, EVALUATION)
    dates, resampling = json.loads(json.dumps([dates, resampling]))
    return SmallStudy(*split(rows[[*KEYS, *FEATURES]], targets, dates), dates, scoring, resampling)


@pytest.fixture(scope="session")
def study() -> SmallStudy:
    """Make a study whose target follows the first feature."""
    return make_study(0.01)


@pytest.fixture(scope="session")
def noise() -> SmallStudy:
    """Make a study whose target follows nothing."""
    return make_study(0.0)


@dataclass(frozen=True)
class Reference:
    """The parameters that tests share."""

    evaluation: EvaluationParams = EVALUATION
    params: ReportParams = REPORT
    few_blocks: str = FEW_BLOCKS


@pytest.fixture(scope="session")
def reference() -> Reference:
    """Give the parameters that tests share."""
    return Reference()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return what the catalog gives back of a table that was stored as CSV."""
    catalog = yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text(encoding="utf-8"))
    entry = catalog["{scenario}.scoreboard"]

    def store_table(table: pd.DataFrame) -> pd.DataFrame:
        args = {name: entry[name] for name in ("load_args", "save_args")}
        dataset = CSVDataset(filepath=str(tmp_path / "table.csv"), **args)
        dataset.save(table)
        read: pd.DataFrame = dataset.load()
        return read

    return store_table


@dataclass(frozen=True)
class Report:
    """What the nodes of a study's report have made."""

    table: pd.DataFrame
    comparisons: pd.DataFrame
    verdicts: dict[str, Any]
    daily: pd.DataFrame
    figures: list[bytes]
    albums: list[str]
    findings: dict[str, Any]
    pages: dict[str, str]
    page: str
    incidents: list[incidents.Incident]

    @property
    def templates(self) -> dict[str, Callable[[], str]]:
        """The project's own templates."""
        return read_templates()

    def write_page(self, **changes: Any) -> str:
        """Write the page again, from other findings."""
        pictures = (*self.figures, *self.albums)
        return documents.write_page({**self.findings, **changes}, read_templates(), *pictures)


def read_templates() -> dict[str, Callable[[], str]]:
    """Read the project's own templates as the catalog does."""
    paths = TEMPLATES.glob("*.j2")
    return {path.name.removesuffix(".j2"): partial(path.read_text, "utf-8") for path in paths}


@pytest.fixture
def write_report(store: Store) -> Callable[..., Report]:
    """Make everything from the scoreboards on; what is JSON in the catalog goes through JSON."""

    def write(
        cells: Sequence[CellRun],
        params: ReportParams = REPORT,
        audits: Mapping[str, dict[str, Any]] | None = None,
        validation: dict[str, Any] = VALIDATION,
        *,
        is_drawn: bool = False,
    ) -> Report:
        collector = incidents.collect()
        boards, dailies, albums = [], [], []
        for scenario in dict.fromkeys(one.outcome["scenario"] for one in cells):
            own = [one for one in cells if one.outcome["scenario"] == scenario]
            outcomes = [one.outcome for one in own]
            audit = (audits or {}).get(scenario, PASSED)
            board = (
                tables.tabulate_baselines(audit, *outcomes)
                if all(one["is_baseline"] for one in outcomes)
                else tables.tabulate(TREATMENT, audit, *outcomes)
            )
            boards.append(store(board))
            dailies.append(tables.gather(*(one.daily for one in own)))
            pictures = [figure for one in own for figure in one.figures]
            albums.append(documents.assemble_album(*outcomes, *pictures))
        table, comparisons, verdicts, daily = tables.compare(
            EVALUATION, params.too_good_r2, *boards, *dailies
        )
        table, comparisons = store(table), store(comparisons)
        verdicts = json.loads(json.dumps(verdicts, allow_nan=False))
        drawings = [PICTURE] * len(GROUP_FIGURES) * len(verdicts)
        if is_drawn:
            drawn = [
                figures.draw(table, daily, comparisons, verdicts, params, one) for one in verdicts
            ]
            drawings = [figure for one in drawn for figure in one]
        said = findings.summarise(
            table,
            verdicts,
            validation,
            PROFILE,
            {"data_hash": MADE_BY["data_hash"]},
            MADE_BY,
            params,
        )
        said = json.loads(json.dumps(said, allow_nan=False))
        words = documents.write_markdown(said, read_templates(), "Noted.", *drawings)
        pages = dict(zip(("summary", "communication", "memo", "reflection"), words, strict=True))
        page = documents.write_page(said, read_templates(), *drawings, *albums)
        return Report(
            table=table,
            comparisons=comparisons,
            verdicts=verdicts,
            daily=daily,
            figures=drawings,
            albums=albums,
            findings=said,
            pages=pages,
            page=page,
            incidents=collector.found,
        )

    return write
