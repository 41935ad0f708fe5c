"""Cells whose models find regimes, and are judged by the density of what comes next."""
