# Everything runs from a clean clone with only Python 3.11+, git and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup run fleet volatility relative pinn quotes american ui test torture benchmarks calibrate check tables format mutants lock clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 14) else "Python 3.11, 3.12 or 3.13 is needed, this is %d.%d; try: make PYTHON=python3.12 ..." % v[:2])'
	@echo "setting up $(VENV) (once; about 3 GB, some minutes)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(READY) ## build the environment

run: $(READY) ## materialize the whole graph on the default data and print the verdicts
	$(BIN)/gated-mamba run

fleet: $(READY) ## the same for every symbol of the price source
	$(BIN)/gated-mamba run --all

volatility: $(READY) ## forecast next-day and next-week variance for every symbol, with verdicts
	$(BIN)/gated-mamba volatility --all

relative: $(READY) ## forecast who will do better than the fleet's median stock, with verdicts
	$(BIN)/gated-mamba relative --all

pinn: $(READY) ## train and gate the option network alone
	$(BIN)/gated-mamba options

quotes: $(READY) ## walk forward over option quotes: those of ML_ASSETS_OPTIONS, else simulated ones
	$(BIN)/gated-mamba quotes

american: $(READY) ## train and gate the network for American options (about 6 minutes)
	$(BIN)/gated-mamba american

ui: $(READY) ## open the Dagster UI on the instance of `make run`
	$(BIN)/gated-mamba ui

test: $(READY) ## run all tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup

torture: $(READY) ## the fault tests in their long form: random kills, signals, damage (about half an hour)
	$(BIN)/python -m pytest -n 2 --dist loadgroup --torture -rA \
		tests/faults tests/acceptance/test_parallel_training.py tests/integration/test_recovery.py tests/integration/test_recovery_processes.py

benchmarks: $(READY) ## Mamba's speed and learning against its peers, into docs/MAMBA_BENCHMARKS.md (about 15 minutes)
	$(BIN)/python -c 'import torch, mambapy, lightgbm' || (echo "first: $(BIN)/pip install -e '.[benchmarks]'"; exit 1)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.report

calibrate: $(READY) ## what the promotion rule does to luck and to skill, into docs/PROMOTION_CALIBRATION.md (about 35 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.calibrate

tables: $(READY) ## renew the tables of gates and settings in README and docs
	$(BIN)/python -m orchestration.catalogue

check: $(READY) ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.house

tables: $(READY) ## renew the tables of gates and settings in README and docs
	$(BIN)/python -m orchestration.catalogue

format: $(READY) ## apply the formatter and the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

mutants: $(READY) ## plant every leak of the catalogue and show which gate kills it
	$(BIN)/python -m tests.mutants

lock: $(READY) ## renew requirements.lock from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--upgrade --extra s3 --extra live --extra dev pyproject.toml -o requirements.lock

clean: ## remove the environment and everything that runs have made
	rm -rf $(VENV) var
