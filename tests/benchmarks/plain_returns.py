"""The returns study as a plain script: the same mathematics, no Kedro, no MLflow, no checkpoints.

``python plain_returns.py PRICES EXOGENOUS FOLDER`` writes what the study writes: treated
returns, features, train and test as Parquet, audits, models, scores, figures and reports.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from tidemark.config import BASELINE, Cell
from tidemark.pipelines.data_engineering.publishing import publish
from tidemark.pipelines.data_engineering.returns import nodes as data
from tidemark.pipelines.data_engineering.returns import treatment
from tidemark.pipelines.data_engineering.returns.params import (
    BaselineParams,
    LabelParams,
    PreprocessParams,
    ValidationParams,
)
from tidemark.pipelines.feature_engineering.returns import nodes as features
from tidemark.pipelines.feature_engineering.returns.params import FeatureParams
from tidemark.pipelines.feature_engineering.splitting import split
from tidemark.pipelines.modelling import nodes as modelling
from tidemark.pipelines.modelling.params import ModelParams, TrainParams
from tidemark.pipelines.params import AuditParams, EvaluationParams, SplitParams
from tidemark.pipelines.reporting import documents, findings, tables
from tidemark.pipelines.reporting.figures import draw
from tidemark.pipelines.reporting.params import ReportParams

PROJECT = Path(__file__).parents[2]
TEMPLATES = PROJECT / "src/tidemark/pipelines/reporting/templates"
UNKNOWN = {"params_hash": "-", "code_hash": "-"}  # nobody keeps the books here


def main(prices_file: str, exogenous_file: str, folder: Path) -> None:
    """Run the study's functions one after the other."""
    conf = PROJECT / "conf/base"
    shared = yaml.safe_load((conf / "parameters.yml").read_text())
    study = yaml.safe_load((conf / "parameters_returns.yml").read_text())["returns"]
    plan = yaml.safe_load((conf / "scenarios.yml").read_text())
    evaluation = EvaluationParams.model_validate(shared["evaluation"])
    training = TrainParams.model_validate(shared["modelling"])
    params = ReportParams.model_validate(study["report"])

    validation = ValidationParams.model_validate(study["validation"])
    raw = pd.read_parquet(prices_file), pd.read_parquet(exogenous_file)
    report, profile, left, *candidates = data.validate(*raw, "2019-01-03", validation)
    prices, exogenous, fingerprint = data.accept(report, left, *candidates)
    labels = LabelParams.model_validate(study["labels"])
    known = BaselineParams.model_validate(study["baselines"])
    targets = data.label(prices, exogenous, labels)
    baselines = data.forecast(prices, known)
    cutting = SplitParams.model_validate(study["split"])
    published = publish(targets, baselines, cutting, evaluation)
    cuts = AuditParams.model_validate(study["audit"])
    checked = data.audit(prices, exogenous, published[0], labels, known, cuts)

    boards, dailies, albums = [], [], []
    for scenario, about in plan["scenarios"]["returns"].items():
        place = folder / scenario
        place.mkdir(parents=True)
        parts: tuple[Any, ...] = ()
        told: tuple[Any, ...] = ({}, checked)
        if "preprocess" in about:
            treated = PreprocessParams.model_validate(about["preprocess"])
            made = prepare(place, treated, study, prices, exogenous, targets, published[0])
            parts, told = made[:2], made[2:]
        outcomes, sums, figures = [], [], []
        for model in about["models"]:
            cell = Cell("returns", scenario, model)
            chosen = ModelParams.model_validate(plan["models"]["returns"][model])
            fitted = fit(parts, published, chosen, training, cell)
            outcome, daily, pictures = judge(
                place / model, fitted, published, params, about["group"], cell
            )
            outcomes.append(outcome)
            sums.append(daily)
            figures += pictures
        boards.append(tables.tabulate(*told, *outcomes))
        dailies.append(tables.gather(*sums))
        albums.append(documents.assemble_album(*outcomes, *figures))

    compared = tables.compare(evaluation, params.too_good_r2, *boards, *dailies)
    table, comparisons, verdicts, daily = compared
    (group,) = verdicts
    drawn = draw(table, daily, comparisons, verdicts, params, group)
    facts = (table, verdicts, report, profile, fingerprint, UNKNOWN, params)
    write_reports(folder, findings.summarise(*facts), drawn, albums)


def prepare(
    place: Path,
    treated: PreprocessParams,
    study: dict[str, Any],
    prices: pd.DataFrame,
    exogenous: pd.DataFrame,
    targets: pd.DataFrame,
    dates: dict[str, Any],
) -> tuple[Any, ...]:
    """Treat returns, build features, cut them and audit them: train, test and two reports."""
    look_backs = FeatureParams.model_validate(study["features"])
    processed, others, report = treatment.preprocess(prices, exogenous, treated)
    table = features.featurise(processed, others, look_backs)
    train, test = split(table, targets, dates)
    for name, frame in {"features": table, "train": train, "test": test}.items():
        frame.to_parquet(place / f"{name}.parquet", index=False, compression="zstd")
    cuts = AuditParams.model_validate(study["audit"])
    audit = features.audit(prices, exogenous, train, test, dates, treated, look_backs, cuts)
    return train, test, report, audit


def fit(
    parts: tuple[Any, ...],
    published: tuple[Any, ...],
    chosen: ModelParams,
    training: TrainParams,
    cell: Cell,
) -> tuple[Any, dict[str, Any], pd.DataFrame]:
    """Fit a model, or take a baseline: the model, its scores and its forecasts."""
    dates, scoring, _ = published
    if chosen.estimator == BASELINE:
        forecasts, scores = modelling.take_baseline(scoring, dates, cell)
        return None, scores, forecasts
    return modelling.train(*parts, dates, chosen, training, cell)


def judge(
    place: Path,
    fitted: tuple[Any, ...],
    published: tuple[Any, ...],
    params: ReportParams,
    group: str,
    cell: Cell,
) -> tuple[dict[str, Any], pd.DataFrame, list[bytes]]:
    """Judge a cell and write what it has made: its outcome, its sums by date, its figures."""
    model, scores, forecasts = fitted
    dates, scoring, resampling = published
    predictions, daily, metrics, bootstrap = modelling.evaluate(
        forecasts, scoring, dates, resampling, cell
    )
    pictures = modelling.plot(predictions, params.quantity, cell)
    outcome = modelling.conclude(metrics, bootstrap, scores, predictions, group, cell, *pictures)
    place.mkdir()
    for number, picture in enumerate(pictures):
        (place / f"{number}.png").write_bytes(picture)
    (place / "model.pkl").write_bytes(pickle.dumps(model))
    for name, frame in {"predictions": predictions, "daily": daily}.items():
        frame.to_parquet(place / f"{name}.parquet", index=False)
    (place / "scores.json").write_text(json.dumps([scores, bootstrap, outcome]))
    return outcome, daily, pictures


def write_reports(
    folder: Path, said: dict[str, Any], figures: list[bytes], albums: list[str]
) -> None:
    """Write the reports in Markdown, the page of HTML, and the certificate."""
    templates = {
        path.name.removesuffix(".j2"): partial(path.read_text, "utf-8")
        for path in TEMPLATES.glob("*.j2")
    }
    notes = (PROJECT / "docs/notes/returns.md").read_text()
    for number, text in enumerate(documents.write_markdown(said, templates, notes, *figures)):
        (folder / f"{number}.md").write_text(text)
    page = documents.write_page(said, templates, *figures, *albums)
    (folder / "report.html").write_text(page)
    certificate = documents.certify(said, page)
    (folder / "certificate.json").write_text(json.dumps(certificate))
    documents.gate(certificate)


if __name__ == "__main__":
    started = time.perf_counter()
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    print(f"{time.perf_counter() - started:.1f} s in the script itself")
