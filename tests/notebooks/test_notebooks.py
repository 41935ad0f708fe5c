"""The notebooks run from top to bottom on what a run has left, and are kept without outputs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))

_EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=120, resources={"metadata": {"path": sys.argv[3]}}).execute()
nbformat.write(notebook, sys.argv[2])
"""


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_kept_without_outputs(name: str) -> None:
    """What a notebook shows belongs to the run that it shows, not to the repository."""
    cells = _code_cells(FOLDER / name)
    assert cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


@pytest.fixture(scope="module")
def finished(new_workplace: Callable[[], Any]) -> Any:
    """Run the study once, on a small sample."""
    workplace = new_workplace()
    done = workplace.kedro()
    assert done.returncode == 0, done.stderr
    return workplace


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs_from_top_to_bottom(name: str, finished: Any, tmp_path: Path) -> None:
    """Every cell runs, and a table and a picture are to be seen."""
    done = tmp_path / name
    told = finished.environment(TIDEMARK_DATA_ROOT=str(finished.data))
    words = [sys.executable, "-c", _EXECUTE, str(FOLDER / name), str(done), str(FOLDER)]
    ran = subprocess.run(words, env=told, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    shown = {
        kind
        for cell in _code_cells(done)
        for output in cell.outputs
        for kind in output.get("data", {})
    }
    assert {"image/png", "text/html"} <= shown


def _code_cells(path: Path) -> list[Any]:
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]
