"""The package's own command: Kedro's, from any folder of the project."""

from __future__ import annotations

import os
from pathlib import Path

from kedro.framework.cli.cli import main as kedro_main
from kedro.utils import find_kedro_project


def main() -> None:
    """Run ``kedro`` in the project that holds the present folder, or else in the package's own."""
    if find_kedro_project(Path.cwd()) is None:
        os.chdir(Path(__file__).parents[2])
    kedro_main()


if __name__ == "__main__":
    main()
