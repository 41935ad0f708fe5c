"""Sequences hold the history of their own contract, session by session, and nothing later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from tidemark.domain.sequences import (
    SequenceIndex,
    SequenceSample,
    build_sequences,
    cut_validation,
)

CHAINS = (
    Path(__file__).resolve().parents[3]
    / "shared/data/options/spx_cboe_eod_20190425_20190531.parquet"
)
KEYS = ["root", "strike"]
FEATURES = ["vol_annual", "moneyness"]
DAYS = pd.bdate_range("2024-01-02", periods=9)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Draw a few contracts, each quoted on some days, in any order, some features missing."""
    names = st.tuples(
        st.sampled_from(["SPX", "SPXW"]),
        st.sampled_from([90.0, 100.0]),
        st.sampled_from(list(DAYS)),
    )
    quotes = draw(st.lists(names, min_size=1, max_size=30, unique=True))
    numbers = st.one_of(st.just(float("nan")), st.floats(-4, 4, width=32))
    values = draw(st.lists(st.tuples(numbers, numbers), min_size=len(quotes), max_size=len(quotes)))
    rows = [(*quote, *value) for quote, value in zip(quotes, values, strict=True)]
    return pd.DataFrame(rows, columns=["root", "strike", "date", *FEATURES])


def build(frame: pd.DataFrame, length: int, **options: pd.DatetimeIndex) -> SequenceIndex:
    """Build sequences of the frames above."""
    return build_sequences(frame, KEYS, "date", FEATURES, length, **options)


def gather_all(index: SequenceIndex) -> tuple[np.ndarray, np.ndarray]:
    """Gather every sequence."""
    return index.gather(np.arange(index.n_rows))


def look_up(frame: pd.DataFrame, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Find each step by a search of the whole frame."""
    sessions = np.sort(frame["date"].unique())
    values = np.zeros((len(frame), length, len(FEATURES)), np.float32)
    mask = np.zeros((len(frame), length), bool)
    quotes = frame.set_index([*KEYS, "date"])[FEATURES]
    for number, row in enumerate(frame.itertuples()):
        own = int(np.searchsorted(sessions, np.datetime64(row.date)))
        for step in range(length):
            session = own - (length - 1 - step)
            place = (row.root, row.strike, sessions[session]) if session >= 0 else None
            if place in quotes.index and quotes.loc[place].notna().all():
                values[number, step] = quotes.loc[place]
                mask[number, step] = True
    return values, mask


@settings(max_examples=60, deadline=None)
@given(frames(), st.integers(1, 11))
def test_sequences_are_those_of_a_search(frame: pd.DataFrame, length: int) -> None:
    """Every step of every sequence, against a loop over rows and sessions."""
    expected_values, expected_mask = look_up(frame, length)
    values, mask = gather_all(build(frame, length))
    assert_array_equal(mask, expected_mask)
    assert_array_equal(values, expected_values)


@settings(max_examples=60, deadline=None)
@given(frames(), st.integers(1, 11), st.integers(0, len(DAYS) - 1))
def test_sequences_do_not_know_the_future(frame: pd.DataFrame, length: int, cut: int) -> None:
    """Altering or dropping what comes after a day leaves the sequences up to it bit-identical."""
    is_past = (frame["date"] <= DAYS[cut]).to_numpy()
    altered = frame.copy()
    altered.loc[~is_past, FEATURES] = 3.25
    wanted = [part[is_past].tobytes() for part in gather_all(build(frame, length))]
    assert [part[is_past].tobytes() for part in gather_all(build(altered, length))] == wanted
    if is_past.any():
        truncated = build(frame[is_past], length)
        assert [part.tobytes() for part in gather_all(truncated)] == wanted


@settings(max_examples=40, deadline=None)
@given(frames(), st.integers(1, 11), st.randoms(use_true_random=False))
def test_sequences_follow_their_rows(frame: pd.DataFrame, length: int, random: object) -> None:
    """The order of rows, and the index of the frame, do not matter."""
    order = list(range(len(frame)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for part, moved in zip(
        gather_all(build(frame, length)), gather_all(build(frame.iloc[order], length)), strict=True
    ):
        assert_array_equal(part[order], moved)


@settings(max_examples=40, deadline=None)
@given(frames(), st.integers(1, 11))
def test_one_contract_alone_has_the_same_sequences(frame: pd.DataFrame, length: int) -> None:
    """With the calendar given, rows of other contracts do not matter: serving is as training."""
    is_own = (frame[KEYS] == frame.loc[0, KEYS]).all(axis=1).to_numpy()
    whole = gather_all(build(frame, length, sessions=DAYS))
    alone = gather_all(build(frame[is_own], length, sessions=DAYS))
    for part, own in zip(whole, alone, strict=True):
        assert_array_equal(part[is_own], own)


def make_contract(days: list[int], **columns: list[float]) -> pd.DataFrame:
    """Make one contract, quoted on these of the days."""
    values = np.arange(1.0, len(days) + 1)
    facts = {"root": "SPX", "strike": 100.0, "vol_annual": values, "moneyness": -values}
    return pd.DataFrame({"date": DAYS[days], **facts, **columns})


def test_session_without_a_quote_is_a_masked_step() -> None:
    """A contract that is not quoted on a session of the calendar keeps its lags."""
    index = build(make_contract([0, 1, 4]), 4, sessions=DAYS)
    assert index.positions.tolist() == [[-1, -1, -1, 0], [-1, -1, 0, 1], [1, -1, -1, 2]]
    values, mask = index.gather(np.array([2]))
    assert values[0, :, 0].tolist() == [2.0, 0.0, 0.0, 3.0]
    assert mask.tolist() == [[True, False, False, True]]


def test_without_a_calendar_dates_that_occur_are_sessions() -> None:
    """Days on which nothing at all was quoted are no steps."""
    assert build(make_contract([0, 1, 4]), 2).positions.tolist() == [[-1, 0], [0, 1], [1, 2]]


def test_incomplete_row_is_masked_wherever_it_is_a_step() -> None:
    """Its own sequence rests on the steps before it, if there are any."""
    index = build(make_contract([0, 1, 2], moneyness=[np.nan, 0.1, np.nan]), 3)
    assert index.positions.tolist() == [[-1, -1, -1], [-1, -1, 1], [-1, 1, -1]]
    assert index.find_usable(np.arange(3)).tolist() == [False, True, True]
    assert np.isfinite(index.features).all()


def test_batch_is_new_at_every_call() -> None:
    """Writing into a batch changes neither the index nor the next batch."""
    index = build(make_contract([0, 1]), 2)
    values, _ = index.gather(np.array([1]))
    values[:] = 99.0
    assert index.gather(np.array([1]))[0].max() == 2.0


def test_build_leaves_the_frame_as_it_is() -> None:
    """Inputs are read only."""
    frame = make_contract([0, 1, 2], moneyness=[np.nan, 0.1, 0.2])
    before = frame.copy()
    build(frame, 3)
    pd.testing.assert_frame_equal(frame, before)


def test_single_date_gives_sequences_of_one_step() -> None:
    """Contracts of one date have no history."""
    frame = pd.concat([make_contract([3]), make_contract([3]).assign(strike=105.0)])
    assert build(frame, 3).positions.tolist() == [[-1, -1, 0], [-1, -1, 1]]


def test_million_sequences_take_a_sixth_of_their_copies() -> None:
    """Per row: 20 positions of 4 bytes and 10 features of 4, against 20 x 10 of 4."""
    frame = make_contract([0, 1]).assign(**{f"f{number}": 0.5 for number in range(10)})
    index = build_sequences(frame, KEYS, "date", [f"f{number}" for number in range(10)], 20)
    held = index.positions[0].nbytes + index.features[0].nbytes
    assert held == 120
    assert index.gather(np.array([0]))[0].nbytes == 800


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.iloc[:0], "no rows"),
        (lambda frame: frame.drop(columns="strike"), "no columns strike"),
        (lambda frame: frame.assign(moneyness="x"), "moneyness do not hold numbers"),
        (lambda frame: frame.assign(moneyness=np.inf), "infinite or beyond float32, in moneyness"),
        (lambda frame: frame.assign(moneyness=1e39), "beyond float32, in moneyness"),
        (lambda frame: frame.assign(strike=np.nan), "3 of 3 rows lack one of the keys"),
        (lambda frame: frame.assign(date=pd.NaT), "3 of 3 dates are missing"),
        (lambda frame: frame.assign(date=DAYS[1]), "2 rows repeat .* strike=100.0"),
    ],
)
def test_frame_that_cannot_be_used_is_refused(change: object, message: str) -> None:
    """Each message names the place and the remedy."""
    with pytest.raises(ValueError, match=message):
        build(change(make_contract([0, 1, 2])), 3)  # type: ignore[operator]


def test_arguments_that_mean_nothing_are_refused() -> None:
    """No features, no keys, no steps, a date outside the calendar."""
    frame = make_contract([0, 1, 2])
    with pytest.raises(ValueError, match="No features"):
        build_sequences(frame, KEYS, "date", [], 3)
    with pytest.raises(ValueError, match="No keys"):
        build_sequences(frame, [], "date", FEATURES, 3)
    with pytest.raises(ValueError, match="length is 0"):
        build(frame, 0)
    with pytest.raises(ValueError, match=r"1 of 3 dates are no sessions \(2024-01-04\)"):
        build(frame, 3, sessions=DAYS[:2])


@pytest.mark.parametrize(
    ("rows", "target", "message"),
    [
        ([], [], "no rows"),
        ([1, 2], [0.5], r"shape \(1,\): give \(2,\)"),
        ([1, 3], [0.5, 0.5], "from 1 to 3 do not lie in a frame of 3 rows"),
        ([-1, 1], [0.5, 0.5], "from -1 to 1"),
        ([1, 2], [0.5, np.nan], "1 of 2 labels are not finite"),
        ([0, 1], [0.5, 0.5], "1 of 2 rows have no complete session"),
    ],
)
def test_sample_that_cannot_be_learnt_from_is_refused(
    rows: list[int], target: list[float], message: str
) -> None:
    """Row 0 has no features."""
    index = build(make_contract([0, 1, 2], moneyness=[np.nan, 0.1, 0.2]), 3)
    with pytest.raises(ValueError, match=message):
        SequenceSample(index, np.array(rows, int), np.array(target))


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=40),
    st.integers(1, 5),
    st.integers(0, 4),
    st.integers(0, 3),
)
def test_validation_is_later_and_purged(
    days: list[int], validation_sessions: int, horizon_days: int, embargo_days: int
) -> None:
    """The last sessions; every label of training is known before the first of their decisions."""
    sessions = sorted(set(days))
    gap = horizon_days + embargo_days
    dates = pd.to_datetime("2024-01-01") + pd.to_timedelta(days, unit="D")
    if len(sessions) <= validation_sessions + gap:
        with pytest.raises(ValueError, match="leave none to train on"):
            cut_validation(dates, validation_sessions, horizon_days, embargo_days)
        return
    train, validation = cut_validation(dates, validation_sessions, horizon_days, embargo_days)
    numbers = np.array([sessions.index(day) for day in days])
    assert set(numbers[validation]) == set(range(len(sessions))[-validation_sessions:])
    assert set(numbers[train]) == set(range(len(sessions) - validation_sessions - gap))


def test_validation_refuses_counts_that_are_too_small() -> None:
    """No validation at all is not a validation of no sessions."""
    with pytest.raises(ValueError, match="validation_sessions is 0"):
        cut_validation(DAYS, 0, 1)
    with pytest.raises(ValueError, match="horizon_days is -1"):
        cut_validation(DAYS, 1, -1)


@pytest.mark.skipif(not CHAINS.is_file(), reason="needs the recorded chains of SPX options")
def test_histories_of_recorded_chains() -> None:
    """A stale holiday is refused by the calendar, and sessions that were lost stay steps."""
    holiday, lost = pd.Timestamp("2019-05-27"), pd.to_datetime(["2019-05-10", "2019-05-17"])
    columns = ["optionroot", "quotedate", "bid", "ask"]
    chains = pd.read_parquet(CHAINS, columns=columns).rename(columns={"optionroot": "contract"})
    chains["date"] = pd.to_datetime(chains["quotedate"])
    calendar = pd.bdate_range("2019-04-25", "2019-05-31").drop(holiday)
    with pytest.raises(ValueError, match=r"1 of 25 dates are no sessions \(2019-05-27\)"):
        build_sequences(chains, ["contract"], "date", ["bid", "ask"], 20, calendar)
    quotes = chains[chains["date"] != holiday].reset_index(drop=True)
    index = build_sequences(quotes, ["contract"], "date", ["bid", "ask"], 20, calendar)

    last = np.flatnonzero(quotes["date"] == calendar[-1])
    _, mask = index.gather(last)
    is_lost = calendar[-20:].isin(lost)
    assert not mask[:, is_lost].any()
    assert mask.sum(axis=1).max() == 20 - is_lost.sum() == 18
    rng = np.random.default_rng(1)
    for row in rng.choice(last, 20, replace=False):
        own = quotes[quotes["contract"] == quotes.loc[row, "contract"]]
        own = own[own["date"] >= calendar[-20]].sort_values("date")
        steps = index.positions[row]
        assert_array_equal(steps[steps >= 0], own.index)
