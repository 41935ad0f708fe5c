"""Parameters of the options study's data engineering."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, RootModel, model_validator

from tidemark.config import Strict
from tidemark.domain.chain_checks import ALWAYS_LEAVE, REASONS, IntakeSettings
from tidemark.domain.chain_quality import CHECKS, DaySettings
from tidemark.domain.option_errors import BucketSettings
from tidemark.domain.option_inputs import InputSettings
from tidemark.domain.parity import ParitySettings
from tidemark.domain.rules import Action, Rule
from tidemark.pipelines.params import Share

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


class ChainCheck(Strict):
    """What to do once a check's measure exceeds its bound."""

    action: Action
    bound: Annotated[float, Field(ge=0)] = 0.0


class ChainChecks(RootModel[dict[str, ChainCheck]]):
    """The study's table of checks: one for each of ``tidemark.domain.chain_quality.CHECKS``."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        absent, strange = (
            sorted(set(one) - set(other))
            for one, other in ((CHECKS, self.root), (self.root, CHECKS))
        )
        if absent or strange:
            raise ValueError(
                f"the table lacks {absent or 'none'} and has unknown {strange or 'none'}"
            )
        for name in ALWAYS_LEAVE:
            if self.root[name].action == "warn":
                raise ValueError(f"{name} must refuse or quarantine: such rows have no place")
        for name in set(CHECKS) - set(REASONS):
            if self.root[name].action == "quarantine":
                raise ValueError(f"{name} is no fault of single rows: it can refuse or warn")
        return self

    def rules(self) -> dict[str, Rule]:
        """Return the table as the checks take it."""
        return {name: Rule(check.action, check.bound) for name, check in self.root.items()}

    @property
    def leaving(self) -> list[str]:
        """The reasons for which rows leave the flow."""
        return [name for name in REASONS if self.root[name].action == "quarantine"]


class ChainParams(Strict):
    """How quotes and days are checked; see `IntakeSettings` and `DaySettings`."""

    calendar: str
    tolerance: Annotated[float, Field(ge=0)]
    stale_share: Annotated[float, Field(gt=0, le=1)]
    neighbours: Count
    contract_change: Positive
    repeated_trades: Annotated[float, Field(gt=0, le=1)]
    spot_gap: Positive
    quarantined_share: Share
    checks: ChainChecks

    def intake(self, rate_continuous: float) -> IntakeSettings:
        """Return what the checks of quotes assume."""
        return IntakeSettings(self.calendar, rate_continuous, self.tolerance, self.stale_share)

    def days(self) -> DaySettings:
        """Return what the checks of days assume."""
        return DaySettings(
            self.calendar,
            self.neighbours,
            self.contract_change,
            self.repeated_trades,
            self.spot_gap,
            self.quarantined_share,
        )


class UniverseParams(Strict):
    """Which quotes are priced: the others are kept, and tell of the market alone."""

    min_days: Annotated[float, Field(ge=0)]
    max_days: Positive
    max_log_strike: Positive
    min_price: Annotated[float, Field(ge=0)]
    warm_up_sessions: Count


class PricingParams(Strict):
    """How forwards, volatilities and baselines are made; see `InputSettings`."""

    rate_continuous: float
    volatility_sessions: Annotated[int, Field(ge=2)]
    carry_sessions: Count
    max_log_moneyness: Positive
    max_spread: Positive
    min_pairs: Annotated[int, Field(ge=3)]
    min_rate: float
    max_rate: float

    def settings(self) -> InputSettings:
        """Return what inputs depend on."""
        parity = ParitySettings(
            self.max_log_moneyness, self.max_spread, self.min_pairs, self.min_rate, self.max_rate
        )
        return InputSettings(
            self.rate_continuous, self.volatility_sessions, self.carry_sessions, parity
        )


class GroupParams(Strict):
    """Which quotes of the universe a comparison group scores, and which its models may learn from.

    With ``max_spread`` (a share of the middle) and ``min_volume`` (contracts) only those that were
    liquid in the session before; with ``hold_out_every`` every n-th expiration is scored, and
    nobody learns from it. One that is circular may be given today's own implied volatility.
    """

    max_spread: Positive | None = None
    min_volume: Annotated[float, Field(ge=0)] | None = None
    hold_out_every: Annotated[int, Field(ge=2)] | None = None
    is_circular: bool = False


class BucketParams(Strict):
    """By which strikes and maturities errors are told apart; see `BucketSettings`."""

    moneyness: tuple[float, ...]
    maturity_days: tuple[float, ...]

    @model_validator(mode="after")
    def _edges_ascend(self) -> Self:
        self.settings()
        return self

    def settings(self) -> BucketSettings:
        """Return the edges as the mathematics takes them."""
        return BucketSettings(self.moneyness, self.maturity_days)


class OptionPreprocessParams(Strict):
    """How a scenario treats a contract that was not quoted, or implied nothing, the session before.

    ``drop``: models do not learn from such rows; ``surface``: they do, its volatility being that of
    the surface. To be forecast they are filled either way. ``same_day`` gives models today's own
    implied volatility and nothing else but moneyness and time: what they forecast, in other words.
    """

    missing: Literal["drop", "surface"] = "surface"
    same_day: bool = False
