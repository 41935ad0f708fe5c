# Tidemark. `make` lists the targets. ARGS is handed to the command: make run ARGS="--scenario median_impute"

UV_VERSION := 0.13.8

# A Python is used only if it is new enough and can make a virtual environment.
NEW_ENOUGH := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
CANDIDATES := python3.14 python3.13 python3.12 python3.11 python3
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	if $$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1; then echo $$p; break; fi; done)

BIN := .venv/bin
UV := $(BIN)/uv
UV_STAMP := .venv/.uv-$(UV_VERSION)
STAMP := .venv/.stamp

export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help setup run run-all test check format data viz mlflow docs docs-serve lock clean clean-all

help: ## list these targets
	@echo "usage: make TARGET [ARGS=\"...\"]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## fill .venv from requirements.lock (the other targets do this when it is needed)

run: $(STAMP) ## run the returns study
	$(BIN)/kedro run --pipeline returns $(ARGS)

run-all: $(STAMP) ## run every study
	$(BIN)/kedro run $(ARGS)

# Two processes that use all cores each would wait for one another.
test: export OMP_NUM_THREADS := 1
test: export OPENBLAS_NUM_THREADS := 1
test: $(STAMP) ## run the tests
	$(BIN)/pytest $(ARGS)

check: $(STAMP) ## lint, formatting, types, layer contract
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy src
	$(BIN)/lint-imports

format: $(STAMP) ## format the code and fix what ruff can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

data: $(STAMP) ## rebuild the embedded data from its sources and compare (needs the network)
	$(BIN)/python data/rebuild.py --check $(ARGS)

viz: $(STAMP) ## open kedro-viz
	$(BIN)/kedro viz run $(ARGS)

mlflow: $(STAMP) ## open MLflow on port 5000
	$(BIN)/kedro tracking ui $(ARGS)

docs: $(STAMP) ## build the documentation into site/
	$(BIN)/mkdocs build --strict $(ARGS)

docs-serve: $(STAMP) ## show the documentation while it is being written
	$(BIN)/mkdocs serve $(ARGS)

# "fewest": the same versions on every Python, so that results do not depend on which one `setup` found.
lock: $(UV_STAMP) ## compile requirements.lock from pyproject.toml (ARGS=--upgrade takes newer versions)
	$(UV) pip compile pyproject.toml --all-extras --generate-hashes --no-emit-index-url \
		--universal --python-version 3.11 --fork-strategy fewest \
		--custom-compile-command "make lock" --quiet -o requirements.lock $(ARGS)

clean: ## remove what runs wrote under data/ (records not yet synced too), caches and site/
	git clean -fdXq data/0* data/checkpoints data/logs data/quarantine data/outbox \
		data/.hashes.json data/.run.lock data/.run.json
	rm -rf site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

clean-all: clean ## clean, and remove every MLflow run under mlruns/
	git clean -fdXq mlruns

$(STAMP): requirements.lock pyproject.toml $(UV_STAMP)
	$(UV) pip install --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# A .venv that works is kept; one that is missing, too old or broken is made anew.
$(UV_STAMP):
	@if ! $(BIN)/python -c 'import pip; $(NEW_ENOUGH)' >/dev/null 2>&1; then \
		python="$(PYTHON)"; \
		if [ -z "$$python" ]; then \
			echo "Tidemark needs Python 3.11 or newer with venv and ensurepip; none of these is: $(CANDIDATES)." >&2; \
			echo "Install one (on Debian and Ubuntu also python3-venv), or name it: make setup PYTHON=/path/to/python" >&2; \
			exit 1; \
		fi; \
		if ! "$$python" -c '$(NEW_ENOUGH)' >/dev/null 2>&1; then \
			echo "PYTHON=$$python does not run, is older than 3.11, or lacks venv or ensurepip." >&2; \
			exit 1; \
		fi; \
		echo "making .venv with $$python"; \
		"$$python" -m venv --clear .venv; \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@
