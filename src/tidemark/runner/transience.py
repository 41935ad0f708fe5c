"""Which errors pass with time.

Wrappers such as Kedro's ``DatasetError`` hide what happened, so the whole chain of an exception
is read, and the first link that settles the question does.
"""

from __future__ import annotations

import errno
import socket
import sqlite3
import ssl
from collections.abc import Iterator
from http.client import BadStatusLine, IncompleteRead
from typing import Any, Literal
from urllib.error import URLError

from tidemark.datasets.http import read_retry_after
from tidemark.errors import SourceError, TidemarkError

Kind = Literal["network", "storage"]
Verdict = Literal["network", "storage", "lasting"]
Types = tuple[type[BaseException], ...]

# What the next attempt meets unchanged, although nearly all of it is an OSError.
_LASTING: Types = (ssl.SSLCertVerificationError, FileNotFoundError, FileExistsError)
_LASTING += (PermissionError, IsADirectoryError, NotADirectoryError)
_LASTING_NUMBERS = {errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP}
_NETWORK: Types = (ConnectionError, TimeoutError, socket.gaierror, ssl.SSLError, URLError)
_NETWORK += (IncompleteRead, BadStatusLine)
_NETWORK_NUMBERS = {errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET, errno.EHOSTUNREACH}
# Requests' own classes, by name: a worker that never fetches need not import them.
_REQUESTS = "requests.exceptions."
_REQUESTS_NETWORK = {
    _REQUESTS + name
    for name in ("ConnectionError", "Timeout", "ChunkedEncodingError", "ContentDecodingError")
}
# Faults of the code or the data. Any other type is a wrapper at most: its cause decides.
_FAULTS: Types = (TidemarkError, ValueError, TypeError, LookupError, ArithmeticError, NameError)
_FAULTS += (AttributeError, AssertionError, ImportError, MemoryError)


def kind_of(error: BaseException) -> Kind | None:
    """Tell what failed for a while only, the network or storage; None if waiting cannot help."""
    for link in _chain(error):
        verdict = _judge(link)
        if verdict is not None:
            return None if verdict == "lasting" else verdict
    return None


def retry_after(error: BaseException) -> float | None:
    """Read how many seconds the source asks to be left alone, from an error or its causes."""
    return next((seconds for link in _chain(error) for seconds in _asked_by(link)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        implicit = None if link.__suppress_context__ else link.__context__
        link = implicit if link.__cause__ is None else link.__cause__


def _judge(link: BaseException) -> Verdict | None:
    """Judge one exception of a chain; None leaves the verdict to the next."""
    if isinstance(link, SourceError):
        return "network" if link.is_transient else "lasting"
    status = _http_status(link)
    if status is not None:
        return "network" if status in (408, 429) or status >= 500 else "lasting"
    if isinstance(link, _LASTING) or not isinstance(link, Exception):
        return "lasting"
    if isinstance(link, sqlite3.OperationalError) and "is locked" in str(link):
        return "storage"
    if isinstance(link, (OSError, *_NETWORK)):
        return _judge_input_output(link)
    is_pandera = type(link).__module__.startswith("pandera.")
    return "lasting" if is_pandera or isinstance(link, _FAULTS) else None


def _judge_input_output(link: Exception) -> Verdict:
    if isinstance(link, URLError) and isinstance(link.reason, BaseException):
        return "lasting" if _judge(link.reason) == "lasting" else "network"
    names = {f"{base.__module__}.{base.__name__}" for base in type(link).__mro__}
    number = getattr(link, "errno", None)
    if isinstance(link, _NETWORK) or names & _REQUESTS_NETWORK or number in _NETWORK_NUMBERS:
        # Requests raises one class for a broken handshake and for a certificate that is wrong.
        wrong = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _chain(link))
        return "lasting" if wrong else "network"
    is_lasting = isinstance(link, ValueError) or number in _LASTING_NUMBERS
    return "lasting" if is_lasting or _REQUESTS + "RequestException" in names else "storage"


def _http_status(link: BaseException) -> int | None:
    """Read the status as urllib, aiohttp, or requests and httpx keep it."""
    response = getattr(link, "response", None)
    kept = [getattr(link, name, None) for name in ("code", "status")]
    kept.append(getattr(response, "status_code", None))
    return next((code for code in kept if isinstance(code, int) and 300 <= code < 600), None)


def _asked_by(link: BaseException) -> Iterator[float]:
    if isinstance(link, SourceError) and link.retry_after_seconds is not None:
        yield link.retry_after_seconds
    for holder in (link, getattr(link, "response", None)):
        headers: Any = getattr(holder, "headers", None)
        value = headers.get("Retry-After") if hasattr(headers, "get") else None
        seconds = None if value is None else read_retry_after(str(value))
        if seconds is not None:
            yield seconds
