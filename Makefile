# The two commands are `make demo` and `make test`; both prepare what they need.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo
DEMO_SERVE ?= 1
PACS ?= folder

.PHONY: help demo serve test test-slow coverage lint js docs map bench lock audit clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 12

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

# One worker a core, and one thread a worker: more would only wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --durations 20 --durations-min 5 --cov

test: $(VENV)/.installed lint  ## Lint, type-check and run the tests, except the campaigns (one file's: .venv/bin/python -m pytest tests/track)
	$(PYTEST) -m "not campaign" --cov-report=

test-slow: $(VENV)/.installed  ## The campaigns: killed processes, browser, both archives, every command of the documents
	$(PYTEST) -m campaign --cov-append --cov-report=

coverage: $(VENV)/.installed  ## Coverage of the tests that ran since the last `make test`, which must be 90 % after both
	$(BIN)/coverage report --fail-under=90

# The linter and the type checker of the viewer's JavaScript; the venv brings Node, npm installs only when the lock has changed.
ohif-config/node_modules/.installed: ohif-config/package-lock.json | $(VENV)/.installed
	$(BIN)/npm ci --prefix ohif-config --ignore-scripts --no-audit --no-fund
	touch $@

js: ohif-config/node_modules/.installed  ## Style and types of the viewer's JavaScript
	$(BIN)/node ohif-config/node_modules/eslint/bin/eslint.js --max-warnings 0 --config ohif-config/eslint.config.js ohif-config deploy/dev/fhir
	$(BIN)/node ohif-config/node_modules/typescript/bin/tsc --project ohif-config/jsconfig.json

lint: $(VENV)/.installed $(if $(NO_JS),,js)  ## Style and types (NO_JS=1: without the JavaScript, where npm reaches no registry)
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
