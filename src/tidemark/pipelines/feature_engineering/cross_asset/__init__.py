"""The cross-asset study's features: correlations of pairs, and what forecasts them."""
