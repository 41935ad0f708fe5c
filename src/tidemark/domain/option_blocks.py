"""Arguments of option formulas: legs, and work in blocks that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

Block = tuple[np.ndarray, ...]

BLOCK_SIZE = 8192


@dataclass(frozen=True, eq=False)
class Legs:
    """The two sides of an option's exchange, both discounted to today.

    Attributes
    ----------
    asset : ndarray
        Value today of the underlying delivered at expiry: ``spot * exp((carry - rate) * time)``.
    cash : ndarray
        Value today of the strike paid at expiry: ``strike * exp(-rate * time)``.
    """

    asset: np.ndarray
    cash: np.ndarray


def discount_legs(
    spot: np.ndarray,
    strike: np.ndarray,
    time_years: np.ndarray,
    rate_continuous: np.ndarray,
    carry_continuous: np.ndarray,
) -> Legs:
    """Discount both sides of the exchange to today."""
    asset = spot * np.exp((carry_continuous - rate_continuous) * time_years)
    return Legs(asset, strike * np.exp(-rate_continuous * time_years))


def check_option_type(is_call: ArrayLike) -> np.ndarray:
    """Take the flags of calls as they are; refuse what is not boolean.

    A text would be true whatever it says, and a vendor's 0 and 1 do not say which is a call.

    Raises
    ------
    ValueError
        If `is_call` holds anything but booleans.
    """
    flags = np.asarray(is_call)
    if flags.dtype != np.bool_:
        raise ValueError(
            f"is_call is of dtype {flags.dtype}: give booleans, True for a call, such as "
            "option_type == 'call'"
        )
    return flags


def evaluate_blocks(
    formula: Callable[..., Block],
    numbers: Sequence[ArrayLike],
    is_call: ArrayLike,
    dtypes: Sequence[type],
) -> Block:
    """Evaluate an elementwise formula block by block over inputs that broadcast.

    Parameters
    ----------
    formula : callable
        Takes one flat array for each input, the flags last; returns one for each output.
    numbers : sequence of array_like
        Are read as floats.
    is_call : array_like of bool
        See `check_option_type`.
    dtypes : sequence of type
        Of the outputs.

    Returns
    -------
    tuple of ndarray
        New arrays of the inputs' common shape.
    """
    arrays = [*map(np.asarray, numbers), check_option_type(is_call)]
    n_inputs = len(arrays)
    walk = np.nditer(  # type: ignore[call-overload] # its stubs know flags as literals only
        [*arrays, *[None] * len(dtypes)],
        flags=("external_loop", "buffered", "zerosize_ok"),
        op_flags=[("readonly",)] * n_inputs + [("writeonly", "allocate")] * len(dtypes),
        op_dtypes=[*[np.float64] * len(numbers), np.bool_, *dtypes],
        order="C",
        casting="same_kind",
        buffersize=BLOCK_SIZE,
    )
    with walk, np.errstate(all="ignore"):  # what is no number is settled by the formulas
        for operands in walk:
            for place, values in zip(
                operands[n_inputs:], formula(*operands[:n_inputs]), strict=True
            ):
                place[...] = values
        return tuple(walk.operands[n_inputs:])
