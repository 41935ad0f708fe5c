"""Parameters of the comparison and the reports, for every study."""

from __future__ import annotations

from tidemark.config import Strict
from tidemark.pipelines.params import QuantityParams, Share


class ReportParams(Strict):
    """What a study's reports say of the study itself.

    An out-of-sample R2 above ``too_good_r2`` raises an alarm; without that bound nothing does.
    """

    title: str
    question: str
    unit: str
    quantity: QuantityParams
    too_good_r2: Share | None
    sample_note: str
