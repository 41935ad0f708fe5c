"""Cells that are recurrent networks."""
