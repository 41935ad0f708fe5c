"""Chains of every layout become one table, whose keys and times can be counted with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemark.domain import optionsdx_layout
from tidemark.domain.cboe_layout import convert_cboe
from tidemark.domain.chain_keys import number_keys, pair_calls_and_puts
from tidemark.domain.chain_layouts import convert_canonical
from tidemark.domain.chain_rows import find_runs, is_one_text, take_rows
from tidemark.domain.chains import (
    COLUMNS,
    KEY,
    Terms,
    build_chain,
    measure_time_years,
    require_columns,
)
from tidemark.domain.optionsdx_layout import convert_optionsdx, read_sizes
from tidemark.domain.yahoo_layout import convert_yahoo, convert_yahoo_answer

SPX = {"SPX": Terms("am", "european"), "SPXW": Terms("pm", "european")}


def _chain(**columns: object) -> pd.DataFrame:
    facts: dict[str, object] = {
        "quote_date": pd.to_datetime(["2019-05-16", "2019-05-16"]),
        "underlying": "SPX",
        "root": "SPXW",
        "settlement": "pm",
        "exercise_style": "european",
        "underlying_price": 2876.0,
        "expiration": pd.to_datetime(["2019-05-17", "2019-05-17"]),
        "option_type": pd.Series(["call", "put"]),
        "strike": 2800.0,
        "bid": 76.0,
        "ask": 77.0,
    }
    return build_chain(facts | columns, 2)


def test_build_chain_gives_every_column_in_its_type() -> None:
    """What is absent is NaN, vendor columns come last."""
    chain = _chain(vendor_iv=np.array([0.1, -0.2]))

    assert list(chain) == [*COLUMNS, "vendor_iv"]
    assert {name: str(kind) for name, kind in chain.dtypes.items()} == {
        **COLUMNS,
        "vendor_iv": "float64",
    }
    assert chain["open_interest"].isna().all()


def test_build_chain_refuses_what_is_no_part_of_a_chain() -> None:
    """A vendor's column without its prefix could be taken for ours."""
    with pytest.raises(ValueError, match="Column iv is no part of a chain"):
        _chain(iv=0.1)


def test_require_columns_names_the_nearest() -> None:
    """A column that was renamed is found again by a person who reads the message."""
    with pytest.raises(ValueError, match=r"lacks column 'underlying_price' \(is it 'underlying_pr"):
        require_columns(["bid", "underlying_pric"], ["bid", "underlying_price"], "'x.csv'")


@pytest.mark.parametrize(
    ("settlement", "quote", "expiration", "days"),
    [
        ("pm", "2019-05-16", "2019-05-17", 1.0),
        ("am", "2019-05-16", "2019-05-17", 17.5 / 24),  # 16:00 to 09:30 of the next day
        ("pm", "2019-05-17", "2019-05-17", 0.0),
        ("am", "2019-05-17", "2019-05-17", -6.5 / 24),
        ("pm", "2019-03-08", "2020-03-08", 366.0),
    ],
)
def test_time_ends_at_settlement(settlement: str, quote: str, expiration: str, days: float) -> None:
    """Opening and close differ by six and a half hours; a year has 365 days."""
    chain = _chain(
        settlement=settlement,
        quote_date=pd.to_datetime([quote] * 2),
        expiration=pd.to_datetime([expiration] * 2),
    )

    np.testing.assert_allclose(measure_time_years(chain), days / 365, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_keys_sort_and_agree_as_their_columns_do(data: st.DataObject) -> None:
    """Two rows have one number exactly if they have one key, and numbers sort as keys sort."""
    n = data.draw(st.integers(1, 12))
    days = pd.date_range("2020-01-30", periods=3).to_numpy()

    def pick(values: list[object]) -> list[object]:
        return [data.draw(st.sampled_from(values)) for _ in range(n)]

    chain = pd.DataFrame(
        {
            "quote_date": pd.Series(pick(list(days))).astype("datetime64[us]"),
            "root": pd.Series(pick(["SPX", "SPXW", "AAPL"]), dtype="str"),
            "expiration": pd.Series(pick(list(days + np.timedelta64(9, "D")))).astype(
                "datetime64[us]"
            ),
            "option_type": pd.Series(pick(["call", "put"]), dtype="str"),
            "strike": pd.Series(pick([0.5, 100.0, 100.005, 3000.0]), dtype="float64"),
        }
    )

    quote = number_keys(chain).quote

    ranks = chain.groupby(list(KEY), sort=True).ngroup().to_numpy()
    assert np.array_equal(quote[:, None] < quote, ranks[:, None] < ranks)
    assert np.array_equal(quote[:, None] == quote, ranks[:, None] == ranks)


def test_number_keys_refuses_other_types() -> None:
    """C and P are for a reader to translate."""
    with pytest.raises(ValueError, match="found C"):
        number_keys(_chain(option_type=pd.Series(["C", "call"])))


def test_number_keys_refuses_a_table_without_keys() -> None:
    """The message names what is missing."""
    with pytest.raises(ValueError, match="lacks column 'strike'"):
        number_keys(_chain().drop(columns="strike"))


def test_pairs_share_everything_but_their_type() -> None:
    """A call and a put of two roots are no pair, though all else agrees."""
    calls = _chain(option_type="call", root=pd.Series(["SPX", "SPXW"]))
    puts = _chain(option_type="put", root=pd.Series(["SPXW", "OEX"]))
    both = pd.concat([calls, puts], ignore_index=True)

    found = pair_calls_and_puts(number_keys(both))

    assert [one.tolist() for one in found] == [[1], [2]]


def _optionsdx() -> pd.DataFrame:
    row = dict.fromkeys(optionsdx_layout.COLUMNS, 0.0) | {
        "QUOTE_DATE": pd.Timestamp("2016-04-01"),
        "EXPIRE_DATE": pd.Timestamp("2016-04-08"),
        "UNDERLYING_LAST": 109.99,
    }
    rows = [
        {**row, "STRIKE": 60.0, "C_BID": 49.79, "P_ASK": 0.02, "C_SIZE": "59 x 58"},
        {**row, "STRIKE": 65.0, "C_BID": 44.79, "P_ASK": 0.01, "C_SIZE": "1 x 2"},
        {**row, "STRIKE": 60.0, "EXPIRE_DATE": pd.Timestamp("2016-04-15"), "C_SIZE": " "},
    ]
    return pd.DataFrame(rows).assign(P_SIZE="0 x 113", P_IV=np.nan)


def test_optionsdx_becomes_sorted_calls_and_puts() -> None:
    """Each row becomes two; calls of one expiration stand before its puts."""
    chain = convert_optionsdx(_optionsdx(), "AAPL", "AAPL", Terms("pm", "american"))

    assert chain["option_type"].tolist() == ["call", "call", "put", "put", "call", "put"]
    assert chain["strike"].tolist() == [60.0, 65.0, 60.0, 65.0, 60.0, 60.0]
    assert chain["bid"].tolist() == [49.79, 44.79, 0.0, 0.0, 0.0, 0.0]
    assert chain["ask"].tolist() == [0.0, 0.0, 0.02, 0.01, 0.0, 0.0]
    assert chain["vendor_iv"].isna().tolist() == [False, False, True, True, False, True]
    assert chain["vendor_bid_size"].tolist()[:4] == [59.0, 1.0, 0.0, 0.0]
    assert chain["vendor_ask_size"].tolist()[:4] == [58.0, 2.0, 113.0, 113.0]
    assert np.isnan(chain["vendor_ask_size"].iloc[4])
    quote = number_keys(chain).quote
    assert np.all(quote[1:] > quote[:-1])


def test_sizes_that_are_none_are_refused() -> None:
    """A renamed or shifted column shows itself here."""
    with pytest.raises(ValueError, match=r"1 sizes are no 'BID x ASK': 0\.25"):
        read_sizes(pd.Series(["1 x 2", "0.25", None]))


def test_layouts_refuse_a_missing_column() -> None:
    """The message names the column that may have become of it."""
    with pytest.raises(ValueError, match=r"'P_IV' \(is it 'P_IVOL'\?\)"):
        convert_optionsdx(
            _optionsdx().rename(columns={"P_IV": "P_IVOL"}), "A", "A", Terms("pm", "american")
        )
    with pytest.raises(ValueError, match="lacks column 'ask'"):
        convert_canonical(_chain().drop(columns="ask"), "'x.parquet'")


def _cboe(symbols: list[str]) -> pd.DataFrame:
    n = len(symbols)
    return pd.DataFrame(
        {
            "underlying": ["SPX"] * n,
            "underlying_last": [2900.0] * n,
            "optionroot": symbols,
            "type": ["put"] * n,
            "expiration": pd.to_datetime(["2019-05-17"] * n),
            "quotedate": pd.to_datetime(["2019-05-16"] * n),
            **{name: [1.0] * n for name in ("strike", "last", "bid", "ask", "volume")},
            **{name: [1.0] * n for name in ("openinterest", "impliedvol", "delta", "gamma")},
        }
    )


def test_cboe_takes_the_root_out_of_the_symbol() -> None:
    """SPX is settled at the opening, SPXW at the close."""
    chain = convert_cboe(_cboe(["SPX190517P02900000", "SPXW190517P02900000"]), SPX)

    assert chain["root"].tolist() == ["SPX", "SPXW"]
    assert chain["settlement"].tolist() == ["am", "pm"]
    assert set(chain["exercise_style"]) == {"european"}


def test_cboe_refuses_a_root_without_terms() -> None:
    """Nobody guesses how an unknown option is settled."""
    with pytest.raises(ValueError, match="root XEO are not known; those of SPX, SPXW are"):
        convert_cboe(_cboe(["XEO190517P02900000"]), SPX)


def test_yahoo_refuses_other_types() -> None:
    """Neither call nor put."""
    names = ["spot", "strike", "bid", "ask", "lastPrice", "volume"]
    table = pd.DataFrame(
        {
            "ticker": ["SPY"],
            "contractSymbol": ["SPY260813C00665000"],
            "expiry": ["2026-08-13"],
            "session": ["2026-08-12"],
            "type": ["X"],
            **{name: [1.0] for name in (*names, "openInterest", "impliedVolatility")},
        }
    )

    chain = convert_yahoo(table.assign(type="C"), {})

    assert chain.loc[0, ["root", "option_type", "settlement"]].tolist() == ["SPY", "call", "pm"]
    assert chain.loc[0, "quote_date"] == pd.Timestamp("2026-08-12")
    with pytest.raises(ValueError, match="must be call or put; found X"):
        convert_yahoo(table, {})


@pytest.mark.parametrize(
    ("moment", "zone", "session"),
    [
        (1740171602, "America/New_York", "2025-02-21"),  # asked for on Monday before the opening
        (1740350000, "Asia/Tokyo", "2025-02-24"),  # Sunday in Greenwich
    ],
)
def test_yahoo_answers_belong_to_the_last_session(moment: int, zone: str, session: str) -> None:
    """The date is that of the underlying's last regular trade at its exchange."""
    contract = {"contractSymbol": "AAPL250228C00110000", "strike": 110, "expiration": 1740700800}
    quote = {
        "regularMarketTime": moment,
        "exchangeTimezoneName": zone,
        "regularMarketPrice": 245.55,
    }
    listed = {"calls": [contract], "puts": []}

    chain = convert_yahoo_answer({"quote": quote, "options": [listed]}, "aapl", {})

    assert chain.loc[0, "quote_date"] == pd.Timestamp(session)
    assert chain.loc[0, "expiration"] == pd.Timestamp("2025-02-28")
    assert chain.loc[0, ["underlying", "root"]].tolist() == ["aapl", "AAPL"]
    assert chain[["bid", "ask", "volume"]].isna().all(axis=None)


def test_terms_are_of_known_words() -> None:
    """A typing error in the catalog is found when it is read."""
    with pytest.raises(ValueError, match="'noon'"):
        Terms("noon", "european")  # type: ignore[arg-type]


@pytest.mark.parametrize("root", [["A"] * 5, ["A", "B", "A", "A", "A"], ["A", None, "A", "A", "A"]])
@pytest.mark.parametrize("rows", [[], [3], [0, 1, 2, 4], [4, 3, 2, 1, 0]])
def test_rows_are_chosen_as_pandas_chooses_them(root: list[str | None], rows: list[int]) -> None:
    """Whether texts differ or not, and one is missing or not."""
    frame = pd.DataFrame(
        {
            "root": pd.Series(root, dtype="str"),
            "quote_date": pd.date_range("2019-05-16", periods=5, unit="us"),
            "bid": [1.0, np.nan, 3.0, 4.0, 5.0],
            "is_last": [False, False, False, False, True],
        }
    )

    chosen = take_rows(frame, np.array(rows, dtype="int64"))

    pd.testing.assert_frame_equal(chosen, frame.iloc[rows].reset_index(drop=True))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), max_size=12))
def test_runs_are_of_one_value_and_spread_to_their_rows(pairs: list[tuple[int, int]]) -> None:
    """Spreading the first value of each run gives the column; neighbouring runs differ."""
    columns = np.array(pairs, dtype="int64").reshape(-1, 2).T

    runs = find_runs(*columns)

    for values in columns:
        np.testing.assert_array_equal(runs.spread(values[runs.first]), values)
    first = columns[:, runs.first]
    assert (first[:, 1:] != first[:, :-1]).any(axis=0).all()


def test_one_text_is_neither_missing_nor_none() -> None:
    """A column without a row, or with a blank, has not one text."""
    for texts, expected in ((["A", "A"], True), (["A", "B"], False), (["A", None], False)):
        assert is_one_text(pd.Series(texts, dtype="str")) is expected
    assert not is_one_text(pd.Series([], dtype="str"))
    assert not is_one_text(pd.Series([None], dtype="str"))
