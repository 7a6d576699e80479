# Everything on a machine that has only Python >= 3.11: `make demo`, `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Data files, where the machine keeps them; without them the tests that need them are skipped.
ifndef MINIGAN_DATA
ifneq ($(wildcard ../shared/data),)
export MINIGAN_DATA := $(abspath ../shared/data)
endif
endif

.PHONY: demo test test-torch lint format clean

# What each command installs: the demo no test tools.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable

$(BIN)/.made:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(BIN)/.demo: pyproject.toml $(BIN)/.made
	$(INSTALL) ".[verify]"
	touch $@

$(BIN)/.installed: pyproject.toml $(BIN)/.made
	$(INSTALL) ".[dev]"
	touch $@

demo: $(BIN)/.demo  ## train the Gaussian GAN and show what it learned; prove the theory to 30 digits
	$(BIN)/minigan train gaussian
	$(BIN)/minigan verify run --profile quick

test: $(BIN)/.installed  ## all tests and doctests
	$(BIN)/python -m pytest -n auto

$(BIN)/.torch: $(BIN)/.installed
	$(INSTALL) ".[dev,torch]"
	touch $@

test-torch: $(BIN)/.torch  ## the tests that compare with PyTorch
	$(BIN)/python -m pytest -m torch

lint: $(BIN)/.installed  ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(BIN)/.installed  ## mend formatting and what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find minigan -name '*.nb[ic]' -delete -o -name '*.nbi.*lock' -delete
