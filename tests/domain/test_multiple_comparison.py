"""Tests of many forecasts agree with other libraries, keep their size and find the best ones."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import MCS, SPA, StationaryBootstrap
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

from tidemark.domain.comparison import clark_west
from tidemark.domain.multiple_comparison import (
    PredictiveAbility,
    confidence_set,
    superior_predictive_ability,
)

NONE_LEFT = PredictiveAbility(1.0, 1.0, 1.0, "")
LONG = np.linspace(0.0, 1.0, 12)
GAP = np.where(np.arange(12) == 3, math.nan, LONG)
ENDLESS = np.where(np.arange(12) > 9, math.inf, LONG)


def losses_of(seed: int, n_dates: int, noises: list[float]) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw squared errors of forecasts with some noise each, and those of a forecast of zero."""
    rng = np.random.default_rng(seed)
    target = rng.standard_normal(n_dates)
    forecasts = np.array(noises) * rng.standard_normal((n_dates, len(noises)))
    days = pd.bdate_range("2018-01-02", periods=n_dates, name="date")
    cells = [f"cell_{number:02d}" for number in range(len(noises))]
    losses = pd.DataFrame((target[:, None] - forecasts) ** 2, index=days, columns=cells)
    return losses, target**2


def spa(losses: pd.DataFrame, benchmark: np.ndarray, seed: int = 1) -> PredictiveAbility:
    """Test with few replicates."""
    return superior_predictive_ability(losses, benchmark, 3.0, 200, seed)


def mcs(losses: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    """Find the 90 % set with few replicates."""
    return confidence_set(losses, 0.1, 3.0, 200, seed)


# Superior predictive ability


def hansen(
    difference: np.ndarray, block_length: float, n_replicates: int, seed: int
) -> list[float]:
    """Compute Hansen's three p-values by the paper's formulae, replicate by replicate."""
    n, q = len(difference), 1.0 / block_length
    mean = difference.mean(axis=0)
    centred = difference - mean
    omega_sq = (centred**2).mean(axis=0)
    for i in range(1, n):
        kernel = (n - i) / n * (1.0 - q) ** i + i / n * (1.0 - q) ** (n - i)
        omega_sq += 2.0 * kernel * (centred[:-i] * centred[i:]).sum(axis=0) / n
    omega = np.sqrt(omega_sq)
    statistic = max(math.sqrt(n) * mean / omega)
    close = math.sqrt(n) * mean / omega >= -math.sqrt(2.0 * math.log(math.log(n)))
    centres = [np.maximum(mean, 0.0), np.where(close, mean, 0.0), mean]
    above = np.zeros(3)
    dates = StationaryBootstrap(block_length, np.arange(n), seed=seed)
    for (drawn,), _ in dates.bootstrap(n_replicates):
        means = difference[drawn].mean(axis=0)
        simulated = [max(math.sqrt(n) * (means - centre) / omega) for centre in centres]
        above += np.array(simulated) > statistic
    return list(above / n_replicates)


@pytest.mark.parametrize("block_length", [1.0, 2.5, 10.0])
@pytest.mark.parametrize("noises", [[0.3, 0.1, 1.0], [2.0, 2.0], [0.0, 0.1, 3.0, 0.2]])
def test_spa_agrees_with_the_formulae_of_the_paper(
    block_length: float, noises: list[float]
) -> None:
    """Another implementation, replicate by replicate, gives the same three p-values."""
    losses, benchmark = losses_of(6, 60, noises)
    benchmark = benchmark + 0.05 * np.random.default_rng(6).standard_normal(60)
    found = superior_predictive_ability(losses, benchmark, block_length, 150, 8)
    difference = benchmark[:, None] - losses.to_numpy()
    assert_allclose(astuple(found)[:3], hansen(difference, block_length, 150, 8), rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_spa_single_cell_agrees_with_arch(seed: int) -> None:
    """Of one cell the spread is a common factor, which arch's own statistic need not divide by."""
    losses, benchmark = losses_of(seed, 80, [0.4])
    oracle = SPA(benchmark, losses.to_numpy(), block_size=4, reps=300, seed=seed)
    oracle.compute()
    found = superior_predictive_ability(losses, benchmark, 4.0, 300, seed)
    assert astuple(found) == (*oracle.pvalues, "cell_00")


@pytest.mark.parametrize("factor", [1e-3, 50.0, 1e4])
def test_spa_is_studentised(factor: float) -> None:
    """What one cell gains and loses is multiplied: no p-value moves."""
    losses, benchmark = losses_of(7, 100, [0.4, 0.3, 0.5])
    louder = losses.copy()
    louder["cell_01"] = benchmark - factor * (benchmark - losses["cell_01"])
    assert spa(louder, benchmark) == spa(losses, benchmark)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 9999),
    n_dates=st.integers(10, 40),
    noises=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=4),
    block_length=st.floats(1.0, 9.5),
)
def test_spa_p_values_ascend(
    seed: int, n_dates: int, noises: list[float], block_length: float
) -> None:
    """Lower, consistent and upper come in this order, between 0 and 1."""
    losses, benchmark = losses_of(seed, n_dates, noises)
    found = superior_predictive_ability(losses, benchmark, block_length, 100, seed)
    assert 0.0 <= found.p_lower <= found.p_consistent <= found.p_upper <= 1.0


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(4)), seed=st.integers(0, 99))
def test_spa_and_confidence_set_order_of_cells_does_not_matter(order: list[int], seed: int) -> None:
    """Permuted columns give bit-identical answers."""
    losses, benchmark = losses_of(9, 40, [0.5, 0.3, 0.3, 0.9])
    permuted = losses.iloc[:, order]
    assert spa(permuted, benchmark, seed) == spa(losses, benchmark, seed)
    assert_frame_equal(mcs(permuted, seed), mcs(losses, seed), check_exact=True)


def test_spa_and_confidence_set_same_seed_gives_same_numbers_another_seed_others() -> None:
    """The seed is the only source of randomness."""
    losses, benchmark = losses_of(10, 60, [0.4, 0.5, 0.6])
    first = superior_predictive_ability(losses, benchmark, 3.0, 500, 7)
    assert superior_predictive_ability(losses, benchmark, 3.0, 500, 7) == first
    assert superior_predictive_ability(losses, benchmark, 3.0, 500, 8) != first
    table = confidence_set(losses, 0.1, 3.0, 500, 7)
    assert_frame_equal(confidence_set(losses, 0.1, 3.0, 500, 7), table, check_exact=True)
    assert not confidence_set(losses, 0.1, 3.0, 500, 8).equals(table)


@pytest.mark.parametrize("constant", [0.0, 0.25, -0.25])
def test_spa_cells_a_constant_apart_from_the_benchmark_are_left_out(constant: float) -> None:
    """Identical or apart by a constant, they alter no answer; alone they have p-values of 1."""
    losses, benchmark = losses_of(11, 60, [0.4, 0.5])
    shifted = losses.assign(aaa=benchmark + constant, zzz=benchmark * (1.0 + 1e-15) + constant)
    assert spa(shifted, benchmark) == spa(losses, benchmark)
    assert spa(shifted[["aaa", "zzz"]], benchmark) == NONE_LEFT


def test_spa_losses_of_zero_have_p_values_of_one() -> None:
    """Nothing is better than nothing."""
    losses = pd.DataFrame(0.0, index=range(10), columns=["a", "b"])
    assert spa(losses, np.zeros(10)) == NONE_LEFT


def test_spa_best_is_the_cell_with_the_largest_statistic() -> None:
    """A small sure gain comes before a large uncertain one; of equals, the first by name."""
    losses, benchmark = losses_of(12, 100, [0.0, 0.0, 0.0])
    rng = np.random.default_rng(12)
    sure = benchmark - 0.1 + 0.05 * rng.standard_normal(100)
    wild = benchmark - 0.5 + 5.0 * rng.standard_normal(100)
    found = spa(losses.assign(cell_01=sure, cell_00=wild, cell_02=sure), benchmark)
    assert found.best == "cell_01"
    assert found.p_upper < 0.01


def test_spa_hopeless_cells_are_no_evidence() -> None:
    """Where every cell is much worse, no p-value is small."""
    losses, benchmark = losses_of(13, 100, [3.0, 4.0])
    found = spa(losses, benchmark)
    assert found.p_lower > 0.3
    assert found.p_upper > 0.99


@pytest.fixture(scope="module")
def null_p_values() -> np.ndarray:
    """Compute the p-values of 200 samples in which three cells are as good as the benchmark."""
    found = []
    for seed in range(200):
        squares = np.random.default_rng(seed).standard_normal((80, 4)) ** 2
        losses = pd.DataFrame(squares[:, 1:], columns=list("abc"))
        test = superior_predictive_ability(losses, squares[:, 0], 2.0, 100, seed)
        found.append(astuple(test)[:3])
    return np.array(found)


@pytest.mark.parametrize("level", [0.05, 0.1, 0.25])
def test_spa_keeps_its_size(null_p_values: np.ndarray, level: float) -> None:
    """True nulls are rejected as often as the level says, within three Monte-Carlo errors."""
    error = math.sqrt(level * (1.0 - level) / len(null_p_values))
    shares = (null_p_values < level).mean(axis=0)
    assert (abs(shares - level) < 3.0 * error).all()


def test_spa_finds_a_better_cell() -> None:
    """Of 40 samples with one clearly better cell among five, nearly all reject."""
    rejected = 0
    for seed in range(40):
        losses, benchmark = losses_of(seed, 150, [1.0] * 5)
        better = benchmark - 0.3 + np.random.default_rng(seed).standard_normal(150)
        test = spa(losses.assign(cell_03=better), benchmark, seed)
        rejected += test.p_consistent < 0.05 and test.best == "cell_03"
    assert rejected >= 36


def test_spa_poor_cells_raise_the_upper_and_hardly_the_consistent_p_value() -> None:
    """Hansen's point: White's p-value can be driven up by adding hopeless cells."""
    rng = np.random.default_rng(18)
    benchmark = rng.standard_normal(250) ** 2
    good = benchmark - 0.12 + 0.8 * rng.standard_normal(250)
    few = pd.DataFrame({"good": good})
    noise = rng.standard_normal((250, 30))
    poor = {f"poor_{i:02d}": benchmark + 2.0 + 3.0 * noise[:, i] for i in range(30)}
    alone = superior_predictive_ability(few, benchmark, 2.0, 1000, 3)
    crowd = superior_predictive_ability(few.assign(**poor), benchmark, 2.0, 1000, 3)
    assert alone.p_upper == alone.p_consistent < 0.05
    assert crowd.p_upper > 0.15
    assert abs(crowd.p_consistent - alone.p_consistent) < 0.01
    assert crowd.best == "good"


def test_spa_benchmark_as_series_is_the_same_and_other_dates_are_refused() -> None:
    """Dates are compared where both sides have them."""
    losses, benchmark = losses_of(15, 30, [0.4, 0.5])
    series = pd.Series(benchmark, index=losses.index)
    assert spa(losses, series) == spa(losses, benchmark)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not of the dates of losses: reindex"):
        superior_predictive_ability(losses, series.iloc[::-1], 3.0, 200, 1)
    with pytest.raises(ValueError, match=r"Shapes are .*\(29,\).*\(30,\)"):
        spa(losses, benchmark[1:])
    with pytest.raises(ValueError, match="benchmark_loss is missing or infinite on 1 dates"):
        spa(losses, np.where(np.arange(30) == 4, math.nan, benchmark))


# Model confidence set


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 16, 17])
def test_confidence_set_agrees_with_arch(seed: int) -> None:
    """P-values are arch's; with seeds 3, 16 and 17 some are those of a cell that left before."""
    losses, _ = losses_of(seed, 80, [0.1, 0.5, 0.9, 0.3])
    oracle = MCS(losses, 0.25, reps=300, block_size=4, method="R", seed=seed)
    oracle.compute()
    found = confidence_set(losses, 0.25, 4.0, 300, seed)
    assert found["p_value"].to_dict() == oracle.pvalues["Pvalue"].to_dict()
    assert list(found.index[found["in_confidence_set"]]) == oracle.included


def test_confidence_set_table_has_one_row_for_each_cell_in_order_of_names() -> None:
    """Index ``cell``, a p-value and a flag; the best cell has a p-value of 1."""
    losses, _ = losses_of(16, 50, [0.1, 0.9])
    table = mcs(losses[["cell_01", "cell_00"]])
    assert (table.index.name, list(table.index)) == ("cell", ["cell_00", "cell_01"])
    assert table.dtypes.astype(str).to_dict() == {"p_value": "float64", "in_confidence_set": "bool"}
    assert table["p_value"].max() == 1.0
    assert_array_equal(table["in_confidence_set"], table["p_value"] > 0.1)


def test_confidence_set_one_cell_is_in_the_set() -> None:
    """The only cell is the best one."""
    losses, _ = losses_of(17, 50, [0.5])
    table = mcs(losses)
    assert table.to_dict("index") == {"cell_00": {"p_value": 1.0, "in_confidence_set": True}}


def test_confidence_set_identical_cells_share_one_answer_and_alter_no_other() -> None:
    """Copies, exact or to the last bit, of the best, a middling and the worst cell."""
    losses, _ = losses_of(18, 80, [0.2, 0.5, 1.0])
    copies = {f"copy_{i}": losses[f"cell_0{i}"] * (1.0 + i * 1e-15) for i in range(3)}
    table = mcs(losses.assign(**copies))
    alone = mcs(losses)
    for i in range(3):
        assert_array_equal(table.loc[f"copy_{i}"], alone.loc[f"cell_0{i}"])
        assert_array_equal(table.loc[f"cell_0{i}"], alone.loc[f"cell_0{i}"])


def test_confidence_set_only_identical_cells_are_all_in_the_set() -> None:
    """None is worse than another, and even losses of zero can be the same."""
    losses, _ = losses_of(19, 50, [0.5])
    for same in (losses["cell_00"], losses["cell_00"] * 0.0):
        table = mcs(pd.DataFrame({"a": same, "b": same, "c": same}))
        assert (table["p_value"] == 1.0).all()
        assert table["in_confidence_set"].all()


@pytest.mark.parametrize("name", ["a_first", "z_last"])
def test_confidence_set_cell_worse_by_a_constant_is_out(name: str) -> None:
    """Worse on every date by the same: there is no doubt, and nothing to divide by."""
    losses, _ = losses_of(20, 50, [0.4, 0.5])
    table = mcs(losses.assign(**{name: losses["cell_00"] + 1e-3}))
    assert table.loc[name].to_list() == [0.0, False]
    assert_frame_equal(table.drop(name), mcs(losses))


def test_confidence_set_a_diverged_cell_does_not_blur_the_others() -> None:
    """What counts as rounding is measured pair by pair: losses of 1e20 make no others equal."""
    losses, _ = losses_of(21, 80, [0.2, 0.5, 1.0])
    wild = 1e20 * np.random.default_rng(21).random(80)
    table = mcs(losses.assign(wild=wild))
    assert table.loc["wild"].to_list() == [0.0, False]
    assert_frame_equal(table.drop("wild"), mcs(losses))


@pytest.mark.parametrize("n_cells", [2, 3, 4])
def test_confidence_set_exact_ties_are_equals(n_cells: int) -> None:
    """Cells with the same losses on other dates have equal means: all stay, with high p-values."""
    losses = np.random.default_rng(22).integers(0, 16, 60) / 16.0
    tied = {f"cell_{i}": np.roll(losses, 7 * i) for i in range(n_cells)}
    assert len({values.mean() for values in tied.values()}) == 1
    table = mcs(pd.DataFrame(tied))
    assert (table["p_value"] > 0.9).all()
    worse = mcs(pd.DataFrame({**tied, "worse": losses[::-1] + 1.0}))
    assert worse.loc["worse"].to_list() == [0.0, False]
    assert (worse.drop("worse")["p_value"] > 0.9).all()


def test_confidence_set_a_clearly_worse_cell_leaves_and_equal_ones_stay() -> None:
    """Of 60 samples nearly all drop the worse cell and most keep all three equal ones."""
    dropped = kept = 0
    for seed in range(60):
        losses, _ = losses_of(seed, 150, [0.3, 0.3, 0.3, 1.5])
        inside = mcs(losses, seed)["in_confidence_set"]
        dropped += not inside["cell_03"]
        kept += inside[["cell_00", "cell_01", "cell_02"]].all()
    assert dropped >= 59
    assert kept >= 46  # of 54 expected; three Monte-Carlo errors are 7


def test_confidence_set_p_values_do_not_depend_on_its_size_and_sets_are_nested() -> None:
    """The size only cuts: a larger one leaves fewer cells."""
    losses, _ = losses_of(23, 100, [0.2, 0.4, 0.5, 0.6, 0.8])
    wide, narrow = (confidence_set(losses, size, 3.0, 300, 1) for size in (0.01, 0.5))
    assert_array_equal(wide["p_value"], narrow["p_value"])
    assert (narrow["in_confidence_set"] <= wide["in_confidence_set"]).all()
    assert narrow["in_confidence_set"].sum() < wide["in_confidence_set"].sum()
    between = wide["p_value"][wide["p_value"].between(0.01, 0.99)].iloc[0]
    cut = confidence_set(losses, between, 3.0, 300, 1)
    assert_array_equal(cut["in_confidence_set"], wide["p_value"] > between)


def test_confidence_set_units_and_shared_misses_do_not_matter() -> None:
    """Losses in another unit, or plus what all cells missed on a date, give the same set."""
    losses, target = losses_of(24, 80, [0.2, 0.4, 0.9])
    table = mcs(losses)
    assert_frame_equal(mcs(losses * 2.0**-20), table)
    assert_frame_equal(mcs(losses.add(target, axis=0)), table)


# Common to both


def table_of(n_dates: int = 12, **changes: object) -> pd.DataFrame:
    """Make a table of losses of two cells, with some changes."""
    losses, _ = losses_of(25, n_dates, [0.3, 0.6])
    return losses.assign(**changes)


@pytest.mark.parametrize(
    ("losses", "words", "message"),
    [
        (table_of(9), {}, "There are 9 dates: score at least 10"),
        (table_of(0), {}, "There are 0 dates: score at least 10"),
        (table_of(1), {}, "There are 1 dates: score at least 10"),
        (table_of()[[]], {}, "There are no cells to compare: give at least one column"),
        (table_of(cell_01=GAP), {}, "^cell_01 is missing or infinite on 1 dates"),
        (table_of(cell_01=ENDLESS), {}, "^cell_01 is missing or infinite on 2 dates"),
        (table_of()[["cell_00", "cell_00"]], {}, "Cell cell_00 has two columns of losses"),
        (table_of().iloc[::-1], {}, "Dates repeat or do not ascend: average"),
        (table_of().iloc[[0, *range(12)]], {}, "Dates repeat or do not ascend: average"),
        (table_of(), {"block_length": 0.5}, "block_length is 0.5: give at least 1"),
        (table_of(), {"block_length": 12.0}, "block_length is 12.0: .* less than 12"),
        (table_of(), {"block_length": math.nan}, "block_length is nan: give at least 1"),
        (table_of(), {"n_replicates": 99}, "n_replicates is 99: give at least 100"),
    ],
)
def test_spa_and_confidence_set_bad_input_is_refused_with_a_remedy(
    losses: pd.DataFrame, words: dict[str, float], message: str
) -> None:
    """What cannot be compared is not compared, by either test."""
    arguments = {"block_length": 2.0, "n_replicates": 100, "seed": 1, **words}
    with pytest.raises(ValueError, match=message):
        superior_predictive_ability(losses, np.ones(len(losses)), **arguments)
    with pytest.raises(ValueError, match=message):
        confidence_set(losses, 0.1, **arguments)


@pytest.mark.parametrize("size", [0.0, 1.0, -0.1, 10.0, math.nan])
def test_confidence_set_impossible_size_is_refused_with_a_remedy(size: float) -> None:
    """Ten percent is 0.1, not 10."""
    with pytest.raises(ValueError, match=r"give a value between 0 and 1, for example 0\.1"):
        confidence_set(table_of(), size, 2.0, 100, 1)


def test_comparisons_leave_their_inputs_unchanged() -> None:
    """Losses are only read."""
    losses, benchmark = losses_of(26, 30, [0.3, 0.6])
    losses = losses[["cell_01", "cell_00"]]
    before, benchmark_before = losses.copy(deep=True), benchmark.copy()
    mcs(losses)
    spa(losses, benchmark)
    clark_west(losses["cell_00"].to_numpy(), benchmark, benchmark)
    assert_frame_equal(losses, before)
    assert_array_equal(benchmark, benchmark_before)
