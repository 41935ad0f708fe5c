"""Kedro's settings for the project.

Hooks are not here but in ``pyproject.toml``, as an entry point: worker processes that are
spawned would drop ``HOOKS`` in silence.
"""

from tidemark.config import companion_file, expand_path, say_today
from tidemark.context import TidemarkContext, TidemarkSession
from tidemark.datasets.catalog import TidemarkCatalog
from tidemark.loader import TidemarkConfigLoader

# A class of a module, because Kedro's own is made for each session and does not pickle.
DATA_CATALOG_CLASS = TidemarkCatalog
CONTEXT_CLASS = TidemarkContext
SESSION_CLASS = TidemarkSession
CONFIG_LOADER_CLASS = TidemarkConfigLoader

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "config_patterns": {
        "parameters": ["parameters*", "parameters*/**", "**/parameters*", "scenarios*"],
        "mlflow": ["mlflow*"],
        "retries": ["retries*"],
        "alerts": ["alerts*"],
    },
    "merge_strategy": {
        name: "soft" for name in ("parameters", "globals", "mlflow", "retries", "alerts")
    },
    "custom_resolvers": {
        "exogenous_for": companion_file,
        "expand": expand_path,
        "today": say_today,
    },
}

# kedro-viz's hooks write statistics beside the project, where no run should write, and warn in
# spawned workers; telemetry's hooks have nothing to do (see .telemetry).
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-viz", "kedro-telemetry")
