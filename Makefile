# Every target sets up what it needs first; a second run takes no time. Another interpreter: make PYTHON=python3.12 ...
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := bash
PYTHON ?= python3
PYTEST_WORKERS ?= 2
PRIVATE ?= embedded
deep: HYPOTHESIS_PROFILE ?= deep
GENERATED ?= tests/stateful tests/properties tests/private/interleavings tests/fuzz tests/faults

BIN := .venv/bin
READY := .venv/.ready
# Runs the rest of a line only where the pinned Scarb is; elsewhere it says so, and the line succeeds.
WITH_SCARB := $(BIN)/python -m scripts tools scarb || exit 0;

.PHONY: help setup devnet build test pythons deep demo audit mutate dist private-build calimero-node bench lint format typecheck check ci lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): requirements.lock requirements-bootstrap.lock pyproject.toml scripts/setup.py
	@$(PYTHON) scripts/setup.py

setup: $(READY) ## Create .venv from the locks

devnet: setup ## Find or build the pinned starknet-devnet
	@$(BIN)/python -m scripts tools devnet

build: setup ## Compile the contracts and write the committed artifacts
	@$(BIN)/python -m scripts build

test: devnet ## Run every test, on real devnets (PYTEST_WORKERS=2)
	@$(WITH_SCARB) scarb --offline cairo-test --workspace
	@$(BIN)/pytest -n $(PYTEST_WORKERS)

pythons: devnet ## Run unit and packaging tests on each supported Python of this machine
	@$(BIN)/python -m scripts pythons

deep: devnet ## Run the generated tests for a night; the seed is printed (HYPOTHESIS_PROFILE=ci: minutes)
	@HYPOTHESIS_PROFILE=$(HYPOTHESIS_PROFILE) $(BIN)/pytest -n $(PYTEST_WORKERS) $(GENERATED)

demo: devnet ## Tell the whole story on a devnet of its own (PRIVATE=calimero: on real private nodes)
	@PRIVATE=$(PRIVATE) $(BIN)/python -m scripts demo

audit: devnet ## Run every test and write target/audit/report.html, for auditors
	@$(BIN)/python -m scripts audit --workers $(PYTEST_WORKERS)

mutate: devnet ## Change the contracts in a thousand ways and see whether the tests notice: hours (MUTATE=--help)
	@$(WITH_SCARB) $(BIN)/python -m scripts mutate $(MUTATE)

dist: setup ## Build the wheel and the sdist into target/dist
	@mkdir -p target/dist
	@$(BIN)/python -c 'from flit_core.buildapi import *; print(build_wheel("target/dist"), build_sdist("target/dist"))'

private-build: setup ## Build the private node's application to WebAssembly and its bundle (KEY=FILE signs it)
	@$(BIN)/python -m scripts private-build $(if $(KEY),--key $(KEY))

calimero-node: setup ## Find or build a real Calimero node: 28 minutes
	@$(BIN)/python -m scripts calimero-node

bench: devnet ## Measure every operation's costs and rewrite docs/costs.*
	@$(BIN)/python -m scripts bench

format: setup ## Format Python and Cairo
	@$(BIN)/ruff check --quiet --select I --fix .
	@$(BIN)/ruff format --quiet .
	@$(WITH_SCARB) scarb fmt --workspace

lint: setup ## Check formatting, style and imports of Python, formatting and style of Cairo
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(WITH_SCARB) scarb fmt --workspace --check && scarb lint --workspace --test --deny-warnings

typecheck: setup ## Check types (mypy --strict)
	@$(BIN)/mypy

check: setup ## Check that everything generated still matches its source
	@$(BIN)/python -m scripts build --check
	@$(BIN)/python -m scripts reference --check
	@$(BIN)/python -m scripts poseidon --check
	@$(BIN)/python -m scripts guards --check
	@$(BIN)/python -m scripts private-build --verify
	@$(BIN)/python -m scripts mutate --check

ci: ## Everything a change must pass
	@.ci/run

lock: ## Rewrite the locks from pyproject.toml
	@$(PYTHON) scripts/setup.py --lock

clean: ## Remove what building and testing made, .venv included
	@rm -rf .venv .tools target .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
