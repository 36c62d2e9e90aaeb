# make demo | make test: each sets everything up first, in .venv, and nothing outside this folder.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
JOBS ?= 2

.PHONY: help setup demo test check bench docs clean

help:
	@echo "make setup   a virtual environment in .venv with convsmith in it"
	@echo "make demo    the main job on 1,797 real handwritten digits; opens nothing, leaves runs/demo/report.html"
	@echo "make test    the tests"
	@echo "make check   formatting, lint and types"
	@echo "make bench   the measurements of docs/bench.md"
	@echo "make docs    the pages of docs/, with the reference of the Python names, in site/"
	@echo "make clean   remove what the above made, but for runs/"

setup: $(READY)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "convsmith needs Python 3.11 or newer; $$($(PYTHON) --version) was found. Try: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Setting up .venv (PyTorch is large: several minutes and about 6 GB the first time) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
	@echo "Done: $(BIN)/convsmith"

demo: setup
	@$(BIN)/convsmith demo

test: setup
	@echo "Running the tests ..."
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

check: setup
	@$(BIN)/ruff format --check src tests bench
	@$(BIN)/ruff check src tests bench
	@$(BIN)/mypy

bench: setup
	@$(BIN)/python bench/all.py

docs: .venv/.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

.venv/.docs: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis dist site
	find . -name __pycache__ -prune -exec rm -rf {} +
