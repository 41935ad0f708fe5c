"""Checkpoints: what a node leaves when all its outputs are safely stored."""
