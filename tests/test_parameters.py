"""Parameters that do not fit are refused with what would, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project

from tidemark.domain.chain_checks import ALWAYS_LEAVE
from tidemark.errors import ConfigError
from tidemark.loader import TidemarkConfigLoader
from tidemark.parameters import check_parameters

ROOT = Path(__file__).parents[1]

Edit = Callable[[dict[str, Any]], Any]
CHECKS = ("options", "validation", "checks")


@pytest.fixture
def check(make_conf: Callable[..., Any]) -> Callable[[str, Edit], None]:
    """Check the project's configuration as every command does, after a change to one file."""
    bootstrap_project(ROOT)

    def check_changed(file: str, edit: Edit) -> None:
        conf = make_conf()
        conf.change(file, edit)
        loader = TidemarkConfigLoader(
            conf_source=str(conf.folder), env="base", **settings.CONFIG_LOADER_ARGS
        )
        check_parameters(loader, {})

    return check_changed


def _put(*place: str, value: Any) -> Edit:
    """Return an edit that puts a value where the keys lead; None takes the last key out."""

    def edit(tree: dict[str, Any]) -> None:
        for key in place[:-1]:
            tree = tree.setdefault(key, {})
        if value is None:
            del tree[place[-1]]
        else:
            tree[place[-1]] = value

    return edit


def _of_options(name: str, group: str, *models: str, **preprocess: Any) -> Edit:
    """Return an edit that adds a scenario to the options study: baselines if nothing is treated."""
    scenario: dict[str, Any] = {"group": group, "models": list(models)}
    if preprocess:
        scenario["preprocess"] = preprocess
    return _put("scenarios", "options", name, value=scenario)


def _name_network_among_regimes(tree: dict[str, Any]) -> None:
    """Ask a network for densities."""
    tree["models"]["cross_asset"]["deep"] = {"estimator": "gru"}
    tree["scenarios"]["cross_asset"]["equity_fx"]["models"].append("deep")


@pytest.mark.parametrize(
    ("file", "edit", "words"),
    [
        (
            "scenarios",
            _of_options("mine", "liquid", "ridge", missing="drop"),
            [
                "group of scenarios.options.mine (options.groups) 'liquid'",
                "Did you mean 'liquid_only'?",
                "all_quotes, circular, liquid_only, unseen_expiries",
            ],
        ),
        (
            "scenarios",
            _of_options("mine", "next_day", "surface_by_strike"),
            ["group of scenarios.options.mine (options.groups) 'next_day'"],
        ),
        (
            "scenarios",
            _of_options("circular_mine", "all_quotes", "ridge", same_day=True),
            [
                "'circular_mine' is given today's own price in other words",
                "its group all_quotes is not circular",
                "is_circular: true",
            ],
        ),
        (
            "scenarios",
            _of_options("mine", "liquid_only", "surface_by_strike", "own_iv"),
            ["'mine' is given today's own price", "its group liquid_only is not circular"],
        ),
        (
            "scenarios",
            _of_options("mine", "circular", "ridge", same_day=True),
            ["'mine' is circular, and its name has to say so", "Rename it, to circular_mine"],
        ),
        (
            "parameters_options",
            _put("options", "groups", "circular", value={}),
            ["its group circular is not circular"],
        ),
        (
            "parameters_options",
            _put("options", "groups", "liquid_only", value={"max_spred": 0.1}),
            ["options.groups.liquid_only.max_spred"],
        ),
        (
            "scenarios",
            _of_options("mine", "all_quotes", "ridge", missing="keep"),
            ["scenarios.options.mine.preprocess.missing: ", "'drop' or 'surface'"],
        ),
        (
            "scenarios",
            _put(
                "scenarios",
                "options",
                "mine",
                value={"group": "all_quotes", "task": "regimes", "preprocess": {}, "models": ["x"]},
            ),
            ["task in scenarios.options.mine 'regimes'", "Those that exist: forecast"],
        ),
        (
            "scenarios",
            _name_network_among_regimes,
            ["'equity_fx' asks for regimes; deep (gru) gives none. Take one of single_regime"],
        ),
        (
            "parameters_options",
            _put(*CHECKS, "crossed", value=None),
            ["options.validation.checks: ", "the table lacks ['crossed'] and has unknown none"],
        ),
        (
            "parameters_options",
            _put(*CHECKS, "crosed", value={"action": "warn"}),
            ["options.validation.checks: ", "lacks none and has unknown ['crosed']"],
        ),
        (
            "parameters_options",
            _put(*CHECKS, "old_data", value={"action": "quarantine"}),
            ["old_data is no fault of single rows: it can refuse or warn"],
        ),
        *(
            (
                "parameters_options",
                _put(*CHECKS, name, value={"action": "warn"}),
                [f"{name} must refuse or quarantine: such rows have no place"],
            )
            for name in ALWAYS_LEAVE
        ),
        (
            "parameters_options",
            _put("options", "universe", "warm_up_sessions", value=20),
            ["universe.warm_up_sessions is 20", "below pricing.volatility_sessions, 21"],
        ),
        (
            "parameters_options",
            _put("options", "audit", "exogenous_delay_days", value=0),
            ["audit.exogenous_delay_days is 0", "it must be at least 1"],
        ),
        (
            "parameters",
            _put("modelling", "simpler", "gru", value={"estimator": "ridge"}),
            ["simpler.gru: a network stands in for nothing, and nothing for a network"],
        ),
        (
            "parameters",
            _put("modelling", "simpler", "poly2", value={"estimator": "gru"}),
            ["simpler.poly2: a network stands in for nothing, and nothing for a network"],
        ),
    ],
)
def test_check_parameters_of_options_that_do_not_fit_are_refused_with_what_would(
    check: Callable[[str, Edit], None], file: str, edit: Edit, words: list[str]
) -> None:
    """What says today's price says so by group and name; tables are whole; networks stand alone."""
    with pytest.raises(ConfigError) as caught:
        check(file, edit)

    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("file", "edit"),
    [
        ("scenarios", _of_options("mine", "liquid_only", "gru", "ridge", missing="drop")),
        ("scenarios", _of_options("my_circular_one", "circular", "ridge", same_day=True)),
        ("scenarios", _of_options("mine", "circular", "ridge", same_day=False)),
        ("scenarios", _of_options("circular_mine", "circular", "own_iv")),
        ("scenarios", _put("scenarios", "options", "circular_same_day", value=None)),
        ("parameters_options", _put("options", "groups", "mine", value={"hold_out_every": 2})),
        ("parameters_options", _put(*CHECKS, "zero_day", value={"action": "quarantine"})),
        ("parameters_options", _put(*CHECKS, "crossed", value={"action": "warn", "bound": 9})),
        ("parameters_options", _put("options", "universe", "warm_up_sessions", value=21)),
        ("parameters", _put("modelling", "simpler", value={"poly2": {"estimator": "linear"}})),
    ],
)
def test_check_parameters_of_options_that_fit_are_accepted(
    check: Callable[[str, Edit], None], file: str, edit: Edit
) -> None:
    """The guards refuse what is wrong and nothing else."""
    check(file, edit)
