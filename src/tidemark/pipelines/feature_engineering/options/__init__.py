"""Feature engineering of the options study."""
