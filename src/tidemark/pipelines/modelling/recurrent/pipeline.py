"""Wiring of what a recurrent network has in the place of a cell's training."""

from __future__ import annotations

from kedro.pipeline import Node

from tidemark.pipelines.modelling.recurrent import nodes


def create_training() -> list[Node]:
    """Build the nodes that train, and draw how it went."""
    return [
        Node(
            nodes.train,
            ["train", "test", "split", "params:model", "params:cell"],
            ["network", "network_h5", "cv_scores", "forecasts", "epochs"],
            name="train",
        ),
        Node(nodes.plot_learning, ["epochs", "params:cell"], "learning", name="plot_learning"),
    ]
