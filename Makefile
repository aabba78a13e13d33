# Every command a developer needs; each sets up what it uses. Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
export OMP_WAIT_POLICY := PASSIVE

.PHONY: setup demo test test-slow

setup: $(BIN)/.installed

# torch first and by its pinned version: an open range may bring several GB of CUDA libraries
$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/rcvd demo --out demo

test: setup
	tools/check

test-slow: setup
	$(BIN)/python -m pytest -q -m slow
