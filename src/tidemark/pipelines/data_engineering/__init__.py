"""Stage 1: fetch, validate, accept, label, and treat the data as each scenario says."""
