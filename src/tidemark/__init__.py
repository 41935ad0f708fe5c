"""Tidemark: market data from fetch to report, checkpointed, tracked and honestly compared."""

__version__ = "0.1.0"
