"""Parameters of the comparison and the reports, for every study."""

from __future__ import annotations

from tidemark.config import Strict
from tidemark.pipelines.params import QuantityParams


class ReportParams(Strict):
    """What a study's reports say of the study itself."""

    title: str
    question: str
    unit: str
    quantity: QuantityParams
    sample_note: str
