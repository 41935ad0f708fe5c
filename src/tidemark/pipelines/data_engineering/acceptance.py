"""What lets a study's checked data pass, or refuses it: the same for every study."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tidemark.errors import DataError, DataRefused


def require_accepted(report: dict[str, Any], quarantine: pd.DataFrame) -> None:
    """Refuse data that the validation report does not accept.

    Parameters
    ----------
    report : dict
        The validation report: ``study``, ``accepted`` and ``tables`` with their findings.
    quarantine : DataFrame
        The rows that left the flow.

    Raises
    ------
    DataRefused
        If any finding of the validation report asks for it.
    DataError
        If the stored quarantine does not hold the rows that left: nothing is lost.
    """
    left = sum(sum(table["rows_quarantined"].values()) for table in report["tables"].values())
    if left != len(quarantine):
        raise DataError(
            f"{left} rows left the flow and {len(quarantine)} are in quarantine. "
            f"Run validate again."
        )
    if not report["accepted"]:
        reasons = [
            finding["message"]
            for table in report["tables"].values()
            for finding in table["findings"]
            if finding["action"] != "warn"
        ]
        raise DataRefused.from_findings(
            report["study"], reasons, f"{report['study']}_data.validation_report"
        )
