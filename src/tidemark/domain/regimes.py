"""Regimes of a series: Markov switching, stress tags from z-scores, and spells of labels."""

from tidemark.domain.markov import MarkovFilter, MarkovForecast, filter_markov, smooth_markov
from tidemark.domain.markov_fitting import MarkovFit, fit_markov
from tidemark.domain.markov_parameters import (
    MarkovParameters,
    ergodic_distribution,
    expected_durations,
)
from tidemark.domain.regime_inputs import read_series
from tidemark.domain.regime_tags import describe_spells, tag_stress, zscore

__all__ = [
    "MarkovFilter",
    "MarkovFit",
    "MarkovForecast",
    "MarkovParameters",
    "describe_spells",
    "ergodic_distribution",
    "expected_durations",
    "filter_markov",
    "fit_markov",
    "read_series",
    "smooth_markov",
    "tag_stress",
    "zscore",
]
