"""From a chain to the rows of each group: what is checked, priced, scored and learnt from."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal

from tidemark.datasets.cboe_eod import CboeEodDataset
from tidemark.domain.bootstrap import optimal_block_length
from tidemark.domain.chain_checks import REASONS
from tidemark.domain.option_baselines import BASELINES, OWN_IV
from tidemark.domain.option_inputs import OWN_PAST, name_contracts
from tidemark.errors import EXIT_REFUSED, DataError, DataRefused, ModelError
from tidemark.pipelines.data_engineering.options import nodes, pricing, quality
from tidemark.pipelines.data_engineering.options.params import (
    GroupParams,
    OptionPreprocessParams,
    UniverseParams,
)
from tidemark.pipelines.data_engineering.options.treatment import preprocess, take_same_day
from tidemark.pipelines.data_engineering.publishing import publish
from tidemark.pipelines.feature_engineering.options.nodes import featurise
from tidemark.pipelines.feature_engineering.splitting import split

sys.path.insert(0, str(Path(__file__).parent))

import options_world as world

KEYS = world.KEYS
RECORDED = world.PROJECT.parent / "shared/data/options/spx_cboe_eod_20190425_20190531.parquet"
GROUPS = {name: GroupParams.model_validate(group) for name, group in world.PARAMS["groups"].items()}


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> world.Accepted:
    """Accept the simulated chain."""
    return world.accept(world.simulate_quotes(), tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="module")
def priced(accepted: world.Accepted) -> world.Priced:
    """Price it."""
    return world.price(accepted.contracts, accepted.market)


def choose(priced: world.Priced, group: GroupParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Choose the rows of a group."""
    return pricing.choose(priced.targets, priced.inputs, priced.baselines, group)


# Validate and accept.


def test_accept_passes_on_what_was_kept_and_nothing_else(accepted: world.Accepted) -> None:
    """Contracts and their market have the kept rows, sorted by date and contract."""
    kept = accepted.checked.kept().load_whole()
    contracts, market = accepted.contracts, accepted.market
    assert (
        len(contracts)
        == len(market)
        == len(kept)
        == accepted.report["tables"]["chain"]["rows_kept"]
    )
    assert_frame_equal(contracts[KEYS], market[KEYS])
    assert_frame_equal(contracts, contracts.sort_values(KEYS, ignore_index=True))
    assert not contracts.duplicated(KEYS).any()
    assert not {"bid", "ask", "last", "volume", "open_interest"} & set(contracts)
    assert sorted(market["bid"]) == sorted(kept["bid"])
    assert (market["bid"] > 0).all()
    assert (
        accepted.fingerprint["data_hash"]
        != nodes.accept(
            report=accepted.report,
            quarantine=accepted.quarantine,
            checked_chain=_Changed(accepted.checked),
            market_check=accepted.market_check,
            dq_report="",
        )[3]["data_hash"]
    )


class _Changed:
    """A checked chain one ask of which is another; all of another length, if asked."""

    def __init__(self, checked: Any, n_lost: int = 0, underlying: str | None = None) -> None:
        self._checked, self._n_lost, self._underlying = checked, n_lost, underlying

    def kept(self) -> Any:
        """Say where the rows are: here."""
        return self

    def load_whole(self) -> pd.DataFrame:
        """Read all rows."""
        rows = self._checked.kept().load_whole()
        rows.loc[rows.index[7], "ask"] += 0.05
        if self._underlying is not None:
            rows.loc[rows.index[7], "underlying"] = self._underlying
        return rows.iloc[self._n_lost :]


def test_accept_says_that_quotes_are_simulated(accepted: world.Accepted) -> None:
    """The profile counts, and bears the notice of the market's check."""
    profile = accepted.profile
    assert profile["notice"].startswith("All quotes are simulated")
    assert profile["notice"] == accepted.market_check["notice"]
    assert profile["rows"] == len(accepted.contracts)
    assert profile["names"] == accepted.contracts["contract"].nunique()
    assert profile["sessions"] == accepted.contracts["date"].nunique()
    assert (profile["first"], profile["last"]) == ("2016-10-07", "2017-02-15")
    assert profile == json.loads(json.dumps(profile))


def test_quarantine_is_counted_by_its_reasons(accepted: world.Accepted) -> None:
    """Every quote is kept or has one reason; the simulator's defects are among these."""
    table = accepted.report["tables"]["chain"]
    counts = accepted.quarantine["reason"].value_counts()
    assert table["rows_quarantined"] == counts.to_dict()
    assert table["rows_kept"] + len(accepted.quarantine) == table["rows"]
    assert table["rows"] == len(world.simulate_quotes())
    assert set(counts.index) <= set(REASONS)
    assert {"off_session_day", "identical_rows", "crossed", "no_bid"} <= set(counts.index)
    assert all(table["rows_with"][name] >= counts[name] for name in counts.index)
    assert len(table["missing_sessions"]) == 2
    assert table["whole_days"] == ["2017-01-16"]  # Martin Luther King, a copy of the Friday
    assert accepted.report["accepted"]


def test_accept_refuses_what_the_report_refuses(accepted: world.Accepted, tmp_path: Path) -> None:
    """Quotes later than the day that the run pretends, and too many bad ones."""
    report, _, quarantine = nodes.validate(accepted.checked, "2017-02-14", world.CHECKS)
    assert not report["accepted"]
    with pytest.raises(DataRefused, match="2017-02-15"):
        nodes.accept(
            report=report,
            quarantine=quarantine,
            checked_chain=accepted.checked,
            market_check=accepted.market_check,
            dq_report="",
        )
    quotes = world.simulate_quotes()
    spoilt = quotes.assign(bid=quotes["bid"].where(np.arange(len(quotes)) % 2 == 0, 0.0))
    checked = world.check(spoilt, tmp_path)
    report, days, quarantine = nodes.validate(checked, world.AS_OF, world.CHECKS)
    assert not report["accepted"]
    assert days["quarantined_share"].max() > 0.4
    with pytest.raises(DataRefused, match="quarantine"):
        nodes.accept(
            report=report,
            quarantine=quarantine,
            checked_chain=checked,
            market_check=accepted.market_check,
            dq_report="",
        )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_lost": 3}, "were kept and .* are stored. Run fetch again"),
        ({"underlying": "RUT"}, "options on RUT, SPX; the study takes one underlying"),
    ],
)
def test_accept_of_other_rows_than_were_checked_is_an_error(
    accepted: world.Accepted, change: dict[str, Any], words: str
) -> None:
    """Rows that were lost since, and a second underlying."""
    with pytest.raises(DataError, match=words):
        nodes.accept(
            report=accepted.report,
            quarantine=accepted.quarantine,
            checked_chain=_Changed(accepted.checked, **change),
            market_check=accepted.market_check,
            dq_report="",
        )


# Imply.


def test_imply_tests_parity_on_the_other_strikes(accepted: world.Accepted) -> None:
    """Lines of every second strike hold for the others; a vendor that is absent is not there."""
    forwards, found, smiles = quality.imply(accepted.checked, world.PRICING)
    assert found["vendor"] == {}
    assert found["parity"]["pairs"] > 3000
    assert 0.99 < found["parity"]["share_within"] <= 1.0
    assert found["parity"]["share_within_5_cents"] >= found["parity"]["share_within"]
    assert forwards["quote_date"].nunique() == accepted.contracts["date"].nunique()
    assert set(forwards["flag"]) <= {"ok", "few_pairs", "no_time", "rate_out_of_bounds"}
    assert list(smiles) == ["expiration", "time_years", "log_moneyness", "vol_annual"]
    assert smiles["expiration"].nunique() > 3
    assert smiles["vol_annual"].between(0.03, 1.0).all()


def test_imply_sees_quotes_without_parity(accepted: world.Accepted, tmp_path: Path) -> None:
    """Calls of every second strike that are two points dearer are outside of their spreads."""
    kept = accepted.checked.kept().load_whole().drop(columns="zero_day")
    rank = kept.groupby(["quote_date", "root", "expiration"])["strike"].rank(method="dense")
    dearer = 2.0 * ((kept["option_type"] == "call") & (rank % 2 == 1))
    moved = kept.assign(bid=kept["bid"] + dearer, ask=kept["ask"] + dearer)
    checks = world.CHECKS.model_copy(update={"tolerance": 1e9})  # let it pass the first check
    dataset = world.ChainFolderDataset(str(tmp_path))
    dataset.save(nodes.fetch(moved, checks, world.PRICING))
    _, found, _ = quality.imply(dataset.load(), world.PRICING)
    assert found["parity"]["share_within"] < 0.5


def test_imply_of_too_few_strikes_has_no_forward(tmp_path: Path) -> None:
    """Four strikes are no line: nothing is known of parity, and nothing fails."""
    quotes = world.simulate_quotes()
    near = (quotes["strike"] / quotes["underlying_price"] - 1.0).abs() < 0.03
    few = quotes[near & (quotes["strike"] % 100 == 0)].reset_index(drop=True)
    forwards, found, smiles = quality.imply(world.check(few, tmp_path), world.PRICING)
    assert set(forwards["flag"]) == {"few_pairs"}
    assert found["parity"] is None
    assert len(smiles) == 0


def test_imply_of_recorded_quotes_has_the_vendors_part(tmp_path: Path) -> None:
    """Three days of the CBOE: nothing is simulated, and its volatilities are compared."""
    if not RECORDED.exists():
        pytest.skip(f"the shared recordings are absent: {RECORDED}")
    chain = CboeEodDataset(str(RECORDED)).load()
    days = [rows for _, (_, rows) in zip(range(3), chain.days(), strict=False)]
    checked = world.check(pd.concat(days, ignore_index=True), tmp_path)
    forwards, found, _ = quality.imply(checked, world.PRICING)
    assert found["notice"] is None
    assert found["parity"]["share_within"] > 0.98
    assert found["vendor"]["compared"] > 10_000
    assert found["vendor"]["median_points"]["out_of_the_money"] < 1.0
    assert (forwards["flag"] == "ok").sum() > 60
    assert json.loads(json.dumps(found, allow_nan=False))["vendor"] == found["vendor"]


def test_chain_all_of_which_is_quarantined_is_reported_and_refused(tmp_path: Path) -> None:
    """Nobody bids for anything: forwards, smiles and parity are none, and nothing fails before."""
    quotes = world.simulate_quotes().assign(bid=0.0)
    checked = world.check(quotes, tmp_path)
    report, days, quarantine = nodes.validate(checked, world.AS_OF, world.CHECKS)
    assert (report["accepted"], report["tables"]["chain"]["rows_kept"]) == (False, 0)
    assert len(quarantine) == len(quotes)
    forwards, found, smiles = quality.imply(checked, world.PRICING)
    assert found == {"notice": None, "parity": None, "vendor": {}}
    some, _, lines = quality.imply(
        world.check(world.simulate_quotes(), tmp_path / "usual"), world.PRICING
    )
    for none, usual in ((forwards, some), (smiles, lines)):
        assert len(none) == 0
        assert list(none) == list(usual)
        assert (none.dtypes == usual.dtypes).all()
    folder = world.PROJECT / "src/tidemark/pipelines/reporting/templates"
    templates = {one.name.removesuffix(".j2"): one.read_text for one in folder.glob("*.j2")}
    *figures, text, page = quality.report_chain(
        report, days, forwards, found, smiles, "A chain", "A note.", templates
    )
    assert [bool(one) for one in figures] == [True, False, False]
    for written in (text, page):
        assert "No pair of European options at the other strikes could be compared" in written
    with pytest.raises(DataRefused, match="would be quarantined, more than") as caught:
        nodes.accept(
            report=report,
            quarantine=quarantine,
            checked_chain=checked,
            market_check=found,
            dq_report=text,
        )
    assert caught.value.exit_status == EXIT_REFUSED == 2


# Price.


def test_price_own_volatility_gives_the_middle_back(priced: world.Priced) -> None:
    """To rounding wherever one is implied, closes of another moment or not."""
    implied = priced.volatilities["vol_annual"].notna()
    assert implied.mean() > 0.95
    assert_frame_equal(priced.volatilities[KEYS], priced.baselines[KEYS])
    found, target = (one[implied] for one in (priced.baselines[OWN_IV], priced.targets["target"]))
    assert_allclose(found, target, rtol=1e-8, atol=1e-11)


def test_price_date_without_forwards_costs_no_session_its_rows(
    accepted: world.Accepted, priced: world.Priced
) -> None:
    """All calls of a day are gone: what is eligible on other days is so still."""
    day = np.unique(accepted.contracts["date"])[40]
    kept = (accepted.contracts["date"] != day) | (accepted.contracts["option_type"] == "put")
    tables = (one[kept].reset_index(drop=True) for one in (accepted.contracts, accepted.market))
    found = world.price(*tables)
    assert found.volatilities.loc[found.volatilities["date"] == day, "vol_annual"].isna().all()
    before, after = (
        one.targets.loc[one.targets["eligible"], KEYS].reset_index(drop=True)
        for one in (priced, found)
    )
    is_other = before["date"] != day
    assert_frame_equal(
        before[is_other].reset_index(drop=True),
        after[after["date"] != day].reset_index(drop=True),
    )
    puts = before.loc[~is_other, "contract"].str.contains(" P ")
    assert puts.any()
    assert_array_equal(
        before.loc[~is_other, "contract"][puts], after.loc[after["date"] == day, "contract"]
    )


def test_price_tables_have_the_same_rows(accepted: world.Accepted, priced: world.Priced) -> None:
    """One of each for each quote that was accepted, in one order."""
    for table in (priced.inputs, priced.baselines, priced.targets, priced.facts):
        assert_frame_equal(table[KEYS], accepted.contracts[KEYS])
    middle = (accepted.market["bid"] + accepted.market["ask"]) / 2.0
    assert_allclose(priced.targets["target"], middle / accepted.contracts["strike"])
    assert_array_equal(priced.targets["offset"], priced.baselines["surface_by_strike"])
    assert_allclose(priced.facts["mid"], middle)


def test_price_eligible_rows_are_in_the_universe_and_known(priced: world.Priced) -> None:
    """All that a model is given is there, and all baselines; the warm-up is over."""
    is_eligible = priced.targets["eligible"]
    rows = priced.facts[is_eligible]
    assert 0.5 < is_eligible.mean() < 0.9
    assert not rows["zero_day"].any()
    days = rows["time_years"] * 365.0
    assert days.between(world.UNIVERSE.min_days, world.UNIVERSE.max_days).all()
    assert (rows["mid"] >= world.UNIVERSE.min_price).all()
    assert np.log(rows["strike"] / rows["underlying_price"]).abs().max() <= 0.3
    sessions = np.unique(priced.targets["date"])
    assert rows["date"].min() == sessions[world.UNIVERSE.warm_up_sessions]
    known = priced.inputs[is_eligible].drop(columns=list(OWN_PAST))
    assert known.notna().all(axis=None)
    assert priced.baselines[is_eligible].notna().all(axis=None)
    assert (
        priced.inputs.loc[is_eligible, list(OWN_PAST)].isna().any(axis=None)
    )  # no reason to leave


@pytest.mark.parametrize("warm_up", [1, 40])
def test_price_zero_days_and_warm_up_are_never_eligible(
    accepted: world.Accepted, warm_up: int
) -> None:
    """Whatever else the universe allows."""
    wide = {
        "min_days": 0.0,
        "max_days": 1e6,
        "max_log_strike": 99.0,
        "min_price": 0.0,
        "warm_up_sessions": warm_up,
    }
    found = world.price(accepted.contracts, accepted.market, **wide)
    zero_day = found.facts["zero_day"]
    assert zero_day.sum() > 10
    assert not found.targets.loc[zero_day, "eligible"].any()
    sessions = np.unique(found.targets["date"])
    early = found.targets["date"] < sessions[warm_up]
    assert not found.targets.loc[early, "eligible"].any()
    usual = found.targets.loc[~early & ~zero_day, "eligible"]
    known = warm_up >= 22  # volatility of 21 returns is known by then
    assert usual.mean() > (0.99 if known else 0.7)


def test_universe_of_other_bounds_has_other_rows(
    accepted: world.Accepted, priced: world.Priced
) -> None:
    """Each bound takes its rows out, and no others."""
    inputs, facts = priced.inputs, priced.facts
    before = priced.targets["eligible"]
    for change, stays in (
        ({"min_days": 30.0}, facts["time_years"] * 365.0 >= 30.0),
        ({"max_days": 30.0}, facts["time_years"] * 365.0 <= 30.0),
        ({"max_log_strike": 0.02}, inputs["log_strike"].abs() <= 0.02),
        ({"min_price": 5.0}, facts["mid"] >= 5.0),
    ):
        chosen = UniverseParams.model_validate({**world.PARAMS["universe"], **change})
        found = pricing._find_eligible(facts, inputs, priced.baselines, chosen)
        assert_array_equal(found, before & stays)
        assert 0 < found.sum() < before.sum()


# Groups.


def test_choose_all_quotes_scores_and_learns_what_is_eligible(priced: world.Priced) -> None:
    """Without the price of the day; tables stay as they were."""
    before = priced.targets.copy()
    targets, baselines = choose(priced, GROUPS["all_quotes"])
    assert_frame_equal(priced.targets, before)
    for name in ("is_scored", "is_learnt"):
        assert_series_equal(targets[name], targets["eligible"], check_names=False)
    assert_series_equal(targets["eligible"], before["eligible"])
    assert list(baselines) == [*KEYS, *(name for name in BASELINES if name != OWN_IV)]


def test_choose_circular_group_keeps_the_price_of_the_day(priced: world.Priced) -> None:
    """It alone."""
    _, baselines = choose(priced, GROUPS["circular"])
    assert list(baselines) == [*KEYS, *BASELINES]


def test_choose_liquid_quotes_were_liquid_the_session_before(priced: world.Priced) -> None:
    """A row that was not quoted then is not liquid; today's spread and volume do not count."""
    group = GROUPS["liquid_only"]
    assert (group.max_spread, group.min_volume) == (0.1, 1.0)
    targets, _ = choose(priced, group)
    chosen = targets["eligible"].to_numpy()
    inputs = priced.inputs
    expected = (
        priced.targets["eligible"]
        & (inputs["own_spread"] <= 0.1)
        & (np.expm1(inputs["own_volume"]) >= 1.0 - 1e-9)
    )
    assert_array_equal(chosen, expected)
    assert 0 < chosen.sum() < priced.targets["eligible"].sum()
    today = (priced.facts["ask"] - priced.facts["bid"]) / priced.facts["mid"]
    assert (today[chosen] > 0.1).any()
    assert (priced.facts.loc[chosen, "volume"] == 0).any()
    unknown = inputs[["own_spread", "own_volume"]].isna().any(axis=1)
    assert unknown.any()
    assert not chosen[unknown].any()


@pytest.mark.parametrize("every", [2, 4])
def test_choose_held_out_expirations_are_scored_and_never_learnt(
    priced: world.Priced, every: int
) -> None:
    """Every n-th date of those with the same roots; each eligible row is one or the other."""
    targets, _ = choose(priced, GroupParams(hold_out_every=every))
    expirations = priced.facts["expiration"]
    by_roots: dict[tuple[str, ...], list[pd.Timestamp]] = {}
    for expiration, own in priced.facts.groupby("expiration")["root"]:
        by_roots.setdefault(tuple(sorted(own.unique())), []).append(expiration)
    assert len(by_roots) == 3  # months, weeks, and dates that are both
    held_out = [one for ends in by_roots.values() for one in ends[every - 1 :: every]]
    assert len(held_out) == sum(len(ends) // every for ends in by_roots.values())
    is_held_out = expirations.isin(held_out)
    assert_array_equal(targets["is_scored"], priced.targets["eligible"] & is_held_out)
    assert_array_equal(targets["is_learnt"], priced.targets["eligible"] & ~is_held_out)
    scored, learnt = (set(expirations[targets[name]]) for name in ("is_scored", "is_learnt"))
    assert scored
    assert learnt
    assert not scored & learnt
    roots = priced.facts.loc[targets["is_scored"], "contract"].str.split(" ").str[0]
    assert set(roots) == {"SPX", "SPXW"}


FRIDAYS = pd.date_range("2020-01-03", periods=13, freq="7D")


def hold_out(listed: list[tuple[str, pd.Timestamp]], every: int) -> set[tuple[str, pd.Timestamp]]:
    """Hold expirations out of a chain of which each has two strikes; say which are scored."""
    terms = [
        {"root": root, "expiration": end, "option_type": kind, "strike": strike}
        for root, end in listed
        for kind, strike in (("call", 100.0), ("put", 102.5))
    ]
    frame = pd.DataFrame(terms).sample(frac=1, random_state=2, ignore_index=True)
    targets = pd.DataFrame({"contract": name_contracts(frame), "eligible": True})
    baselines = targets[["contract"]].assign(**{OWN_IV: 0.0})
    found, _ = pricing.choose(targets, targets, baselines, GroupParams(hold_out_every=every))
    assert_array_equal(found["is_learnt"], ~found["is_scored"])
    counts = frame[found["is_scored"]].groupby(["root", "expiration"]).size()
    assert (counts == 2).all()
    return set(counts.index)


def test_choose_holds_months_and_weeks_out_apart() -> None:
    """Every second of each: counted together, every fourth Friday would be held out, or none."""
    months, weeks = FRIDAYS[2::4], FRIDAYS.delete([2, 6, 10])
    listed = [("SPX", one) for one in months] + [("SPXW", one) for one in weeks]
    expected = {("SPX", months[1]), *(("SPXW", one) for one in weeks[1::2])}
    assert hold_out(listed, 2) == expected
    # A month that has weeklies too is of a third kind, and is held out with both roots or not.
    both = [*listed, *(("SPXW", one) for one in months[:2])]
    expected = {(root, months[1]) for root in ("SPX", "SPXW")}
    assert hold_out(both, 2) == {*expected, *(("SPXW", one) for one in weeks[1::2])}


@pytest.mark.parametrize("root", ["BRK B", "A B C", "BRK 2020-01-31 C 5"])
def test_choose_root_with_blanks_is_held_out_by_its_expirations(root: str) -> None:
    """Names are read from their right."""
    listed = [(root, one) for one in FRIDAYS]
    assert hold_out(listed, 4) == {(root, one) for one in FRIDAYS[3::4]}
    weeks = [("BRK", one) for one in FRIDAYS[:6]]
    expected = {(name, one) for name in ("BRK", root) for one in FRIDAYS[1:6:2]}
    expected |= {(root, one) for one in FRIDAYS[7::2]}
    assert hold_out([*listed, *weeks], 2) == expected


def test_choose_nothing_to_score_or_to_learn_is_an_error(priced: world.Priced) -> None:
    """With the bounds that are to be loosened."""
    with pytest.raises(DataError, match=r"0 quotes are left to score .*min_volume=1000000000000"):
        choose(priced, GroupParams(min_volume=1e12))
    with pytest.raises(DataError, match=r"0 quotes are left to score .*hold_out_every=900"):
        choose(priced, GroupParams(hold_out_every=900))


# Treatments.


def test_preprocess_fills_what_a_new_contract_lacks(priced: world.Priced) -> None:
    """The surface's volatility, the usual spread of the session before, no volume."""
    before = priced.inputs.copy()
    processed, report = preprocess(priced.inputs, OptionPreprocessParams(missing="surface"))
    assert_frame_equal(priced.inputs, before)
    missing = before[list(OWN_PAST)].isna().any(axis=1)
    assert 0.02 < missing.mean() < 0.2
    assert_array_equal(processed["was_missing"], missing.astype(float))
    assert report == {"rows_filled": int(missing.sum()), "rows_not_learnt_from": 0}
    assert processed["is_learnt"].all()
    same = [name for name in before if name not in OWN_PAST]
    assert_frame_equal(processed[same], before[same])
    assert_frame_equal(
        processed.loc[~missing, list(OWN_PAST)], before.loc[~missing, list(OWN_PAST)]
    )
    new = before["own_spread"].isna() & before["strike_vol"].notna()
    assert_array_equal(processed.loc[new, "own_vol"], before.loc[new, "strike_vol"])
    facts = priced.facts
    spreads = (facts["ask"] - facts["bid"]) / facts["mid"]
    usual = spreads.groupby(facts["date"]).median().shift(1)  # of all that were quoted then
    assert_allclose(processed.loc[new, "own_spread"], usual.loc[before.loc[new, "date"]])
    assert processed.loc[before["date"] > before["date"].min(), "own_spread"].notna().all()
    assert (processed.loc[new, ["own_volume", "own_open_interest"]] == 0.0).all(axis=None)
    # Quoted, but at a price that implies no volatility: the rest of its past is kept.
    unsolved = before["own_vol"].isna() & before["own_spread"].notna()
    kept = ["own_spread", "own_volume", "own_open_interest"]
    assert_frame_equal(processed.loc[unsolved, kept], before.loc[unsolved, kept])


def test_preprocess_drop_takes_filled_rows_out_of_learning_only(priced: world.Priced) -> None:
    """They are filled all the same: what is to be forecast must have its features."""
    filled, _ = preprocess(priced.inputs, OptionPreprocessParams(missing="surface"))
    dropped, report = preprocess(priced.inputs, OptionPreprocessParams(missing="drop"))
    assert_frame_equal(filled.drop(columns="is_learnt"), dropped.drop(columns="is_learnt"))
    assert_array_equal(dropped["is_learnt"], dropped["was_missing"] == 0.0)
    assert report["rows_not_learnt_from"] == report["rows_filled"] > 0
    eligible = priced.targets.loc[priced.targets["eligible"], KEYS]
    assert len(featurise(dropped).merge(eligible)) == len(eligible)


@pytest.mark.parametrize("missing", ["surface", "drop"])
def test_take_same_day_gives_each_quote_its_own_volatility(
    priced: world.Priced, missing: str
) -> None:
    """Or the surface's, where it implies none; nothing else of the market."""
    params = OptionPreprocessParams.model_validate({"missing": missing, "same_day": True})
    processed, report = take_same_day(priced.inputs, priced.volatilities, params)
    own = priced.volatilities["vol_annual"]
    assert_frame_equal(priced.volatilities[KEYS], processed[KEYS])
    unsolved = own.isna()
    assert 0 < unsolved.sum() < 0.1 * len(own)
    assert_array_equal(processed.loc[~unsolved, "own_vol_today"], own[~unsolved])
    assert_array_equal(
        processed.loc[unsolved, "own_vol_today"], priced.inputs.loc[unsolved, "strike_vol"]
    )
    named = [*KEYS, "log_strike", "sqrt_time", "is_call", "own_vol_today", "is_learnt"]
    assert list(processed) == named
    is_left_out = unsolved if missing == "drop" else np.zeros(len(own), dtype=bool)
    assert_array_equal(processed["is_learnt"], ~is_left_out)
    assert report == {
        "rows_filled": int(unsolved.sum()),
        "rows_not_learnt_from": int(is_left_out.sum()),
    }


# Publish and split.


@pytest.mark.parametrize("every", [2, 3])
def test_publish_scores_the_rows_of_the_group(priced: world.Priced, every: int) -> None:
    """Rows of the test that are scored, with every baseline; blocks from what the offset leaves."""
    targets, baselines = choose(priced, GroupParams(hold_out_every=every))
    dates, scoring, resampling = publish(targets, baselines, world.SPLIT, world.EVALUATION)
    assert dates["keys"] == KEYS
    expected = targets[targets["is_scored"] & (targets["date"] >= dates["test_start"])]
    assert_frame_equal(scoring[KEYS], expected[KEYS].reset_index(drop=True))
    assert list(scoring) == [*KEYS, "y_true", *[name for name in baselines if name not in KEYS]]
    assert_array_equal(scoring["y_true"], expected["target"])

    left = (expected["target"] - expected["offset"]) ** 2
    squares = left.groupby(expected["date"]).mean().to_numpy()
    plain = (expected["target"] ** 2).groupby(expected["date"]).mean().to_numpy()
    lengths = [optimal_block_length(one, "stationary") for one in (squares, plain)]
    assert resampling["block_length"] == pytest.approx(lengths[0])
    assert lengths[0] != pytest.approx(lengths[1])  # or the offset is of no account
    assert resampling["n_dates"] == len(squares)


def test_publish_groups_share_their_dates_and_not_their_rows(priced: world.Priced) -> None:
    """Groups of the same sessions have one split; what they score differs."""
    found = {
        name: publish(*choose(priced, group), world.SPLIT, world.EVALUATION)
        for name, group in GROUPS.items()
    }
    ids = {name: one[0]["split_id"] for name, one in found.items()}
    assert ids["all_quotes"] == ids["circular"] == ids["unseen_expiries"]
    sizes = {name: len(one[1]) for name, one in found.items()}
    assert sizes["all_quotes"] == sizes["circular"]
    assert sizes["all_quotes"] > sizes["liquid_only"]
    assert sizes["all_quotes"] > sizes["unseen_expiries"]
    assert OWN_IV in found["circular"][1]
    assert OWN_IV not in found["all_quotes"][1]


def test_split_rows_are_learnt_if_features_and_group_allow_it(priced: world.Priced) -> None:
    """Both say so; labels of the group go along."""
    targets, baselines = choose(priced, GROUPS["unseen_expiries"])
    dates, _, _ = publish(targets, baselines, world.SPLIT, world.EVALUATION)
    processed, _ = preprocess(priced.inputs, OptionPreprocessParams(missing="drop"))
    train, test = split(featurise(processed), targets, dates)
    rows = pd.concat([train, test], ignore_index=True)
    assert {"target", "offset", "is_scored", "is_learnt"} <= set(rows)
    assert not {"eligible", "is_learnt_group"} & set(rows)
    eligible = targets["eligible"]
    assert_frame_equal(rows[KEYS], targets.loc[eligible, KEYS].reset_index(drop=True))
    allowed = (targets["is_learnt"] & processed["is_learnt"])[eligible]
    assert_array_equal(rows["is_learnt"], allowed)
    assert rows["is_learnt"].dtype == bool
    assert 0 < allowed.sum() < targets["is_learnt"].sum()
    assert_array_equal(rows["is_scored"], targets.loc[eligible, "is_scored"])
    assert (train["date"] < dates["test_start"]).all()
    assert (test["date"] >= dates["test_start"]).all()


def test_split_eligible_row_without_features_is_an_error(priced: world.Priced) -> None:
    """Not one that is quietly left out."""
    targets, baselines = choose(priced, GROUPS["all_quotes"])
    dates, _, _ = publish(targets, baselines, world.SPLIT, world.EVALUATION)
    processed, _ = preprocess(priced.inputs, OptionPreprocessParams())
    with pytest.raises(ModelError, match="1 eligible rows have no features: 2017-02-15 SPXW"):
        split(featurise(processed).iloc[:-1], targets, dates)
