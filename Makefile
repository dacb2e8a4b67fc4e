# `make test` and `make demo` each do everything, from a fresh clone on.
#
# Both need only Python 3.11 or newer and a package index. The package is
# installed as a user would have it (not editable), again whenever a source
# changes; what is installed around it is pinned in constraints.txt.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -q --disable-pip-version-check
INSTALL := $(PIP) install -c constraints.txt
TOOLS := $(VENV)/.tools
PACKAGE := $(VENV)/.package
# Folders are listed too: their time changes when a file goes away.
SOURCES := $(shell find src examples -not -name __pycache__ -not -name '*.pyc')
DEMO := build/demo
# What the tests need beside the core; a user picks.
EXTRAS := parquet,plots,report,search,keras,dask,ray

# The build looks for meson and ninja on the path.
export PATH := $(abspath $(BIN)):$(PATH)
# pyright's wrapper would ask the network whether it is the newest.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: test demo lint sanitize benchmarks clean

test: $(PACKAGE)
	$(BIN)/python -m pytest -n 2 --dist worksteal --doctest-modules --pyargs tests/ thalweg

demo: $(PACKAGE)
	mkdir -p $(DEMO)
	$(BIN)/thalweg fit examples/infrared.csv --target class
	$(BIN)/python examples/digits.py $(DEMO)/digits.csv
	$(BIN)/thalweg fit $(DEMO)/digits.csv --target target --report $(DEMO)/digits.html
	$(BIN)/thalweg predict digits.thalweg $(DEMO)/digits.csv | head -n 6

lint: $(PACKAGE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

# The native kernel with sanitizers: memory, undefined behavior, data races.
sanitize: $(PACKAGE)
	$(BIN)/python tests/sanitize_native.py

benchmarks: $(PACKAGE)
	$(BIN)/python -m benchmarks

clean:
	rm -rf build $(VENV)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The newer pip reads dependency groups.
$(TOOLS): pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) pip
	$(INSTALL) --group build --group dev
	touch $@

$(PACKAGE): $(TOOLS) meson.build README.md LICENSE $(SOURCES)
	$(INSTALL) --no-build-isolation '.[$(EXTRAS)]'
	touch $@
