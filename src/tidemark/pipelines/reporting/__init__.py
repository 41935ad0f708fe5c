"""Stage 4: outcomes become a table, a summary and reports, in every study."""
