"""Data engineering of the returns study."""
