"""Settings of the simulated chain: which contracts exist, how they are quoted, what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

from tidemark.domain.surface_settings import SurfaceSettings


@dataclass(frozen=True)
class ListingSettings:
    """Which contracts exist.

    Attributes
    ----------
    n_weeklies : int
        pm-settled expirations (root SPXW): the coming Fridays.
    n_monthlies, n_quarterlies : int
        am-settled expirations (root SPX): the coming third Fridays, and those of March, June,
        September and December.
    strike_step, near_step : float
        Index points between strikes, and near the close within the last days.
    near_days : int
        Calendar days to the expiration within which near strikes are listed.
    near_band : float
        Their greatest distance from the close, as a share of it.
    band_below, band_above, band_growth_below, band_growth_above : float
        Strikes are listed down to ``band_below + band_growth_below * sqrt(years)`` below the
        close, as a share of it, and up to the like above.
    """

    n_weeklies: int = 3
    n_monthlies: int = 3
    n_quarterlies: int = 2
    strike_step: float = 25.0
    near_step: float = 5.0
    near_days: int = 7
    near_band: float = 0.005
    band_below: float = 0.01
    band_above: float = 0.01
    band_growth_below: float = 0.20
    band_growth_above: float = 0.10

    def __post_init__(self) -> None:
        """Refuse no expirations, and steps that share no grid."""
        if min(self.n_weeklies, self.n_monthlies, self.n_quarterlies) < 1:
            raise ValueError(
                f"{self.n_weeklies} weeklies, {self.n_monthlies} monthlies and "
                f"{self.n_quarterlies} quarterlies: list at least one of each"
            )
        if self.near_step <= 0 or self.strike_step % self.near_step:
            raise ValueError(
                f"Strikes every {self.strike_step} and near ones every {self.near_step}: choose "
                "a step that is a multiple of the near one"
            )


@dataclass(frozen=True)
class QuoteSettings:
    """How quotes stand around the fair value, before they are rounded outwards to ticks.

    Attributes
    ----------
    spread : float
        In index points, for every option.
    spread_vol_points : float
        In volatility points at the forward when its volatility is `reference_vol_annual`; in
        proportion to that volatility otherwise.
    wing : float
        Growth of the spread in volatility points with the square of d1.
    spread_in_the_money : float
        Added for options deep in the money, as a share of the close.
    spread_noise : float
        Standard deviation of the log of the spread.
    shift : float
        Greatest distance of the middle from the fair value, as a share of half the spread;
        below 1, so that the fair value is between bid and ask.
    reference_vol_annual : float
    volume : float
        Mean contracts per day of an option at the forward that is about to expire.
    """

    # Widths, shifts (by what parity leaves) and volumes are about those of S&P 500 options of
    # spring 2019.
    spread: float = 0.02
    spread_vol_points: float = 0.10
    wing: float = 0.10
    spread_in_the_money: float = 0.0008
    spread_noise: float = 0.25
    shift: float = 0.2
    reference_vol_annual: float = 0.15
    volume: float = 1500.0

    def __post_init__(self) -> None:
        """Refuse middles so far off that the fair value may be outside of the quote."""
        if not 0 <= self.shift < 1:
            raise ValueError(f"The shift is {self.shift}: choose 0 <= shift < 1")


@dataclass(frozen=True)
class DefectSettings:
    """How much goes wrong.

    Attributes
    ----------
    crossed_share : float
        Of the rows: bid and ask have changed places. A zero bid is left as it is.
    duplicate_share : float
        Of the rows: there twice, alike.
    blank_volume_share : float
        Of the rows: no volume.
    missing_row_share : float
        Of the rows: not there.
    expiry_day_share : float
        Of the expirations: quoted on their last day too, at which nothing is left to price.
    n_missing_sessions : int
        Sessions that are not there.
    n_stale_holidays : int
        Holidays of the exchange with a copy of the session before.
    """

    crossed_share: float = 0.002
    duplicate_share: float = 0.001
    blank_volume_share: float = 0.005
    missing_row_share: float = 0.005
    expiry_day_share: float = 0.05
    n_missing_sessions: int = 2
    n_stale_holidays: int = 1

    def __post_init__(self) -> None:
        """Refuse shares that leave no sound rows."""
        total = sum(self.row_shares)
        if min(*self.row_shares, self.expiry_day_share) < 0 or total >= 1:
            raise ValueError(
                f"Shares of defects are {self.row_shares} of the rows: choose shares of at least "
                "0 that sum to less than 1"
            )

    @property
    def row_shares(self) -> tuple[float, float, float, float]:
        """Shares of blank volumes, crossed quotes, duplicates and missing rows, in this order."""
        return (
            self.blank_volume_share,
            self.crossed_share,
            self.duplicate_share,
            self.missing_row_share,
        )


@dataclass(frozen=True)
class SimulationSettings:
    """What the simulated chain depends on, but for the closes and the seed.

    Attributes
    ----------
    n_warmup_sessions : int
        First closes that only bring trailing volatility and listed strikes to their usual state.
    """

    surface: SurfaceSettings = field(default_factory=SurfaceSettings)
    listing: ListingSettings = field(default_factory=ListingSettings)
    quotes: QuoteSettings = field(default_factory=QuoteSettings)
    defects: DefectSettings = field(default_factory=DefectSettings)
    n_warmup_sessions: int = 250
