"""Errors of cells in prices and volatilities."""
