"""Tracking: what a run did, from an outbox on disk to MLflow.

Any process of a run puts records into the outbox. One writer, in the run's main process, sends
them to MLflow; what cannot be sent waits there. Nothing here is imported by a node.
"""
