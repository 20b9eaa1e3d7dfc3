# The two commands are `make demo` and `make test`; both prepare what they need.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo
DEMO_SERVE ?= 0

.PHONY: help demo test lint bench lock audit clean

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 10

# The stamp is newer than the lock only after a complete installation, so an interrupted one is repeated.
$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

demo: $(VENV)/.installed  ## Make a demo study, segment and measure it, say where the results are
	rm -rf $(DEMO)
	$(BIN)/braintumor phantom --output $(DEMO)/study
	$(BIN)/braintumor run $(DEMO)/study/visit-1 --output $(DEMO)/results --preview

test: $(VENV)/.installed lint  ## Lint, type-check and run every test with coverage
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --cov --cov-report=term --cov-fail-under=90

lint: $(VENV)/.installed  ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed  ## Speed and memory, beside MONAI and the Deploy SDK
	$(BIN)/python -m benchmarks.run

lock:  ## Write down the exact versions that are installed (after `pip install -e .[...]` of a change)
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > requirements.lock

audit: $(VENV)/.installed  ## Known vulnerabilities in what is installed
	$(BIN)/pip-audit --skip-editable

clean:  ## Remove the demo and every cache
	rm -rf $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
