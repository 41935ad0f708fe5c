"""Bytes at an http(s) address: fetched whole, or refused with a reason and no secret."""

from __future__ import annotations

import http.client
import logging
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tidemark.errors import SourceError

if TYPE_CHECKING:
    import requests

_CHUNK = 1 << 16
_REQUEST_TIMEOUT = 408
_TOO_MANY_REQUESTS = 429


class _HideQueries(logging.Filter):
    """Take the query from every address that a record of urllib3 shows."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                re.sub(r"\?.*", "?***", one) if isinstance(one, str) else one for one in record.args
            )
        return True


# At its finest level, urllib3 logs each request with its query.
logging.getLogger("urllib3.connectionpool").addFilter(_HideQueries())


@dataclass
class _Host:
    """When a host may be asked again, by the monotonic clock of this process."""

    quiet_until: float = 0.0  # what the host itself has asked for
    next_turn: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take_turn(self, requests_per_second: float) -> None:
        """Wait until so many requests a second, evenly apart, allow one more."""
        with self.lock:
            now = time.monotonic()
            turn = max(now, self.next_turn)
            self.next_turn = turn + 1 / requests_per_second
        time.sleep(turn - now)


_hosts: dict[str, _Host] = {}


def download(
    url: str,
    connect_timeout_seconds: float = 10.0,
    read_timeout_seconds: float = 30.0,
    total_timeout_seconds: float = 300.0,
    headers: Mapping[str, str] | None = None,
    requests_per_second: float | None = None,
    media_type: str | None = None,
    explain: Callable[[int, bytes], str | None] | None = None,
) -> bytes:
    """Fetch all bytes at an address, once: whoever calls decides whether to try again.

    Parameters
    ----------
    url : str
        An http(s) address; its user, password and query appear in no message.
    connect_timeout_seconds : float
        How long to wait for a connection.
    read_timeout_seconds : float
        How long the source may be silent, before its answer and within it.
    total_timeout_seconds : float
        How long all may take; overstepped by one silence at the most.
    headers : mapping, optional
        Headers to send beside the project's own, or in their place.
    requests_per_second : float, optional
        How often this process may ask the address's host; a request waits for its turn.
    media_type : str, optional
        The only type of content that is taken, if the answer says its type.
    explain : callable, optional
        Takes the status and the body of an answer that is refused for good, and says what it
        means and what to do; None leaves that to a general remedy.

    Returns
    -------
    bytes
        The body, with its content encoding undone.

    Raises
    ------
    SourceError
        Transient: no connection, silence, a body that breaks off, another type of content, 408,
        429, 5xx, and a host that has asked to be left alone. For good: any other status but 2xx,
        a refused certificate, an address that cannot be asked for.
    """
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    limits = (connect_timeout_seconds, read_timeout_seconds, total_timeout_seconds)
    host = _hosts.setdefault(_name_host(url), _Host())
    quiet = host.quiet_until - time.monotonic()
    if quiet > 0:
        raise SourceError(
            f"{show_address(url)} asked to be left alone for {quiet:.0f} more seconds.",
            is_transient=True,
            retry_after_seconds=quiet,
        )
    if requests_per_second is not None:
        host.take_turn(requests_per_second)
    try:
        return _fetch(url, limits, headers or {}, media_type, explain)
    except SourceError as error:
        if error.retry_after_seconds:
            host.quiet_until = time.monotonic() + error.retry_after_seconds
        raise
    except (RequestException, HTTPError, ValueError) as error:
        failure = _judge_failure(error, show_address(url))
        cause = None if _tells_secrets(error) else error
    # Raised out here, so that not even its context holds an error that shows the query.
    raise failure from cause


def show_address(url: str) -> str:
    """Write an address without its user, password, query and fragment.

    Examples
    --------
    >>> show_address("https://bob:secret@example.org:8443/prices.csv?key=abc#top")
    'https://***@example.org:8443/prices.csv'
    >>> show_address("https://bob:se/cret@example.org/prices.csv")
    'https://... (not a readable address)'
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # a password with a slash in it is read as a port
        host = port = None
    if not host:
        return f"{url.partition('://')[0]}://... (not a readable address)"
    user = "***@" if "@" in parts.netloc else ""
    place = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{user}{place}{'' if port is None else f':{port}'}{parts.path}"


def _name_host(url: str) -> str:
    """Name scheme, host and port: whoever limits requests counts all of its addresses."""
    return "/".join(show_address(url).replace("***@", "").split("/")[:3])


def _fetch(
    url: str,
    limits: tuple[float, float, float],
    headers: Mapping[str, str],
    media_type: str | None,
    explain: Callable[[int, bytes], str | None] | None,
) -> bytes:
    import requests

    connect, read, total = limits
    deadline = time.monotonic() + total
    own = {
        "User-Agent": f"tidemark/{version('tidemark')}",
        "Accept-Encoding": "identity",  # the length that is promised is then that of the file
    }
    waits = (min(connect, total), min(read, total))
    with requests.get(url, headers={**own, **headers}, timeout=waits, stream=True) as response:
        _check_status(response, show_address(url), explain)
        _check_type(response.headers.get("Content-Type", ""), show_address(url), media_type)
        body = bytearray()
        while time.monotonic() <= deadline:
            # Unlike iter_content, read1 returns as soon as there is anything.
            chunk = response.raw.read1(_CHUNK, decode_content=True)
            if not chunk:
                return bytes(body)
            body += chunk
    raise SourceError(
        f"{show_address(url)} had sent {len(body)} bytes after {total:g} seconds and was not at "
        "the end. Try again later, or save the file and give its path.",
        is_transient=True,
    )


def _check_status(
    response: requests.Response, shown: str, explain: Callable[[int, bytes], str | None] | None
) -> None:
    status = response.status_code
    if 200 <= status < 300:
        return
    answer = f"{shown} answered {status} {http.client.responses.get(status, '')}".rstrip()
    if status >= 500 or status in (_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS):
        wait = read_retry_after(response.headers.get("Retry-After", ""))
        when = "later" if wait is None else f"in {wait:.0f} seconds, as it asks"
        raise SourceError(
            f"{answer}. Try again {when}.", is_transient=True, retry_after_seconds=wait
        )
    reason = None if explain is None else explain(status, _read_reason(response))
    remedy = (
        ". Check the address, and whether you may read it." if reason is None else f": {reason}"
    )
    raise SourceError(f"{answer}{remedy}", is_transient=False)


def _read_reason(response: requests.Response) -> bytes:
    """Read the beginning of a refusal's body; what cannot be read explains nothing."""
    from urllib3.exceptions import HTTPError

    try:
        body: bytes = response.raw.read(_CHUNK, decode_content=True)
    except (HTTPError, OSError, ValueError):
        return b""
    return body


def _check_type(found: str, shown: str, media_type: str | None) -> None:
    kind = found.partition(";")[0].strip().lower()
    if media_type is not None and kind and kind != media_type:
        raise SourceError(
            f"{shown} sent {kind} and not {media_type}. Try again later, or look at the address "
            "in a browser.",
            is_transient=True,
        )


def read_retry_after(value: str) -> float | None:
    """Read a Retry-After header: seconds, or a date of HTTP; None for anything else."""
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:  # -0000 is how mail writes "UTC, from nowhere in particular"
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _judge_failure(error: Exception, shown: str) -> SourceError:
    """Say what an exception of requests or urllib3 means, without its own words."""
    from requests.exceptions import TooManyRedirects

    chain = list(_chain(error))
    if any(isinstance(one, ssl.SSLCertVerificationError) for one in chain):
        return SourceError(
            f"The certificate of {shown} was refused. Check the address; for a private "
            "authority, let REQUESTS_CA_BUNDLE name its certificates.",
            is_transient=False,
        )
    if isinstance(error, ValueError):
        return SourceError(
            f"{shown} cannot be asked for ({type(error).__name__}). Give an address that begins "
            "with http:// or https:// and a host.",
            is_transient=False,
        )
    if isinstance(error, TooManyRedirects):
        return SourceError(
            f"{shown} leads in a circle of redirects. Check the address.", is_transient=False
        )
    return SourceError(
        f"{shown} could not be read: {_name_reason(chain)}. Check the address and the network, "
        "or try again later.",
        is_transient=True,
    )


def _name_reason(chain: list[BaseException]) -> str:
    if any(isinstance(one, TimeoutError) for one in chain):
        return "it was silent for too long"
    if any(isinstance(one, http.client.IncompleteRead) for one in chain):
        return "the answer broke off before its end"
    reasons = [one.strerror for one in chain if isinstance(one, OSError) and one.strerror]
    return reasons[-1].lower() if reasons else type(chain[-1]).__name__


def _tells_secrets(error: Exception) -> bool:
    """Say whether an error's words may hold a query, a password or a header."""
    if isinstance(error, ValueError):
        return True
    return any(sign in str(one) for one in _chain(error) for sign in "?@")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
