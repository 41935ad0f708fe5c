"""The package's own command: Kedro's, from any folder of the project."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Run ``kedro`` in the project that holds the present folder, or else in the package's own.

    A command that needs no project runs where it is called, and does not wait for Kedro.
    """
    if sys.argv[1:2] == ["rolling-corr"]:
        logging = Path(__file__).parents[2] / "conf/logging.yml"
        os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(logging))  # Kedro's own says a lot
        from tidemark.cli.rolling_corr import rolling_corr

        rolling_corr(sys.argv[2:], prog_name="tidemark rolling-corr")
        return
    from kedro.framework.cli.cli import main as kedro_main
    from kedro.utils import find_kedro_project

    if find_kedro_project(Path.cwd()) is None:
        os.chdir(Path(__file__).parents[2])
    kedro_main()


if __name__ == "__main__":
    main()
