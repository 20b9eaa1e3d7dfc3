# The two commands are `make demo` and `make test`; both prepare what they need.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo
DEMO_SERVE ?= 1
PACS ?= folder

.PHONY: help demo serve test lint docs map bench lock audit clean

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 10

# The stamp is newer than the lock only after a complete installation, so an interrupted one is repeated.
$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

demo: $(VENV)/.installed  ## Make demo studies, segment and measure one, then serve them with the viewer (DEMO_SERVE=0: do not serve)
	rm -rf $(DEMO)
	$(BIN)/braintumor phantom --output $(DEMO)/study
	$(BIN)/braintumor run $(DEMO)/study/visit-1 --output $(DEMO)/results --preview
	@if [ "$(DEMO_SERVE)" != 0 ]; then $(MAKE) --no-print-directory serve; fi

serve: $(VENV)/.installed  ## Serve the demo studies at http://localhost:8000/ (PACS=orthanc: from a real PACS)
	$(BIN)/braintumor viewer fetch || echo "The viewer could not be fetched; the server runs without it."
	@test -d $(DEMO)/study/patient-2 || $(BIN)/braintumor phantom --seed 1 --output $(DEMO)/study/patient-2
	@test -d $(DEMO)/study/patient-3 || $(BIN)/braintumor phantom --seed 2 --output $(DEMO)/study/patient-3
	$(BIN)/python deploy/dev/demo.py $(DEMO)/study --pacs $(PACS)

test: $(VENV)/.installed lint  ## Lint, type-check and run every test with coverage
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --cov --cov-report=term --cov-fail-under=90

lint: $(VENV)/.installed  ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

docs: $(VENV)/.installed  ## Build the documentation as a site into site/ (read it with `python -m http.server -d site`)
	$(BIN)/mkdocs build --strict

map: $(VENV)/.installed  ## Build the MAP image with docker, podman or buildah
	$(BIN)/braintumor package

bench: $(VENV)/.installed  ## Speed and memory, beside MONAI and the Deploy SDK
	$(BIN)/python -m benchmarks.run

lock:  ## Write down the exact versions that are installed (after `pip install -e .[...]` of a change)
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > requirements.lock

audit: $(VENV)/.installed  ## Known vulnerabilities in what is installed
	$(BIN)/pip-audit --skip-editable

clean:  ## Remove the demo and every cache
	rm -rf $(DEMO) site .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
