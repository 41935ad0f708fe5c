"""Models of tables accept what the stages hand on, and refuse what they must not."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pandera.pandas as pa
import pytest
from pandas.testing import assert_frame_equal

from tidemark.domain.schemas import Exogenous, Predictions, Prices, Targets

DATES = pd.to_datetime(["2019-01-02", "2019-01-02", "2019-01-03"]).as_unit("ns")
NAMES = ["KO", "PG", "KO"]
NAN = float("nan")
GOOD: dict[Any, pd.DataFrame] = {
    Prices: pd.DataFrame({"date": DATES, "ticker": NAMES, "close": [1.0, NAN, 2.0]}),
    Exogenous: pd.DataFrame({"date": DATES, "series": NAMES, "value": [1.0, NAN, -2.0]}),
    Targets: pd.DataFrame(
        {
            "date": DATES,
            "ticker": NAMES,
            "target": [0.1, NAN, -0.1],
            "eligible": [True, False, True],
        }
    ),
    Predictions: pd.DataFrame(
        {"date": DATES, "ticker": NAMES, "y_true": [0.1, 0.2, 0.3], "y_pred": [0.0, 0.0, 0.0]}
    ),
}
MODELS = list(GOOD)
REFUSALS = (pa.errors.SchemaError, pa.errors.SchemaErrors)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("unit", ["ns", "us"])
def test_schema_good_table_is_accepted_as_it_is(model: Any, unit: str) -> None:
    """A good table passes unchanged, in either unit that files give dates."""
    table = GOOD[model].assign(date=DATES.as_unit(unit))
    assert_frame_equal(model.validate(table.copy(deep=True)), table)


@pytest.mark.parametrize("model", MODELS)
def test_schema_table_without_rows_is_accepted(model: Any) -> None:
    """A study without exogenous series hands on an empty table."""
    assert model.validate(GOOD[model].head(0)).empty


@pytest.mark.parametrize("model", MODELS)
def test_schema_further_columns_are_accepted(model: Any) -> None:
    """Optional columns, such as volumes, pass; of predictions they are keys."""
    assert "volume" in model.validate(GOOD[model].assign(volume=1.0))


BAD: list[tuple[str, Any, dict[str, Any]]] = [
    ("price of zero", Prices, {"close": [1.0, 0.0, 2.0]}),
    ("negative price", Prices, {"close": [1.0, -1.0, 2.0]}),
    ("price as text", Prices, {"close": ["1", "2", "3"]}),
    ("blank ticker", Prices, {"ticker": ["KO", None, "KO"]}),
    ("ticker as number", Prices, {"ticker": [1, 2, 3]}),
    ("date as text", Prices, {"date": ["2019-01-02", "2019-01-02", "2019-01-03"]}),
    ("blank date", Prices, {"date": [DATES[0], pd.NaT, DATES[2]]}),
    ("key twice", Prices, {"ticker": ["KO", "KO", "KO"]}),
    ("key twice", Exogenous, {"series": ["KO", "KO", "KO"]}),
    ("value as text", Exogenous, {"value": ["1", "2", "3"]}),
    ("blank series", Exogenous, {"series": ["KO", None, "KO"]}),
    ("key twice", Targets, {"ticker": ["KO", "KO", "KO"]}),
    ("eligible as number", Targets, {"eligible": [1.0, 0.0, 1.0]}),
    ("blank true value", Predictions, {"y_true": [0.1, NAN, 0.3]}),
    ("blank prediction", Predictions, {"y_pred": [0.1, NAN, 0.3]}),
    ("key twice", Predictions, {"ticker": ["KO", "KO", "KO"]}),
]


@pytest.mark.parametrize(
    ("model", "cells"),
    [case[1:] for case in BAD],
    ids=[f"{case[1].__name__} {case[0]}" for case in BAD],
)
def test_schema_bad_table_is_refused(model: Any, cells: dict[str, Any]) -> None:
    """Each rule of each model is seen refusing once."""
    with pytest.raises(REFUSALS):
        model.validate(GOOD[model].assign(**cells))


@pytest.mark.parametrize("model", MODELS)
def test_schema_missing_column_is_refused(model: Any) -> None:
    """Every column that a model names must be there."""
    for column in model.to_schema().columns:
        if column in GOOD[model]:
            with pytest.raises(REFUSALS, match=column):
                model.validate(GOOD[model].drop(columns=column))


def test_predictions_of_any_keys_are_unique_by_them() -> None:
    """Keys are all columns but the two numbers: a pair will do, one key twice will not."""
    good = pd.DataFrame(
        {"date": DATES, "pair": ["a/b", "a/c", "a/b"], "y_true": [0.1] * 3, "y_pred": [0.0] * 3}
    )
    assert len(Predictions.validate(good)) == 3
    with pytest.raises(REFUSALS, match="keys_are_unique"):
        Predictions.validate(good.assign(pair="a/b"))
