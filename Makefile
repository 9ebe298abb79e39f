# The one developer door. Every target sets up what it needs; needs git, make and a Python >= 3.11 that has venv.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-all check smoke bench bench-discovery bench-semantics bench-applications bench-fidelity \
	bench-privacy bench-attacks bench-peers lock clean

# The first Python on the path that is new enough; `make PYTHON=/path/to/python3 …` chooses another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$python; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(BIN)/uv
# Tests run on this many processes, each with servers of its own. Files start in the order of their names: by default those
# with the fewest tests are last, among them the longest, for which all other processes would wait.
WORKERS ?= auto
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
export UV_NO_PROGRESS := 1
export UV_LINK_MODE ?= copy

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-19s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## make .venv with every pinned dependency, and mirror itself, editable

# uv comes first and by itself, from pip and under the same hashes as everything else. `$(BIN)/python -c ''` notices a
# .venv whose Python has gone.
$(READY): requirements-dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: found no Python >= 3.11; install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@awk '/^[^ #]/ {uv = /^uv==/} uv' requirements-dev.txt > $(VENV)/uv.txt
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(READY)

# What grades mirrors lies beside it; nothing that ships needs it.
GRADING := $(VENV)/.grading
$(GRADING): $(READY) requirements-bench.txt
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-bench.txt
	@touch $(GRADING)

demo: $(READY) ## mirror three linked databases that are made on the spot
	$(BIN)/mirror demo

test: $(GRADING) ## every test but the slow ones, on all four engines
	$(PYTEST)

test-all: $(GRADING) ## every test
	$(PYTEST) -m "slow or not slow"

check: $(READY) ## lint, format, types, layers, container files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile
	$(BIN)/python -c 'import sys, yaml; yaml.safe_load(sys.stdin)' < docker/compose.yaml

# What is shipped, as a user gets it: a wheel made from the sdist, runtime dependencies only, an empty folder.
smoke: $(READY) ## build, install and try what is shipped
	@work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	$(BIN)/python -m build --no-isolation --outdir "$$work/dist" . > "$$work/build.log" || { cat "$$work/build.log" >&2; exit 1; }; \
	ls "$$work/dist"; \
	$(UV) venv --quiet --python $(BIN)/python "$$work/venv"; \
	$(UV) pip install --quiet --compile-bytecode --python "$$work/venv/bin/python" --require-hashes -r requirements.txt; \
	$(UV) pip install --quiet --python "$$work/venv/bin/python" --no-deps "$$work"/dist/*.whl; \
	$(UV) pip check --python "$$work/venv/bin/python"; \
	mkdir "$$work/empty"; cd "$$work/empty"; \
	"$$work/venv/bin/mirror" --help; \
	"$$work/venv/bin/mirror" demo

bench: $(READY) ## measure speed and memory
	@for script in benchmarks/discovery.py benchmarks/mirrors.py; do echo "== $$script"; $(BIN)/python "$$script"; done

bench-discovery: $(READY) ## hide what real databases declare, and print how much of it is discovered
	$(BIN)/python benchmarks/discovery.py --each

bench-semantics: $(READY) ## read the meaning of labelled columns, by name and by values alone
	$(BIN)/python benchmarks/semantics.py --each

# FOLDER holds files of DDL: NAME.pg.sql, NAME.mysql.sql, NAME.sqlite.sql, NAME.duckdb.sql.
bench-applications: $(READY) ## mirror the schemas in FOLDER=…, with 20 invented rows in each relation
	$(BIN)/python benchmarks/applications.py "$(FOLDER)"

DATASETS ?=
bench-fidelity: $(GRADING) ## grade mirrors of held-out halves, DATASETS="FOLDER..." or the usual ones, into docs/fidelity.md
	$(BIN)/python benchmarks/fidelity.py --write docs/fidelity.md $(DATASETS)

bench-privacy: $(READY) ## print what differential privacy costs: scores, seconds and memory, for rows and for aircraft as units
	$(BIN)/python benchmarks/privacy.py

bench-attacks: $(GRADING) ## attack mirrors of DATASETS="FOLDER..." or the usual ones and the demo, into docs/attacks.md
	$(BIN)/python benchmarks/attacks.py --write docs/attacks.md $(DATASETS)

PEERS ?=
bench-peers: $(GRADING) ## fit peers on the same halves, PEERS="--peer NAME --seconds N ..." chooses; each in an environment of its own
	$(BIN)/python benchmarks/peers.py $(PEERS) $(DATASETS)

# No address of a package index is recorded, so the same files serve behind any mirror of it.
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header
lock: $(READY) ## pin the newest dependencies again
	$(LOCK) --upgrade pyproject.toml --output-file requirements.txt
	$(LOCK) --upgrade pyproject.toml --group dev --constraints requirements.txt --output-file requirements-dev.txt
	$(LOCK) --upgrade --group bench --constraints requirements-dev.txt --output-file requirements-bench.txt

clean: ## remove everything that make made
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
