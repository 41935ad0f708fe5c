"""The returns study as a plain script: the same mathematics, no Kedro, no MLflow, no checkpoints.

``python plain_returns.py PRICES EXOGENOUS FOLDER`` writes what the study writes: treated
returns, features, train and test as Parquet, models, scores and figures.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from pathlib import Path

import pandas as pd
import yaml

from tidemark.config import Cell
from tidemark.domain.figures import CELL_FIGURES
from tidemark.pipelines.data_engineering.returns import nodes as data
from tidemark.pipelines.data_engineering.returns import treatment
from tidemark.pipelines.data_engineering.returns.params import (
    LabelParams,
    PreprocessParams,
    ValidationParams,
)
from tidemark.pipelines.feature_engineering.returns import nodes as features
from tidemark.pipelines.feature_engineering.returns.params import FeatureParams, SplitParams
from tidemark.pipelines.modelling import nodes as modelling
from tidemark.pipelines.modelling.params import EvaluationParams, ModelParams, TrainParams

PROJECT = Path(__file__).parents[2]


def main(prices_file: str, exogenous_file: str, folder: Path) -> None:
    """Run the study's functions one after the other."""
    conf = PROJECT / "conf/base"
    shared = yaml.safe_load((conf / "parameters.yml").read_text())
    study = yaml.safe_load((conf / "parameters_returns.yml").read_text())["returns"]
    plan = yaml.safe_load((conf / "scenarios.yml").read_text())

    validation = ValidationParams.model_validate(study["validation"])
    raw = pd.read_parquet(prices_file), pd.read_parquet(exogenous_file)
    report, _, left, *candidates = data.validate(*raw, "2019-01-03", validation)
    prices, exogenous = data.accept(report, left, *candidates)
    targets = data.label(prices, exogenous, LabelParams.model_validate(study["labels"]))
    evaluation = EvaluationParams.model_validate(shared["evaluation"])
    training = TrainParams.model_validate(shared["modelling"])
    for scenario, about in plan["scenarios"]["returns"].items():
        place = folder / scenario
        place.mkdir(parents=True)
        treated = PreprocessParams.model_validate(about["preprocess"])
        processed, others, _ = treatment.preprocess(prices, exogenous, treated)
        table = features.featurise(
            processed, others, FeatureParams.model_validate(study["features"])
        )
        train, test, folds = features.split(
            table, targets, SplitParams.model_validate(study["split"])
        )
        for name, frame in {"features": table, "train": train, "test": test}.items():
            frame.to_parquet(place / f"{name}.parquet", index=False, compression="zstd")
        for model in about["models"]:
            chosen = ModelParams.model_validate(plan["models"]["returns"][model])
            cell = Cell("returns", scenario, model)
            fitted, scores = modelling.train(train, folds, chosen, training, cell)
            predictions, metrics, bootstrap = modelling.evaluate(fitted, test, folds, evaluation)
            for name, figure in zip(
                CELL_FIGURES, modelling.plot(predictions, evaluation, cell), strict=True
            ):
                (place / model).mkdir(exist_ok=True)
                (place / model / f"{name}.png").write_bytes(figure)
            (place / model / "model.pkl").write_bytes(pickle.dumps(fitted))
            predictions.to_parquet(place / model / "predictions.parquet", index=False)
            (place / model / "scores.json").write_text(json.dumps([scores, metrics, bootstrap]))


if __name__ == "__main__":
    started = time.perf_counter()
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    print(f"{time.perf_counter() - started:.1f} s in the script itself")
