"""Parameters of the comparison and the reports, for every study."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tidemark.config import Strict
from tidemark.domain.scores import MetricName, R2Name
from tidemark.pipelines.params import QuantityParams, Share


class ReportParams(Strict):
    """What a study's reports say of the study itself.

    An out-of-sample R2 against zero above ``too_good_r2`` raises an alarm; without that bound
    nothing does. ``headline`` says what skill is measured against, ``shown_metrics`` what tables
    hold of a cell, both where squared errors are the loss. ``density`` says what densities are of.
    """

    title: str
    question: str
    unit: str
    quantity: QuantityParams
    too_good_r2: Share | None
    sample_note: str
    headline: R2Name = "r2_oos_zero"
    shown_metrics: Annotated[tuple[MetricName, ...], Field(min_length=1)] = (
        "rmse",
        "r2_oos_zero",
        "r2_oos_mean",
        "hit_rate",
        "auc",
        "ic",
        "rank_ic",
    )
    density: str = "the next observation"
