"""The tree of errors.

TidemarkError
├── DataError            data was refused: the process exits with status 2
│   ├── DataRefused      the accept node turned the data down
│   └── LeakageFound     features or labels know the future
├── ConfigError          configuration or a command's words are wrong: status 1
│   └── UnknownName      a pipeline, namespace, scenario, model or parameter that does not exist
├── ModelError           a model could not be fitted or used: status 1
├── SourceError          a source could not be reached, or sent what cannot be read: status 1
├── RunError             nodes failed, or another run holds the data: status 1, or that of the worst
│   └── StaleInputs      a slice would read what is not fresh
└── TrackingError        MLflow could not be reached although it is required: status 1
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import partial
from typing import Any, Self

EXIT_SUCCESS = 0
EXIT_ERROR = 1
EXIT_REFUSED = 2
EXIT_USAGE = 64  # EX_USAGE of sysexits.h
EXIT_INTERRUPTED = 130  # 128 + SIGINT

MAX_EXAMPLES = 5


class TidemarkError(Exception):
    """Ancestor of every error that Tidemark raises on purpose."""

    exit_status = EXIT_ERROR
    is_alarming = True  # whether somebody away from the terminal should hear of it


class DataError(TidemarkError):
    """Data that must not be used."""

    exit_status = EXIT_REFUSED


class DataRefused(DataError):
    """Data that the table of checks refuses."""

    @classmethod
    def from_findings(cls, study: str, refusals: Iterable[str], report: str) -> Self:
        """Build the message from one sentence for each refusal.

        Parameters
        ----------
        study : str
            The study whose data was checked.
        refusals : iterable of str
            One sentence each: column, count, examples, remedy.
        report : str
            The dataset that holds the whole validation report.
        """
        reasons = "\n".join(f"  - {reason}" for reason in refusals)
        return cls(
            f"The data of study '{study}' was refused:\n{reasons}\n"
            f"Nothing downstream has run. The whole report is in '{report}'."
        )


class LeakageFound(DataError):
    """Features or labels that know the future: no number that rests on them counts."""


class ConfigError(TidemarkError):
    """Configuration that cannot be used."""

    is_alarming = False


class UnknownName(ConfigError):
    """A name that the project does not know."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str]) -> Self:
        """Name what is unknown, the nearest match, and all that exist.

        Examples
        --------
        >>> print(UnknownName.of("model", "rigde", ["linear", "ridge"]))
        Unknown model 'rigde'. Did you mean 'ridge'?
        Those that exist: linear, ridge.
        """
        names = sorted(set(known))
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        listed = ", ".join(names) if names else "none"
        return cls(f"Unknown {kind} '{name}'.{hint}\nThose that exist: {listed}.")


class ModelError(TidemarkError):
    """A model that could not be fitted or used."""


class SourceError(TidemarkError):
    """A source that could not be reached, or sent what cannot be read.

    Attributes
    ----------
    is_transient : bool
        Whether trying again may help.
    retry_after_seconds : float or None
        How long the source asks to be left alone.
    """

    def __init__(
        self,
        message: str,
        *,
        is_transient: bool = False,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.is_transient = is_transient
        self.retry_after_seconds = retry_after_seconds

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the keyword arguments too: workers send errors to the main process."""
        again = partial(
            type(self),
            is_transient=self.is_transient,
            retry_after_seconds=self.retry_after_seconds,
        )
        return again, (str(self),)


class RunError(TidemarkError):
    """A run that could not be begun, or did not reach its end."""

    def __init__(self, message: str, exit_status: int = EXIT_ERROR) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class StaleInputs(RunError):
    """A slice would read what is not fresh."""

    is_alarming = False


class TrackingError(TidemarkError):
    """MLflow is required and could not be reached."""


def mask(text: str) -> str:
    """Hide the user, password and query of every address in a text.

    Examples
    --------
    >>> mask("no answer from http://bob:se/c@ret@host:5000/api?key=1 so far")
    'no answer from http://***@host:5000/api?*** so far'
    """
    text = re.sub(r"://[^\s\"'<>]*@", "://***@", text)
    return re.sub(r"(://[^\s?#\"'<>]+)[?#][^\s\"'<>]*", r"\1?***", text)


def brief(text: str) -> str:
    r"""Take the line that tells from an error's text: Kedro's wrappers say where, then why.

    Examples
    --------
    >>> brief("DatasetError: x: Failed while loading data from dataset X().\nIt answered 503.")
    'It answered 503.'
    >>> brief("ValueError: no")
    'ValueError: no'
    """
    lines = [line for line in text.splitlines() if line.strip()] or [""]
    is_wrapped = len(lines) > 1 and re.search(r"Failed while (loading|saving) data", lines[0])
    return lines[1] if is_wrapped else lines[0]


def describe_examples(values: Iterable[object], limit: int = MAX_EXAMPLES) -> str:
    """List at most ``limit`` values, and say how many were left out.

    Examples
    --------
    >>> describe_examples([3, 1, 2], limit=2)
    '3, 1 and 1 more'
    """
    listed = [str(value) for value in values]
    shown = ", ".join(listed[:limit])
    return shown if len(listed) <= limit else f"{shown} and {len(listed) - limit} more"
