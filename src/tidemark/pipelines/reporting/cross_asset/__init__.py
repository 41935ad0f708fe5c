"""The cross-asset study's own report: where correlations stand, and in which regime."""
