# Every command a developer needs; each sets up what it uses. Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
MODELS := .venv-models
export OMP_WAIT_POLICY := PASSIVE

.PHONY: setup demo test test-slow setup-models test-models

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

setup-models: $(MODELS)/.installed

# a second environment: torchvision needs the CUDA build of torch (7 GB; runs without a GPU)
$(MODELS)/.installed: pyproject.toml constraints.txt constraints-models.txt
	$(PYTHON) -m venv $(MODELS)
	grep -v '^torch==' constraints.txt | cat - constraints-models.txt > $(MODELS)/constraints.txt
	PIP_CONSTRAINT=$(MODELS)/constraints.txt $(MODELS)/bin/python -m pip install --quiet torch torchvision
	PIP_CONSTRAINT=$(MODELS)/constraints.txt $(MODELS)/bin/python -m pip install --quiet --editable '.[models,test]'
	touch $@

test-models: setup-models
	OMP_NUM_THREADS=1 $(MODELS)/bin/python -m pytest -q -n 2 -m models $$(grep -rl --include='*.py' 'mark\.models' tests)
