"""Thin hooks: they say when something is recorded, not how.

``hooks`` is the object that the ``kedro.hooks`` entry point names.
"""

from tidemark.hooks.recording import RecordingHooks

hooks = RecordingHooks()

__all__ = ["hooks"]
