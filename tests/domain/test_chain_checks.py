"""Bad quotes leave with one reason, bad days are told, and chunks make no difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tidemark.domain.chain_checks import (
    REASONS,
    CheckedChain,
    CheckedChunk,
    IntakeSettings,
    check_chunk,
)
from tidemark.domain.chain_quality import CHECKS, DaySettings, assess_days
from tidemark.domain.chains import KEY, build_chain
from tidemark.domain.rules import Rule

OPTIONS = Path(__file__).resolve().parents[3] / "shared" / "data" / "options"
SPX = OPTIONS / "spx_cboe_eod_20190425_20190531.parquet"
AAPL = OPTIONS / "optionsdx_raw"
LEAVING = tuple(name for name in REASONS if name not in ("no_bid", "zero_day"))
RULES = {check: Rule("warn") for check in CHECKS}
STRIKES = np.arange(80.0, 121.0, 5.0)


def _day(date: str, spot: float = 100.0, style: str = "european", root: str = "X") -> pd.DataFrame:
    """Quote one expiration in 30 days at intrinsic value and a bit of time, without rates."""
    rows = pd.MultiIndex.from_product([["call", "put"], STRIKES]).to_frame(index=False)
    sign = np.where(rows[0] == "call", 1.0, -1.0)
    inside = np.maximum(sign * (spot - rows[1]), 0.0)
    time = 4.0 * np.exp(-np.square((rows[1] - spot) / 10.0))
    price = inside + time + 0.2
    return build_chain(
        {
            "quote_date": pd.Series([pd.Timestamp(date)] * len(rows)),
            "underlying": "X",
            "root": root,
            "settlement": "pm",
            "exercise_style": style,
            "underlying_price": spot,
            "expiration": pd.Series([pd.Timestamp(date) + pd.Timedelta(days=30)] * len(rows)),
            "option_type": rows[0],
            "strike": rows[1],
            "bid": price - 0.1,
            "ask": price + 0.1,
            "last": price,
            "volume": np.arange(len(rows), dtype="float64"),
            "vendor_iv": 0.2,
        },
        len(rows),
    )


def _check(chain: pd.DataFrame, *leaving: str, **settings: Any) -> CheckedChunk:
    return check_chunk(chain, IntakeSettings(**settings), leaving or LEAVING)


Change = Callable[[pd.DataFrame], None]


def _set(column: str, value: Any) -> Change:
    def change(chain: pd.DataFrame) -> None:
        chain.loc[3, column] = value  # the call at 95

    return change


@pytest.mark.parametrize("style", ["european", "american"])
def test_good_quotes_all_stay(style: str) -> None:
    """The chain comes back sorted, and is not changed."""
    chain = _day("2020-01-02", style=style)
    shuffled = chain.sample(frac=1.0, random_state=1)
    before = shuffled.copy()

    found = _check(shuffled, *REASONS)

    assert found.quarantine.empty
    pd.testing.assert_frame_equal(found.kept.drop(columns="zero_day"), chain)
    assert not found.kept["zero_day"].any()
    pd.testing.assert_frame_equal(shuffled, before)


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("bad_contract", _set("strike", np.nan)),
        ("bad_contract", _set("underlying_price", 0.0)),
        ("bad_contract", _set("expiration", pd.NaT)),
        ("expired", _set("expiration", pd.Timestamp("2020-01-01"))),
        ("blank_quote", _set("bid", np.nan)),
        ("no_ask", _set("ask", 0.0)),
        ("crossed", _set("bid", 90.0)),
        ("no_bid", _set("bid", 0.0)),
        ("zero_day", _set("expiration", pd.Timestamp("2020-01-02"))),
        ("below_lower_bound", lambda chain: chain.update(pd.DataFrame({"ask": {3: 4.0}}))),
        ("above_upper_bound", lambda chain: chain.update(pd.DataFrame({"bid": {3: 101.0}}))),
    ],
)
def test_bad_quote_leaves_with_its_reason(reason: str, change: Change) -> None:
    """One quote is spoilt, and it alone leaves."""
    chain = _day("2020-01-02")
    change(chain)
    if reason == "below_lower_bound":
        chain.loc[3, "bid"] = 3.9
    if reason == "above_upper_bound":
        chain.loc[3, "ask"] = 102.0

    found = _check(chain, reason)

    assert found.quarantine["reason"].tolist() == [reason]
    assert len(found.kept) == len(chain) - 1
    assert found.days.loc[0, [reason, "quarantined", "contracts"]].tolist() == [1, 1, len(chain)]


def test_am_contract_is_over_on_its_last_day() -> None:
    """It was settled at the opening; what is settled at the close is flagged and stays."""
    chain = _day("2020-01-02").assign(expiration=pd.Timestamp("2020-01-02"))

    late = _check(chain.assign(settlement="am"))
    flagged = _check(chain)

    assert late.kept.empty
    assert set(late.quarantine["reason"]) == {"expired"}
    assert flagged.kept["zero_day"].all()


@pytest.mark.parametrize("style", ["european", "american"])
def test_pair_against_parity_leaves(style: str) -> None:
    """A put that is too dear takes its call with it: which of the two is wrong, nobody knows."""
    chain = _day("2020-01-02", style=style)
    row = 9 + 4  # the put at 100
    chain.loc[row, ["bid", "ask"]] += 3.0

    found = _check(chain, "parity")

    assert found.quarantine["strike"].tolist() == [100.0, 100.0]
    assert set(found.quarantine["reason"]) == {"parity"}
    assert _check(chain, "parity", tolerance=3.0).quarantine.empty


def test_spot_of_another_moment_spoils_no_american_quote() -> None:
    """It is told as a gap; the quotes agree among themselves."""
    chain = _day("2020-01-02", style="american").assign(underlying_price=99.0)

    found = _check(chain, *REASONS)

    assert found.quarantine.empty
    assert found.days.loc[0, "spot_gap"] == pytest.approx(100 / 99 - 1)
    quality = assess_days(found.days, RULES, pd.Timestamp("2020-01-02"))
    assert "spot_gap" in {finding.check for finding in quality.findings}


def test_repeated_rows_leave_but_for_the_first() -> None:
    """Identical twins leave one, contradictory ones none, whatever the table says."""
    chain = _day("2020-01-02")
    twins = pd.concat([chain, chain.iloc[[2, 2]], chain.iloc[[5]].assign(last=1.0)])

    found = check_chunk(twins, IntakeSettings(), ())

    assert found.quarantine["reason"].value_counts().to_dict() == {
        "identical_rows": 2,
        "contradictory_rows": 2,
    }
    assert len(found.kept) == len(chain) - 1
    assert not found.kept.duplicated(list(KEY)).any()


def test_reasons_are_given_in_their_order() -> None:
    """A crossed quote of an expired contract is an expired one; both are counted."""
    chain = _day("2020-01-02")
    chain.loc[3, "expiration"] = pd.Timestamp("2019-12-31")
    chain.loc[3, "bid"] = 90.0

    found = _check(chain)

    assert found.quarantine["reason"].tolist() == ["expired"]
    assert found.days.loc[0, ["expired", "crossed"]].tolist() == [1, 1]
    assert _check(chain, "crossed").quarantine["reason"].tolist() == ["crossed"]


@pytest.mark.parametrize("together", [True, False])
def test_copy_of_the_day_before_leaves_whole(together: bool) -> None:
    """Whether both days come in one chunk or in two; a single quote that moved makes it a day."""
    first = _day("2020-01-02")
    copy = first.assign(quote_date=pd.Timestamp("2020-01-03"))
    moved = copy.assign(bid=copy["bid"].where(copy["strike"] != 95.0, copy["bid"] - 0.01))

    def check(second: pd.DataFrame) -> list[CheckedChunk]:
        chunks = [pd.concat([first, second])] if together else [first, second]
        return list(CheckedChain(chunks, IntakeSettings(), LEAVING))

    left = pd.concat(part.quarantine for part in check(copy))
    assert set(left["reason"]) == {"stale_day"}
    assert len(left) == len(copy)
    assert set(left["quote_date"]) == {pd.Timestamp("2020-01-03")}
    assert sum(len(part.quarantine) for part in check(moved)) == 0
    days = pd.concat(part.days for part in check(moved))
    assert days["same_quotes"].iloc[1] == pytest.approx(1 - 2 / len(copy))


def test_day_without_a_session_leaves_whole() -> None:
    """New Year's Day has no quotes, whatever a vendor sends."""
    chain = pd.concat([_day("2020-01-01"), _day("2020-01-02", 101.0)])

    found = _check(chain)

    assert set(found.quarantine["reason"]) == {"off_session_day"}
    assert found.days["is_session"].tolist() == [False, True]
    assert found.days["quarantined"].tolist() == [2 * len(STRIKES), 0]


def test_chunks_must_follow_each_other() -> None:
    """A day that comes again would be two."""
    chunks = [_day("2020-01-03"), _day("2020-01-02")]

    with pytest.raises(ValueError, match="2020-01-02 follows 2020-01-03"):
        list(CheckedChain(chunks, IntakeSettings(), LEAVING))


def test_unknown_reason_and_empty_chunk_are_refused() -> None:
    """The message lists the reasons that exist."""
    with pytest.raises(ValueError, match=r"\['blnk'\] is unknown. Reasons are off_session_day"):
        check_chunk(_day("2020-01-02"), IntakeSettings(), ["blnk"])
    with pytest.raises(ValueError, match="has no row"):
        check_chunk(_day("2020-01-02").head(0), IntakeSettings(), [])


def _assess(days: pd.DataFrame, **rules: Rule) -> dict[str, str]:
    quality = assess_days(days, RULES | rules, pd.Timestamp("2020-01-31"), DaySettings())
    return {finding.check: finding.message for finding in quality.findings}


def test_missing_sessions_and_thin_days_are_named() -> None:
    """The 6th of January is absent; on the 8th most contracts are."""
    dates = ["2020-01-02", "2020-01-03", "2020-01-07", "2020-01-08", "2020-01-09", "2020-01-10"]
    parts = [_day(date, 100.0 + number) for number, date in enumerate(dates)]
    parts[3] = parts[3].query("strike > 110")

    messages = _assess(_check(pd.concat(parts)).days)

    assert messages["missing_sessions"].startswith("chain: 1 of 7 sessions")
    assert "2020-01-06" in messages["missing_sessions"]
    assert messages["contract_jumps"].startswith("chain: 1 days")
    assert "2020-01-08" in messages["contract_jumps"]
    assert "21 days before" in messages["old_data"]
    assert {"no_quotes", "quarantined_days", "dates_after_as_of"}.isdisjoint(messages)


def test_shares_and_vendor_faults_are_told() -> None:
    """A day that loses a third of its quotes, and volatilities that are negative or blank."""
    chain = _day("2020-01-02")
    chain.loc[:6, "bid"] = 200.0
    chain.loc[[0, 1, 12], "vendor_iv"] = [-0.1, -0.2, np.nan]

    days = _check(chain).days
    messages = _assess(days, quarantined_share=Rule("refuse", 0.3))

    assert (
        "7 of 18 quotes (38.9%) would be quarantined, more than 30.0%"
        in (messages["quarantined_share"])
    )
    assert messages["quarantined_days"].startswith("chain: 1 sessions lose more than 20%")
    assert "2 volatilities of calls and 0 of puts" in messages["vendor_iv_negative"]
    assert "0 volatilities of calls and 1 of puts" in messages["vendor_iv_blank"]
    quality = assess_days(
        days, RULES | {"quarantined_share": Rule("refuse", 0.3)}, pd.Timestamp("2020-01-02")
    )
    assert [finding.check for finding in quality.refusals] == ["quarantined_share"]


def test_days_after_the_as_of_date_are_told() -> None:
    """The future cannot have been known."""
    days = _check(_day("2020-02-03")).days

    assert "2020-02-03" in _assess(days)["dates_after_as_of"]


def test_nothing_to_assess_is_a_finding() -> None:
    """A table without days ends no process by itself."""
    assert set(_assess(_check(_day("2020-01-02")).days.head(0))) == {"no_quotes"}


def test_assessment_needs_every_rule() -> None:
    """A check without an action would be no check."""
    days = _check(_day("2020-01-02")).days

    with pytest.raises(ValueError, match="no rule for spot_gap"):
        assess_days(
            days, {k: v for k, v in RULES.items() if k != "spot_gap"}, pd.Timestamp("2020-01-02")
        )


@pytest.mark.skipif(not SPX.is_file(), reason=f"needs the recorded chain '{SPX}'")
def test_recorded_spx_chain_has_its_known_defects() -> None:
    """A holiday that repeats the day before, two sessions that are absent, and no duplicates."""
    from tidemark.datasets.cboe_eod import CboeEodDataset

    source = CboeEodDataset(str(SPX)).load()
    checked = list(CheckedChain(source, IntakeSettings(), LEAVING))

    days = pd.concat([part.days for part in checked], ignore_index=True)
    quality = assess_days(days, RULES, pd.Timestamp("2019-05-31"))
    assert days["contracts"].sum() == 339_352
    holiday = days[days["quote_date"] == "2019-05-27"].iloc[0]
    assert holiday["quarantined"] == holiday["contracts"] == 13_324
    assert quality.days["off_session_day"].sum() == 13_324
    assert holiday["same_trades"] > 0.98
    assert days["same_trades"].nlargest(2).iloc[1] < 0.8
    assert [f"{day:%m-%d}" for day in quality.missing] == ["05-10", "05-17"]
    assert days[["identical_rows", "contradictory_rows"]].to_numpy().sum() == 0
    assert days["no_bid"].sum() == 22_153
    left = days["quarantined"].sum() - 13_324
    assert left < 100  # quotes of an index contradict each other hardly ever

    # The two roots share keys, and are no duplicates.
    kept = pd.concat([part.kept for part in checked] + [part.quarantine for part in checked])
    assert kept.duplicated([one for one in KEY if one != "root"], keep=False).sum() == 125_120


@pytest.mark.skipif(not AAPL.is_dir(), reason=f"needs the recorded chain in '{AAPL}'")
def test_recorded_optionsdx_chain_has_its_known_defects() -> None:
    """Negative volatilities are counted, crossed quotes leave, expiry days are flagged."""
    from tidemark.datasets.optionsdx import OptionsDXDataset

    source = OptionsDXDataset(str(AAPL), "AAPL").load()
    checked = list(CheckedChain(source, IntakeSettings(rate_continuous=0.005), LEAVING))

    days = pd.concat([part.days for part in checked], ignore_index=True)
    left = pd.concat([part.quarantine for part in checked])
    assert days["contracts"].sum() == 2 * 11_342
    assert days["vendor_iv_negative_calls"].sum() == 41
    assert days["vendor_iv_negative_puts"].sum() == 311
    assert days["crossed"].sum() == 25 + 22
    crossed = left[left["bid"] > left["ask"]]
    assert crossed["option_type"].value_counts().to_dict() == {"call": 25, "put": 22}
    assert days["zero_day"].sum() == 2 * 334
    stayed = pd.concat([part.kept for part in checked])
    flagged = stayed["zero_day"].sum() + (left["expiration"] == left["quote_date"]).sum()
    assert flagged == 2 * 334
    assert days["quarantined"].sum() / days["contracts"].sum() < 0.02
