"""Kedro datasets that Kedro's own cannot replace, one class a file."""
