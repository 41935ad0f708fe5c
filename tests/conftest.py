"""Fixtures: the project's own commands on small real data, and a server to fetch it from."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tidemark.config import Study, read_studies
from tidemark.context import TidemarkContext

PROJECT = Path(__file__).parents[1]
EMBEDDED = PROJECT / "data/01_raw/returns"

os.environ["DO_NOT_TRACK"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


# Folders whose modules take minutes; one that begins last is waited for by an idle process.
_LONG = {"commands", "crash", "evaluation", "notebooks"}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest; within both halves the order stays a random one."""
    items.sort(key=lambda item: item.path.parent.name not in _LONG)


@dataclass
class Workplace:
    """A data root and an MLflow store of a test's own, and the commands on them."""

    root: Path
    prices: Path

    @property
    def data(self) -> Path:
        """Where runs write."""
        return self.root / "data"

    @property
    def tracking_uri(self) -> str:
        """The MLflow store."""
        return f"sqlite:///{self.root / 'mlflow.db'}"

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment that commands run in."""
        own = {"MLFLOW_TRACKING_URI": self.tracking_uri, "COLUMNS": "200"}
        return {**os.environ, **own, **more}

    def command(self, *words: str) -> list[str]:
        """Return the words of a kedro command."""
        return [sys.executable, "-m", "kedro", *words]

    def run_words(
        self, *words: str, prices: Path | str | None = None, pipeline: str | None = "returns"
    ) -> list[str]:
        """Return the words of ``kedro run`` on this workplace's data.

        They begin with a pipeline, so that the workplace's small prices are all that is studied; a
        ``--pipeline`` among the words wins. None leaves it to the words, or to Kedro's default:
        every study.
        """
        params = f"prices_file={prices or self.prices},data_root={self.data}"
        chosen = ("--pipeline", pipeline) if pipeline else ()
        return self.command("run", *chosen, *words, "--params", params)

    def kedro(
        self,
        *words: str,
        prices: Path | str | None = None,
        pipeline: str | None = "returns",
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``kedro run`` to its end; the words are those of `run_words`."""
        return subprocess.run(
            self.run_words(*words, prices=prices, pipeline=pipeline),
            cwd=PROJECT,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def mlflow_runs(self, study: str = "returns") -> list[Any]:
        """All runs of a study in this workplace's store, newest first."""
        from mlflow import MlflowClient

        client = MlflowClient(self.tracking_uri)
        experiment = client.get_experiment_by_name(study)
        return client.search_runs([experiment.experiment_id]) if experiment else []


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create an empty MLflow database, once, because that takes seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    code = "import sys, mlflow; mlflow.MlflowClient(sys.argv[1]).search_experiments()"
    words = [sys.executable, "-c", code, f"sqlite:///{path}"]
    subprocess.run(words, check=True, capture_output=True)
    return path


@pytest.fixture(scope="session")
def small_prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four of the embedded stocks over two years, as CSV."""
    prices = pd.read_parquet(EMBEDDED / "prices.parquet")
    chosen = prices["ticker"].isin(["AAPL", "BAC", "GE", "XOM"]) & (prices["date"] >= "2017-01-01")
    path = tmp_path_factory.mktemp("prices") / "small.csv"
    prices[chosen].to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def new_workplace(
    tmp_path_factory: pytest.TempPathFactory, mlflow_store: Path, small_prices: Path
) -> Callable[[], Workplace]:
    """Make workplaces: nothing that one run leaves is seen by another."""

    def make() -> Workplace:
        root = tmp_path_factory.mktemp("workplace")
        shutil.copyfile(mlflow_store, root / "mlflow.db")
        return Workplace(root, small_prices)

    return make


def read_base_studies(conf: Path) -> list[Study]:
    """Read the studies out of the base environment of a configuration, without a context."""
    tree: dict[str, Any] = {}
    for name in ("scenarios", "parameters_cross_asset"):
        tree |= yaml.safe_load((conf / f"base/{name}.yml").read_text(encoding="utf-8"))
    return read_studies(tree)


@pytest.fixture(scope="session")
def studies() -> list[Study]:
    """Read the studies that the project configures."""
    return read_base_studies(PROJECT / "conf")


@dataclass(frozen=True)
class Conf:
    """A copy of the configuration, and what is left of the returns study in it."""

    folder: Path
    cells: Mapping[str, Sequence[str]]

    @property
    def words(self) -> tuple[str, str]:
        """The words by which a command takes it."""
        return "--conf-source", str(self.folder)

    def change(self, name: str, edit: Callable[[dict[str, Any]], Any]) -> None:
        """Change a file of the base environment."""
        change_yaml(self.folder / f"base/{name}.yml", edit)

    def shorten_chain(self) -> None:
        """Leave half a year of the simulated chain."""
        fewer = {"start": "2018-02-01", "settings": {"n_warmup_sessions": 120}}
        self.change("catalog_options", lambda tree: tree["options_data.source_chain"].update(fewer))

    @property
    def nodes(self) -> set[str]:
        """The names of the returns study's nodes."""
        return self.nodes_of("returns")

    def nodes_of(self, pipeline: str) -> set[str]:
        """Name the nodes of a pipeline, as the project's registry builds them."""
        from tidemark.pipeline_registry import slice_pipelines

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="One or more dataset names contain")
            pipelines = slice_pipelines(read_base_studies(self.folder))
        return {node.name for node in pipelines[pipeline].nodes}


def change_yaml(path: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Change a YAML file; comments are lost."""
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    edit(tree)
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")


@pytest.fixture(scope="session")
def make_conf(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Conf]:
    """Copy the configuration, and leave of the returns study what is given of its cells."""

    def make(**cells: Sequence[str]) -> Conf:
        folder = tmp_path_factory.mktemp("conf") / "conf"
        shutil.copytree(PROJECT / "conf", folder)
        conf = Conf(folder, cells)

        def keep(tree: dict[str, Any]) -> None:
            scenarios, models = tree["scenarios"]["returns"], tree["models"]["returns"]
            tree["scenarios"]["returns"] = {
                name: {**scenarios[name], "models": list(kept)} for name, kept in cells.items()
            }
            named = {model for kept in cells.values() for model in kept}
            tree["models"]["returns"] = {name: models[name] for name in models if name in named}

        if cells:
            conf.change("scenarios", keep)
        return conf

    return make


@pytest.fixture(scope="module")
def load_context() -> Iterator[Callable[..., TidemarkContext]]:
    """Load the project's context as a command does, with parameters and options of a session."""
    from kedro.framework.project import configure_project, settings
    from kedro.framework.startup import bootstrap_project

    with pytest.MonkeyPatch.context() as patch:

        def load(params: Mapping[str, Any], **options: Any) -> TidemarkContext:
            patch.setattr("tidemark.context._Active.loader", None)  # nothing is left of another
            bootstrap_project(PROJECT)
            configure_project("tidemark")
            session = settings.SESSION_CLASS.create(
                project_path=PROJECT, runtime_params=dict(params), **options
            )
            context = session.load_context()
            assert isinstance(context, TidemarkContext)
            return context

        yield load


@pytest.fixture
def workplace(new_workplace: Callable[[], Workplace]) -> Workplace:
    """Make a workplace of one test's own."""
    return new_workplace()


@dataclass(frozen=True)
class Answer:
    """What the server sends to one request.

    It waits ``delay_seconds`` before its first byte and ``pause_seconds`` before each byte of
    the body. A ``Content-Length`` among the headers takes the place of the true one.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    pause_seconds: float = 0.0


class ScriptedServer(ThreadingHTTPServer):
    """Serve answers in their order, the last one again and again, and remember what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.daemon_threads = False  # closing waits for them
        self.answers: list[Answer] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.stopping = threading.Event()
        self._lock = threading.Lock()

    def answer(self, **facts: Any) -> None:
        """Add an answer; the words are those of `Answer`."""
        self.answers.append(Answer(**facts))

    def address(self, path: str, user: str = "") -> str:
        """Write the address of a path on this server, for ``NAME:PASSWORD`` if one is given."""
        at = f"{user}@" if user else ""
        return f"http://{at}127.0.0.1:{self.server_port}/{path}"

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on; a handshake that fails says nothing."""
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def take(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Note a request and choose its answer."""
        with self._lock:
            self.paths.append(path)
            self.headers.append(dict(headers))
            return self.answers[min(len(self.paths), len(self.answers)) - 1]


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer

    def do_GET(self) -> None:
        answer = self.server.take(self.path, dict(self.headers))
        self.server.stopping.wait(answer.delay_seconds)
        try:
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if not answer.pause_seconds:
                self.wfile.write(answer.body)
                return
            for number in range(len(answer.body)):
                self.server.stopping.wait(answer.pause_seconds)
                self.wfile.write(answer.body[number : number + 1])
        except ConnectionError:  # whoever asked has given up
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: `paths` holds the requests."""


@pytest.fixture
def scripted_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """Run a server on a free port for one test; a proxy of the environment is passed by."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ScriptedServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.stopping.set()
        server.shutdown()
        thread.join()
