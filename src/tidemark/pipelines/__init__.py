"""Modular pipelines by stage: wiring, thin node functions and typed parameters."""
