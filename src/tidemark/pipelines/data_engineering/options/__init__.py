"""Data engineering of the options study."""
