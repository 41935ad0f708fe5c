"""The options study's report on prices."""
