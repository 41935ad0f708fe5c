"""Thin hooks: they say when something is recorded or told, not how.

Each object is named by a ``kedro.hooks`` entry point of its own.
"""

from tidemark.hooks.alerting import AlertHooks
from tidemark.hooks.recording import RecordingHooks
from tidemark.hooks.runs import RunHooks

alerting = AlertHooks()
recording = RecordingHooks()
runs = RunHooks()

__all__ = ["alerting", "recording", "runs"]
