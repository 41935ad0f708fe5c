"""Settings of the simulated surface of implied volatility."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class VarianceFactor:
    """How one of the three variances of the surface moves: an AR(1) around an anchor, in logs.

    Attributes
    ----------
    level_vol_annual : float
        Volatility to which the factor tends where realised volatility has the same value.
    realised_weight : float
        Share of the distance between realised variance and the level, in logs, that the anchor
        follows; 0 is a constant anchor.
    persistence : float
        AR(1) coefficient per session of the distance from the anchor, at least 0, below 1.
    shock : float
        Standard deviation per session of the shocks to the log variance.
    leverage : float
        Correlation of the shocks with the index's standardised return, between -1 and 1.
    """

    level_vol_annual: float
    realised_weight: float
    persistence: float
    shock: float
    leverage: float


@dataclass(frozen=True)
class ShapeFactor:
    """How a shape of the surface moves: an AR(1) in logits, so that it keeps its bounds.

    Attributes
    ----------
    level : float
        Share of the greatest possible value around which it moves, between 0 and 1.
    persistence, shock, leverage : float
        As for `VarianceFactor`, for the logit of the share.
    """

    level: float
    persistence: float
    shock: float
    leverage: float


@dataclass(frozen=True)
class SurfaceSettings:
    """Everything that the simulated surface depends on, but for the closes and the seed.

    Attributes
    ----------
    short, medium, long : VarianceFactor
        The variance now, the one to which it tends within months, and within years.
    correlation : ShapeFactor
        Size of SSVI's rho, which is negative: how far the smile leans to low strikes.
    curvature : ShapeFactor
        SSVI's eta, as a share of the greatest value that is free of butterfly arbitrage.
    gamma : float
        SSVI's decay of skew with variance, above 0 and at most 0.5.
    fast_reversion, slow_reversion : float
        Speeds of mean reversion of the forward variance, per year; fast above slow.
    half_life_sessions : float
        Of the weights in trailing realised variance.
    common_share : float
        Share of the shocks' own variance that all factors have in common, from 0 to 1.
    rate_continuous, dividend_continuous : float
        The level of the rate, and the constant dividend yield.
    rate_persistence, rate_shock : float
        AR(1) of the log of the rate, per session.
    """

    # Shapes are about the averages of SSVI surfaces fitted to S&P 500 options of spring 2019;
    # volatilities and their shocks follow the VIX of 2016 and 2017.
    short: VarianceFactor = field(
        default_factory=lambda: VarianceFactor(0.145, 0.60, 0.90, 0.26, -0.85)
    )
    medium: VarianceFactor = field(
        default_factory=lambda: VarianceFactor(0.155, 0.40, 0.97, 0.05, -0.90)
    )
    long: VarianceFactor = field(
        default_factory=lambda: VarianceFactor(0.185, 0.10, 0.99, 0.02, -0.90)
    )
    correlation: ShapeFactor = field(default_factory=lambda: ShapeFactor(0.70, 0.95, 0.12, -0.40))
    curvature: ShapeFactor = field(default_factory=lambda: ShapeFactor(0.83, 0.95, 0.15, 0.0))
    gamma: float = 0.4
    fast_reversion: float = 14.0
    slow_reversion: float = 2.0
    half_life_sessions: float = 11.0
    common_share: float = 0.5
    rate_continuous: float = 0.01
    dividend_continuous: float = 0.02
    rate_persistence: float = 0.995
    rate_shock: float = 0.01

    def __post_init__(self) -> None:
        """Refuse values for which the surface would have arbitrage or would not revert."""
        if not 0 < self.gamma <= 0.5:
            raise ValueError(
                f"gamma is {self.gamma}: choose 0 < gamma <= 0.5, or short expirations have "
                "butterfly arbitrage"
            )
        if not 0 < self.slow_reversion < self.fast_reversion:
            raise ValueError(
                f"The slow reversion is {self.slow_reversion} and the fast one "
                f"{self.fast_reversion} per year: choose 0 < slow < fast, or variance may fall "
                "with time"
            )
        factors = {name: getattr(self, name) for name in ("short", "medium", "long")}
        shapes = {name: getattr(self, name) for name in ("correlation", "curvature")}
        for name, factor in (factors | shapes).items():
            if not (0 <= factor.persistence < 1 and -1 <= factor.leverage <= 1):
                raise ValueError(
                    f"Factor '{name}' has persistence {factor.persistence} and leverage "
                    f"{factor.leverage}: choose 0 <= persistence < 1 and -1 <= leverage <= 1"
                )
        for name, factor in factors.items():
            if factor.level_vol_annual <= 0:
                raise ValueError(
                    f"Factor '{name}' has a level of {factor.level_vol_annual}: choose a "
                    "volatility above zero"
                )
        for name, shape in shapes.items():
            if not 0 < shape.level < 1:
                raise ValueError(
                    f"Factor '{name}' has a level of {shape.level}: choose 0 < level < 1"
                )
