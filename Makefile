# `make demo` and `make test` need nothing but Python 3.11 or newer; both make .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS := .ci/constraints.txt
REPORT := lime-report
# A worker for each core, each with one thread: more were slower.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal
# What is measured decides by itself how many threads there are.
ALL_CORES := env -u OMP_NUM_THREADS -u OPENBLAS_NUM_THREADS -u MKL_NUM_THREADS
# Builds of packages, too, use the pinned versions.
export PIP_CONSTRAINT := $(abspath $(CONSTRAINTS))
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test slow browser docs bench growth lint format wheel clean

help: ## List the targets.
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.package ## Run the example suite on a real network and write its report.
	$(BIN)/pytest example_suite -v --lime-report=$(REPORT) --lime-report-all
	@echo "Open the report in a browser: $(abspath $(REPORT)/index.html)"

test: $(VENV)/.package ## Run the tests against the installed package, but for the slow ones.
	$(PYTEST) -m "not slow"

slow: $(VENV)/.package ## Run the slow tests.
	$(PYTEST) -m slow

browser: $(VENV)/.package ## Run the tests of the report in Chromium; without one they fail.
	PYTEST_LIME_REQUIRE_BROWSER=1 $(BIN)/pytest tests/report

docs: $(VENV)/.package ## Run the walk-throughs of docs and renew their pictures.
	PYTEST_LIME_WRITE_DOCS=1 OMP_NUM_THREADS=1 $(BIN)/pytest tests/docs

bench: $(VENV)/.bench ## Measure speed and memory beside the peers; with ARGUMENTS=--quick in minutes.
	$(ALL_CORES) $(BIN)/python -m benchmarks.bench $(ARGUMENTS)

growth: $(VENV)/.bench ## Measure how time and memory grow; ARGUMENTS=--quick, too.
	$(ALL_CORES) $(BIN)/python -m benchmarks.growth $(ARGUMENTS)

lint: $(VENV)/.package ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.package ## Format the code.
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

wheel: $(VENV)/.package ## Build the wheel into dist.
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## Remove what the other targets made.
	rm -rf $(VENV) $(REPORT) dist build

$(VENV)/.dependencies: pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pytest-lime needs Python 3.11 or newer; say which: make PYTHON=python3.11")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --no-compile '.[demo,test,browser,lint]'
	@# pip would compile on one core; what some packages hold for other versions of Python does not compile.
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true
	@touch $@

# The wheel, not an editable install, so that a file missing from it fails a test.
$(VENV)/.package: $(VENV)/.dependencies $(shell find pytest_lime -type f -not -name '*.pyc')
	$(BIN)/pip install --quiet --no-deps --force-reinstall .
	@touch $@

# Peers that are measured beside ours; no other target needs them.
$(VENV)/.bench: $(VENV)/.package
	$(BIN)/pip install --quiet '.[bench]'
	@touch $@
