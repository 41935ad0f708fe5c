"""Thin hooks."""
hooks = type("H", (), {})()
