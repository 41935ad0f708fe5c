"""Node functions of the data-quality report: what the market of the kept quotes agrees on."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tidemark.domain.chain_quality import explain_reason
from tidemark.domain.chain_simulation import count_simulated, give_notice
from tidemark.domain.chains import measure_time_years
from tidemark.domain.forward_curves import imply_forwards, make_curves, make_no_forwards
from tidemark.domain.option_figures import draw_forwards, draw_smiles
from tidemark.domain.option_maps import draw_chain_days
from tidemark.domain.parity import check_parity, take_alternate_strikes
from tidemark.domain.smiles import make_no_smiles, tabulate_smiles
from tidemark.domain.vendor_volatilities import compare_with_vendor, solve_beside_vendor
from tidemark.pipelines.data_engineering.options.params import PricingParams
from tidemark.pipelines.drawing import MISSING, draw_twice
from tidemark.pipelines.templating import Templates, inline_png, prepare_templates

if TYPE_CHECKING:
    from tidemark.datasets.chain_folder import CheckedFolder
else:
    CheckedFolder = Any

logger = logging.getLogger(__name__)

_SHOWN_FORWARDS = 24


def imply(
    checked_chain: CheckedFolder, params: PricingParams
) -> tuple[pd.DataFrame, dict[str, Any], pd.DataFrame]:
    """Fit forwards on half of the strikes, and look whether the other half agrees.

    The chain is read in chunks of whole days.

    Returns
    -------
    forwards : DataFrame
        As from `tidemark.domain.forward_curves.imply_forwards`, fitted on every second strike.
    market_check : dict
        ``parity`` of the other strikes, ``vendor``, how far volatilities are from the vendor's, and
        a ``notice`` if quotes are not those of a market; ready for JSON.
    last_smiles : DataFrame
        ``expiration, time_years, log_moneyness, vol_annual`` of the last date with forwards.
    """
    settings = params.settings()
    tables, compared = [make_no_forwards()], []
    sizes, counts, smiles = np.zeros(3), np.zeros(2, dtype="int64"), make_no_smiles()
    for chunk in checked_chain.kept():
        counts += len(chunk), count_simulated(chunk)
        half = take_alternate_strikes(chunk)
        forwards = imply_forwards(chunk[half], params.rate_continuous, settings.parity)
        tables.append(forwards)
        is_european = (chunk["exercise_style"] == "european").to_numpy(dtype=bool)
        if is_european.any():
            ok = forwards[forwards["flag"] == "ok"]
            found = check_parity(chunk, ok, is_european & ~half, settings.parity)
            beyond = found["residual"].abs() - found["half_spread"]
            sizes += len(found), found["is_within"].sum(), (beyond <= 0.05).sum()
        if "vendor_iv" in chunk and is_european.any():
            compared.append(solve_beside_vendor(chunk[is_european], forwards))
        if (forwards["flag"] == "ok").any():
            smiles = _read_last_smiles(chunk, forwards)
    parity = None
    if sizes[0]:
        parity = {
            "pairs": int(sizes[0]),
            "share_within": sizes[1] / sizes[0],
            "share_within_5_cents": sizes[2] / sizes[0],
        }
        logger.info(
            "parity holds for %.2f %% of %d other pairs", 100 * sizes[1] / sizes[0], sizes[0]
        )
    check = {
        "notice": give_notice(*counts.tolist()),
        "parity": parity,
        "vendor": compare_with_vendor(compared),
    }
    forwards = pd.concat(tables[1:] or tables, ignore_index=True)
    return forwards, check, smiles


def _read_last_smiles(chunk: pd.DataFrame, forwards: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the smiles of the last date that has forwards."""
    day = forwards.loc[forwards["flag"] == "ok", "quote_date"].max()
    rows = chunk[chunk["quote_date"] == day]
    return tabulate_smiles(rows.assign(time_years=measure_time_years(rows)), make_curves(forwards))


def report_chain(
    report: dict[str, Any],
    days: pd.DataFrame,
    forwards: pd.DataFrame,
    check: dict[str, Any],
    smiles: pd.DataFrame,
    title: str,
    sample_note: str,
    templates: Templates,
) -> tuple[bytes, bytes, bytes, str, str]:
    """Write what the checks found, before anything is refused for it.

    Returns
    -------
    days_figure, forwards_figure, smiles_figure : bytes
        PNG; empty where one could not be drawn.
    text, page : str
        The report in Markdown, and as one page of HTML that needs no other file.
    """
    table = report["tables"]["chain"]
    missing = pd.DatetimeIndex(table["missing_sessions"])
    pictures = {
        "days": partial(draw_chain_days, days, missing, "Quotes of each day"),
        "forwards": partial(draw_forwards, forwards, "What put-call parity implies"),
        "smiles": partial(draw_smiles, smiles, "Implied volatility on the last day"),
    }
    figures = {name: draw_twice(draw, f"{name}_figure") for name, draw in pictures.items()}
    last = forwards[forwards["quote_date"] == forwards["quote_date"].max()]
    context = {
        "title": title,
        "sample_note": sample_note,
        "as_of": report["as_of"],
        "accepted": report["accepted"],
        "found": table,
        "days": {
            "count": len(days),
            "first": f"{days['quote_date'].min():%Y-%m-%d}",
            "last": f"{days['quote_date'].max():%Y-%m-%d}",
            "contracts": int(days["contracts"].median()),
        },
        "failed": [one for one in table["checks"] if not one["passed"]],
        "forwards": _show_forwards(last),
        "n_forwards": {
            "all": len(forwards),
            **{str(flag): int(n) for flag, n in forwards["flag"].value_counts().items()},
        },
        "notice": check["notice"],
        "parity": check["parity"],
        "vendor": check["vendor"],
        "explain": explain_reason,
    }
    environment = prepare_templates(templates)
    images = {name: inline_png(png) if png != MISSING else "" for name, png in figures.items()}
    text = environment.get_template("chain_report.md").render(**context, images=images)
    page = environment.get_template("chain_report.html").render(**context, images=images)
    return figures["days"], figures["forwards"], figures["smiles"], text, page


def _show_forwards(last: pd.DataFrame) -> list[dict[str, Any]]:
    """Lay out the forwards of the last date, the nearest expirations first."""
    rows = last.sort_values(["time_years", "root"]).head(_SHOWN_FORWARDS)
    return [
        {
            **{str(key): None if pd.isna(value) else value for key, value in row.items()},
            "expiration": f"{row['expiration']:%Y-%m-%d}",
            "quote_date": f"{row['quote_date']:%Y-%m-%d}",
        }
        for row in rows.to_dict("records")
    ]
