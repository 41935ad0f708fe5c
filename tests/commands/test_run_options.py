"""The options study by the command line: a short simulated chain, recorded chains, no networks."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tidemark.domain.keras_models import import_keras

PROJECT = Path(__file__).parents[2]
SHARED = PROJECT.parent / "shared/data/options"
SPX = SHARED / "spx_cboe_eod_20190425_20190531.parquet"
OPTIONSDX = SHARED / "optionsdx_raw"

pytestmark = pytest.mark.slow

CELLS = {
    "options_baseline": ["historical_vol", "surface_by_strike"],
    "drop_missing": ["ridge_residual"],
    "surface_impute": ["hist_gradient_boosting_residual", "gru_residual"],
    "liquid_baseline": ["surface_by_strike"],
    "liquid_only": ["ridge"],
    "unseen_baseline": ["surface_by_strike"],
    "unseen_expiries": ["ridge_residual"],
    "circular_baseline": ["own_iv"],
    "circular_same_day": ["linear"],
}
TINY = {"units": 4, "epochs": 2, "seeds": [1, 2], "validation_sessions": 10, "length": 5}
# What a process does that starts without Keras: its import system knows of none.
WITHOUT_KERAS = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("keras", "jax", "h5py"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
import importlib.util as util
find = util.find_spec
def find_spec(name, package=None):
    try:
        return find(name, package)
    except ModuleNotFoundError:
        return None
util.find_spec = find_spec
"""


@dataclass(frozen=True)
class Ran:
    """A place, its configuration, and what the newest command on it has said."""

    place: Any
    conf: Path
    done: subprocess.CompletedProcess[str]

    def text(self, name: str) -> str:
        """Read the newest version of a versioned file below the data."""
        folder = self.place.data / name
        newest = max(folder.glob(f"*/{folder.name}"))
        return str(newest.read_text(encoding="utf-8"))

    def json(self, name: str) -> Any:
        """Read the newest version of a JSON file."""
        return json.loads(self.text(name))


def run(place: Any, conf: Path, *words: str, **environment: str) -> Ran:
    """Run ``kedro run`` on a place's data to its end."""
    given = [word for word in words if "=" not in word]
    params = [f"data_root={place.data}", *(word for word in words if "=" in word)]
    done = subprocess.run(
        place.command("run", "--conf-source", str(conf), *given, "--params", ",".join(params)),
        cwd=PROJECT,
        env=place.environment(**environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return Ran(place, conf, done)


@pytest.fixture(scope="module")
def short_conf(make_conf: Callable[..., Any]) -> Path:
    """Copy the configuration, with half a year of quotes and a few small models."""

    def keep(tree: dict[str, Any]) -> None:
        for scenario, models in CELLS.items():
            tree["scenarios"]["options"][scenario]["models"] = models
        tree["models"]["options"]["gru_residual"] |= TINY

    conf = make_conf()
    conf.shorten_chain()
    conf.change("scenarios", keep)
    folder: Path = conf.folder
    return folder


@pytest.fixture(scope="module")
def finished(new_workplace: Callable[[], Any], short_conf: Path) -> Ran:
    """Run the study once."""
    return run(new_workplace(), short_conf, "--pipeline", "options")


def test_run_ends_well_and_every_report_says_that_quotes_are_simulated(finished: Ran) -> None:
    """Status 0, an answer for each group, and the notice in each document."""
    assert finished.done.returncode == 0, finished.done.stderr
    assert "Traceback" not in finished.done.stderr
    assert finished.done.stdout.count("│ answer") == 4
    folder = finished.place.data / "08_reporting/options"
    documents = [path.name for path in folder.iterdir() if path.suffix in (".md", ".html")]
    assert len(documents) == 9
    for name in documents:
        assert "quotes are simulated: no market ever showed them" in finished.text(
            f"08_reporting/options/{name}"
        )


def test_pictures_of_reports_are_there(finished: Ran) -> None:
    """Every picture that a Markdown file shows is there."""
    folder = finished.place.data / "08_reporting/options"
    for name in ("dq_report.md", "price_report.md"):
        path = max((folder / name).glob(f"*/{name}"))
        links = re.findall(r"!\[[^]]*\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
        assert links
        assert [link for link in links if not (path.parent / link).is_file()] == []


def test_every_table_says_what_is_circular(finished: Ran) -> None:
    """The word stands in the names of cells; the group has no verdict, and no audit failed."""
    table = pd.read_csv(
        max((finished.place.data / "08_reporting/options/scenario_table.csv").glob("*/*.csv"))
    )
    known = table[table["model"].isin(["own_iv"]) | table["audit"].eq("circular by design")]
    assert len(known) == 2
    assert known["scenario"].str.contains("circular").all()
    certificate = finished.json("08_reporting/options/certificate.json")
    assert certificate["passed"]
    words = {answer["group"]: answer["word"] for answer in _findings(finished)["answers"]}
    assert words["circular"] == "Circular"
    assert set(words) == {"all_quotes", "liquid_only", "unseen_expiries", "circular"}


def _findings(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = ran.json("08_reporting/options/findings.json")
    return found


def test_cells_of_a_group_are_scored_on_the_same_rows(finished: Ran) -> None:
    """And groups on different ones: liquid quotes, and expirations that nobody has learnt from."""
    hashes: dict[str, set[str]] = {}
    for scenario, models in CELLS.items():
        for model in models:
            outcome = finished.json(f"08_reporting/outcomes/{scenario}/{model}/outcome.json")
            assert outcome["status"] == "ok", outcome["note"]
            hashes.setdefault(outcome["group"], set()).add(outcome["scored_hash"])
    assert {len(one) for one in hashes.values()} == {1}
    assert hashes["all_quotes"] == hashes["circular"]
    assert len(set().union(*hashes.values())) == 3


def test_unseen_expirations_are_learnt_by_nobody(finished: Ran) -> None:
    """No contract that is scored has an expiration of the rows that are learnt from."""
    folder = finished.place.data / "05_model_input/unseen_expiries"
    rows = pd.concat([pd.read_parquet(folder / f"{part}.parquet") for part in ("train", "test")])
    expirations = rows["contract"].str.split(" ").str[1]
    learnt, scored = (set(expirations[rows[name]]) for name in ("is_learnt", "is_scored"))
    assert learnt
    assert scored
    assert not learnt & scored


def test_network_is_stored_in_both_formats_and_its_epochs_reach_mlflow(finished: Ran) -> None:
    """Plain Keras reads both; each seed's losses have a step for each epoch."""
    keras = import_keras()
    folder = finished.place.data / "06_models/surface_impute/gru_residual"
    for name in ("model.keras", "model.h5"):
        model = keras.models.load_model(next((folder / name).glob(f"*/{name}")), compile=False)
        assert [tuple(one.shape[1:]) for one in model.inputs] == [(5, 21), (5,)]
    scores = finished.json("06_models/surface_impute/gru_residual/cv_scores.json")
    assert scores["seeds"]["n"] == 2
    assert len(set(scores["weights"].values())) == 2
    from mlflow import MlflowClient

    client = MlflowClient(finished.place.tracking_uri)
    (cell,) = [
        one
        for one in finished.place.mlflow_runs("options")
        if one.data.tags.get("tidemark.model") == "gru_residual"
    ]
    history = client.get_metric_history(cell.info.run_id, "validation_rmse.seed_2.fit_1")
    assert sorted(one.step for one in history) == [1, 2]
    assert cell.data.metrics["mae_price"] > 0
    assert [one.path for one in client.list_artifacts(cell.info.run_id, "network")] == [
        "network/model.keras"
    ]


def test_audits_passed(finished: Ran) -> None:
    """Nothing that models see was computed from the prices that they predict."""
    folder = finished.place.data / "05_model_input"
    for name in ("options", "drop_missing", "surface_impute", "liquid_only", "unseen_expiries"):
        audit = json.loads((folder / name / "audit.json").read_text(encoding="utf-8"))
        assert (audit["passed"], audit["findings"]) == (True, [])


def test_quarantine_holds_every_row_that_left(finished: Ran) -> None:
    """As many as the report says, each with its reason."""
    report = finished.json("08_reporting/options/validation_report.json")["tables"]["chain"]
    rows = pd.read_parquet(finished.place.data / "quarantine/options/rows.parquet")
    assert rows["reason"].value_counts().to_dict() == report["rows_quarantined"]
    assert report["rows"] == report["rows_kept"] + len(rows)


def test_second_run_has_nothing_to_do_and_one_without_keras_says_not_installed(
    finished: Ran, new_workplace: Callable[[], Any], tmp_path: Path
) -> None:
    """Without the extra `deep` the network's outcome is its own, in every table, with status 0."""
    place = new_workplace()
    shutil.copytree(finished.place.data, place.data)
    again = run(place, finished.conf, "--pipeline", "options")
    assert (again.done.returncode, "Nothing to do" in again.done.stderr) == (0, True)

    (tmp_path / "sitecustomize.py").write_text(WITHOUT_KERAS, encoding="utf-8")
    bare = run(
        place,
        finished.conf,
        *("--pipeline", "options", "models.options.gru_residual.epochs=1"),
        PYTHONPATH=str(tmp_path),
    )
    assert bare.done.returncode == 0, bare.done.stderr
    outcome = bare.json("08_reporting/outcomes/surface_impute/gru_residual/outcome.json")
    assert outcome["status"] == "not installed"
    assert "install the extra 'deep'" in outcome["note"]
    for name in ("scenario_summary.md", "price_report.md", "model_evaluation_memo.md"):
        lines = bare.text(f"08_reporting/options/{name}").splitlines()
        assert [line for line in lines if "gru_residual" in line and "not installed" in line]
    for name in ("report.html", "price_report.html"):
        assert "not installed" in bare.text(f"08_reporting/options/{name}")


# --- recorded chains --------------------------------------------------------------------------


@pytest.mark.skipif(not SPX.is_file(), reason=f"needs the recorded chain '{SPX}'")
def test_spx_month_is_checked_and_reported(new_workplace: Callable[[], Any]) -> None:
    """The holiday leaves whole, missing sessions are told, parity holds on the other strikes."""
    ran = run(
        new_workplace(),
        PROJECT / "conf",
        *("--env", "spx", "--to-nodes", "options_data.accept", f"chain_file={SPX}"),
    )
    assert ran.done.returncode == 0, ran.done.stderr
    table = ran.json("08_reporting/options/validation_report.json")["tables"]["chain"]
    assert table["rows"] == 339_352
    assert table["whole_days"] == ["2019-05-27"]
    assert table["missing_sessions"] == ["2019-05-10", "2019-05-17"]
    assert table["rows_quarantined"]["off_session_day"] == 13_324
    assert "identical_rows" not in table["rows_quarantined"]
    check = ran.json("08_reporting/options/market_check.json")
    assert check["notice"] is None
    assert check["parity"]["pairs"] > 60_000
    assert check["parity"]["share_within"] > 0.99
    assert check["vendor"]["median_points"]["all"] == pytest.approx(0.058, abs=0.005)
    text = ran.text("08_reporting/options/dq_report.md")
    assert "Days that left whole: 2019-05-27." in text
    assert "| SPXW | 2019-06-21 |" in text


@pytest.mark.skipif(not OPTIONSDX.is_dir(), reason=f"needs the recorded chain '{OPTIONSDX}'")
def test_optionsdx_month_is_counted_and_explained(new_workplace: Callable[[], Any]) -> None:
    """Negative volatilities, crossed quotes and expiry-day rows, as the sample is known to have."""
    ran = run(
        new_workplace(),
        PROJECT / "conf",
        *("--env", "optionsdx", "--to-nodes", "options_data.accept", f"chain_file={OPTIONSDX}"),
    )
    assert ran.done.returncode == 0, ran.done.stderr
    table = ran.json("08_reporting/options/validation_report.json")["tables"]["chain"]
    assert table["left_by_type"]["crossed"] == {"call": 25, "put": 22}
    assert table["rows_with"]["zero_day"] == 2 * 334
    text = ran.text("08_reporting/options/dq_report.md")
    assert "41 volatilities of calls and 311 of puts that the vendor states are negative" in text
    assert "47 (25 calls, 22 puts) | quotes have a bid above their ask" in text


@pytest.mark.skipif(not OPTIONSDX.is_dir(), reason=f"needs the recorded chain '{OPTIONSDX}'")
def test_chain_whose_schema_has_drifted_is_refused(
    new_workplace: Callable[[], Any], tmp_path: Path
) -> None:
    """A column under another name ends the run with status 2, and the message names both."""
    source = next(path for path in sorted(OPTIONSDX.iterdir()) if path.suffix == ".txt")
    lines = source.read_text(encoding="utf-8").splitlines()[:50]
    drifted = tmp_path / "drifted.txt"
    text = "\n".join([lines[0].replace("[C_BID]", "[C_BIDS]"), *lines[1:]])
    drifted.write_text(text, encoding="utf-8")
    ran = run(
        new_workplace(),
        PROJECT / "conf",
        *("--env", "optionsdx", "--to-nodes", "options_data.accept", f"chain_file={drifted}"),
    )
    assert ran.done.returncode == 2, ran.done.stderr
    assert "C_BID" in ran.done.stderr
    assert not (ran.place.data / "02_intermediate/options/contracts.parquet").exists()
