"""Feature engineering of the returns study."""
