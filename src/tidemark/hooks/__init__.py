"""Thin hooks: they say when something is recorded or told, not how.

Each object is named by a ``kedro.hooks`` entry point of its own.
"""

from tidemark.hooks.alerting import AlertHooks
from tidemark.hooks.recording import RecordingHooks
from tidemark.hooks.runs import RunHooks

alert_hooks = AlertHooks()
recording_hooks = RecordingHooks()
run_hooks = RunHooks()

__all__ = ["alert_hooks", "recording_hooks", "run_hooks"]
