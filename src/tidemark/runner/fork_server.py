"""Imported by the fork server alone: it ends with the main process, and its workers with it."""

from tidemark.processes import die_when_parent_dies

die_when_parent_dies()
