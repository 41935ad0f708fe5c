"""Alerts: tell the owner of a job when something needs a person.

Of an address, which is a secret, logs and errors show the scheme and no more. An alert that
cannot be delivered is a warning there. ``conf/base/alerts.yml`` says who owns what.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, SecretStr, field_validator

from tidemark.config import Strict
from tidemark.errors import ConfigError, UnknownName, mask

logger = logging.getLogger(__name__)

GraveKind = Literal["refused data", "failed run"]
MildKind = Literal[
    "retries exhausted", "degraded", "fallback", "missing", "failed cell", "leak", "alarm"
]
Kind = GraveKind | MildKind
OwnerName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Addresses = tuple[SecretStr, ...]

_VARIABLE = "TIDEMARK_ALERTS"
_SECTION = "the section 'alerts' of credentials.yml"
_LONGEST_BODY = 3000


class AlertSettings(Strict):
    """The content of ``alerts.yml``: which jobs each owner answers for."""

    enabled: bool = True
    timeout_seconds: Annotated[float, Field(gt=0, le=60)]
    owners: Annotated[dict[OwnerName, tuple[str, ...]], Field(min_length=1)]

    @field_validator("owners")
    @classmethod
    def _each_job_has_one_owner(cls, owners: dict[str, tuple[str, ...]]) -> Any:
        if "default" in owners:
            raise ValueError("'default' means every owner in credentials.yml; use another name")
        times = Counter(job for jobs in owners.values() for job in jobs)
        if repeated := [job for job, count in times.items() if count > 1]:
            raise ValueError(f"a job has one owner; listed more than once: {', '.join(repeated)}")
        return owners

    def owner_of(self, job: str) -> str:
        """Name the owner of a job; of one that nobody lists, the platform or the first owner."""
        fallback = "platform" if "platform" in self.owners else next(iter(self.owners))
        return next((owner for owner, jobs in self.owners.items() if job in jobs), fallback)


@dataclass(frozen=True)
class Alert:
    """What somebody is to be told, and about which job."""

    kind: Kind
    job: str
    title: str
    body: str

    @classmethod
    def of(cls, kind: Kind, job: str, body: str) -> Self:
        """Give an alert its usual title, such as ``Tidemark: degraded: fetch``."""
        return cls(kind, job, f"Tidemark: {kind}: {job}", body)


class Alerts:
    """The alerts of one run; ``undelivered`` counts those that an owner has not had in full.

    Parameters
    ----------
    credentials : mapping or None
        The section ``alerts`` of the credentials: an address or a list of them by owner.
    environment : mapping
        Where ``TIDEMARK_ALERTS`` and ``TIDEMARK_ALERTS_<OWNER>`` are looked for.

    Raises
    ------
    ConfigError
        If the credentials name an owner that does not exist, or hold what is no address.
    """

    def __init__(
        self,
        settings: AlertSettings,
        credentials: Mapping[str, Any] | None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings = settings
        self._addresses = _find_addresses(settings, credentials or {}, environment)
        self._faults: dict[SecretStr, str] = {}
        self.undelivered: Counter[str] = Counter()

    def send(self, alert: Alert) -> bool | None:
        """Tell the owner of the alert's job, at each address that has not failed before.

        Returns
        -------
        bool or None
            Whether all of the owner's addresses took the alert; None if there are none.
        """
        owner = self._settings.owner_of(alert.job)
        addresses = self._addresses[owner] if self._settings.enabled else ()
        title = " ".join(mask(alert.title).split())
        if not addresses:
            logger.debug("Nobody is told: '%s' (alerts off, or no address for %s)", title, owner)
            return None
        body = mask(alert.body)[:_LONGEST_BODY] or title  # apprise refuses an empty text
        safe = replace(alert, title=title, body=body)
        for address in (one for one in addresses if one not in self._faults):
            if fault := _deliver(address, safe, self._settings.timeout_seconds):
                self._faults[address] = fault
        faults = [self._faults[address] for address in addresses if address in self._faults]
        if not faults:
            logger.info("Told %s: %s", owner, title)
            return True
        self.undelivered[owner] += 1
        logger.log(
            logging.WARNING if self.undelivered[owner] == 1 else logging.DEBUG,
            "Alert %d not delivered to %s: '%s'. Of %d addresses %d failed and are not tried "
            "again in this run: %s. Check %s_%s, %s and %s.",
            *(self.undelivered[owner], owner, title, len(addresses), len(faults)),
            *("; ".join(faults), _VARIABLE, owner.upper(), _VARIABLE, _SECTION),
        )
        return False


def _find_addresses(
    settings: AlertSettings, credentials: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Addresses]:
    """Find the addresses of each owner; messages name the keys and never hold a value."""
    if not isinstance(credentials, Mapping):
        raise ConfigError(f"Give {_SECTION} a key for each owner, or 'default'.")
    known = (*settings.owners, "default")
    given: dict[str, Addresses] = {}
    for owner, value in credentials.items():
        if owner not in known:
            raise UnknownName.of(f"owner in {_SECTION}:", mask(str(owner)), known)
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list | tuple) or not all(isinstance(one, str) for one in listed):
            raise ConfigError(f"Key '{owner}' in {_SECTION} needs an address or a list of them.")
        given[owner] = _split(" ".join(listed))
    everybody = _split(environment.get(_VARIABLE, "")) or given.get("default", ())
    own = {owner: environment.get(f"{_VARIABLE}_{owner.upper()}", "") for owner in settings.owners}
    return {owner: _split(own[owner]) or given.get(owner) or everybody for owner in own}


def _split(text: str) -> Addresses:
    return tuple(SecretStr(address) for address in dict.fromkeys(text.split()))


def _deliver(address: SecretStr, alert: Alert, timeout_seconds: float) -> str | None:
    """Send an alert to one address; say what went wrong, if anything did."""
    scheme, mark, _ = address.get_secret_value().partition("://")
    masked = f"{scheme}://***" if mark and scheme.isalnum() else "***"
    try:
        with _unheard():
            # Not above: most runs tell nobody, and this import takes a third of a second.
            from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType

            # Apprise would keep its own time limit with threads, and then forks may hang.
            asset = AppriseAsset(app_id="Tidemark", async_mode=False, service_timeout=0)
            service = Apprise.instantiate(address.get_secret_value(), asset=asset)
            if service is None:
                return f"{masked} is nothing that apprise can read"
            service.socket_connect_timeout = service.socket_read_timeout = timeout_seconds
            service.retry = 0
            delivered = Apprise(service, asset=asset).notify(
                alert.body,
                alert.title,
                NotifyType.FAILURE if alert.kind in get_args(GraveKind) else NotifyType.WARNING,
                body_format=NotifyFormat.TEXT,
            )
    except Exception as error:  # whatever a service does, the run goes on
        return f"{masked} raised {type(error).__name__}"
    return None if delivered else f"{masked} did not accept it within {timeout_seconds:g} s"


@contextmanager
def _unheard() -> Iterator[None]:
    """Keep what this thread logs from the root's handlers: libraries log addresses in full."""
    thread = threading.get_ident()
    handlers = tuple(logging.getLogger().handlers)

    def is_of_another(record: logging.LogRecord) -> bool:
        return record.thread != thread

    for handler in handlers:
        handler.addFilter(is_of_another)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(is_of_another)
