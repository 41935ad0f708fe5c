"""What the layouts of option chains share, and the table that is canonical already."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from tidemark.domain.chains import (
    COLUMNS,
    OPTIONAL_TEXTS,
    VENDOR_PREFIX,
    Terms,
    build_chain,
    pick_texts,
    require_columns,
)
from tidemark.errors import describe_examples

# What a symbol of the Options Clearing Corporation has after its root: date, type and strike.
AFTER_ROOT = 15
_TYPES = {"call": "call", "put": "put", "c": "call", "p": "put"}


def convert_canonical(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """Bring a table that is canonical already into the order and types of a chain.

    Raises
    ------
    ValueError
        If a column is missing, or a text is a blank.
    """
    require_columns(table.columns, COLUMNS, source)
    names = [str(name) for name in table if _is_known(str(name))]
    return build_chain({name: table[name] for name in names}, len(table))


def _is_known(name: str) -> bool:
    return name in COLUMNS or name in OPTIONAL_TEXTS or name.startswith(VENDOR_PREFIX)


def find_terms(
    root: pd.Series, terms: Mapping[str, Terms], default: Terms | None
) -> dict[str, pd.Series]:
    """Find the terms of each row's root.

    Parameters
    ----------
    root : Series of str
    terms : mapping of str to Terms
        Those of each root.
    default : Terms or None
        Those of a root that is not among them.

    Returns
    -------
    dict of str to Series
        ``settlement`` and ``exercise_style``.

    Raises
    ------
    ValueError
        If a root is not among them, and there is no default.
    """
    codes, roots = pd.factorize(root)
    unknown = [name for name in roots if name not in terms]
    if unknown and default is None:
        raise ValueError(
            f"The terms of root {describe_examples(unknown)} are not known; those of "
            f"{describe_examples(terms)} are. Add settlement and exercise_style to 'terms' in the "
            "catalog."
        )
    known = {**terms, **({name: default for name in unknown} if default else {})}
    found = [known[name] for name in roots]
    return {
        "settlement": pick_texts([one.settlement for one in found], codes),
        "exercise_style": pick_texts([one.exercise_style for one in found], codes),
    }


def read_types(texts: pd.Series) -> pd.Series:
    """Read option types, written out or as single letters in either case.

    Raises
    ------
    ValueError
        If one is neither, or missing.

    Examples
    --------
    >>> read_types(pd.Series(["Call", "p"])).tolist()
    ['call', 'put']
    """
    codes, words = pd.factorize(texts)
    strange = [word for word in words if str(word).strip().lower() not in _TYPES]
    if strange or (codes < 0).any():
        raise ValueError(
            f"Option types must be call or put; found {describe_examples(strange or ['a blank'])}. "
            "Correct them."
        )
    return pick_texts([_TYPES[str(word).strip().lower()] for word in words], codes)
