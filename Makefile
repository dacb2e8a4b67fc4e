# Each target does everything that it needs, from a fresh clone on.
#
# They need only Python 3.11 or newer and a package index; what is installed is
# pinned in constraints.txt. `make check` works on the sources themselves: it
# installs them editable, and Python rebuilds the kernel when its sources change.
# `make test` and the rest install the package as a user would have it, again
# whenever a source changes. Both share one environment: the one takes the place
# of the other.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -q --disable-pip-version-check
INSTALL := $(PIP) install -c constraints.txt
TOOLS := $(VENV)/.tools
PYTHON_ONLY := $(VENV)/.python-only
PACKAGE := $(VENV)/.package
EDITABLE := $(VENV)/.editable
# Folders are listed too: their time changes when a file goes away.
SOURCES := $(shell find src examples -not -name __pycache__ -not -name '*.pyc')
MINIMUM := $(VENV)-minimum
DEMO := build/demo
# What the tests need beside the core; a user picks. MLflow is left out: its tests run
# where it is installed, as it asks for an older pyarrow than the newest.
EXTRAS := parquet,excel,plots,report,search,keras,dask,ray,serve,tensorboard

# The build looks for meson and ninja on the path.
export PATH := $(abspath $(BIN)):$(PATH)
# pyright's wrapper would ask the network whether it is the newest.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

# What `make check` leaves out; pyproject.toml says what each marker means.
SHARP := not (slow or integration or browser or keras or dask or ray or postgres or gpu)
# JAX's programs are compiled once and kept.
PROGRAMS := JAX_COMPILATION_CACHE_DIR=$(abspath $(VENV))/.programs \
  JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0

.PHONY: check test scipy-tests coverage smoke test-minimum demo lint style types sharp sanitize \
  benchmarks clean

check: $(EDITABLE)
	@$(MAKE) --no-print-directory -j 2 --output-sync style types sharp

TEST := $(BIN)/python -m pytest -n 2 --dist worksteal --doctest-modules

test: $(PACKAGE)
	$(TEST) --pyargs tests/ thalweg

# All of SciPy's own tests of what thalweg has under the same name. `make test` runs most.
scipy-tests: $(PACKAGE)
	ALL_SCIPY_TESTS=1 $(BIN)/python -m pytest -q tests/integration

# The branches that the sharp tests take, and the public functions that none of them
# calls. It fails on no number. Coverage doubles the time of a test, hence these alone.
coverage: $(PACKAGE)
	$(TEST) -m "$(SHARP)" --cov=thalweg --cov-branch \
	  --cov-report=json:build/coverage.json --cov-report=term:skip-covered \
	  --pyargs tests/ thalweg
	$(BIN)/python tests/architecture/uncovered.py build/coverage.json

# Whether another Python builds, imports, trains and predicts: `make smoke
# PYTHON=python3.13 VENV=.venv-3.13`.
smoke: $(PYTHON_ONLY)
	$(BIN)/python -m pytest -q -m "$(SHARP)" tests/core
	mkdir -p build/smoke
	cd build/smoke && $(abspath $(BIN))/thalweg fit $(CURDIR)/examples/infrared.csv --target class
	cd build/smoke && $(abspath $(BIN))/thalweg predict infrared.thalweg $(CURDIR)/examples/infrared.csv

# The suite on the lower bounds of every dependency, in an environment of its own.
test-minimum: $(MINIMUM)/.package
	$(MINIMUM)/bin/python -m pytest -n 2 --dist worksteal tests/

demo: $(PACKAGE)
	mkdir -p $(DEMO)
	$(BIN)/thalweg fit examples/infrared.csv --target class
	$(BIN)/python examples/digits.py $(DEMO)/digits.csv
	$(BIN)/thalweg fit $(DEMO)/digits.csv --target target --report $(DEMO)/digits.html
	$(BIN)/thalweg predict digits.thalweg $(DEMO)/digits.csv | head -n 6

lint: $(PACKAGE)
	@$(MAKE) --no-print-directory style types

# import-linter does not see the folders of an editable package through its finder.
LINT_IMPORTS := import sys; \
  sys.meta_path[:] = [f for f in sys.meta_path if 'Mesonpy' not in type(f).__name__]; \
  from importlinter.cli import lint_imports_command; lint_imports_command()

# These three work on the sources, with whatever is installed.
style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=src $(BIN)/python -c "$(LINT_IMPORTS)"

types:
	$(BIN)/pyright --pythonpath $(BIN)/python

sharp:
	$(PROGRAMS) $(BIN)/python -m pytest -q -n 2 -m "$(SHARP)" --ignore-glob='*/test_keras*'

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

# The package with its core alone.
$(PYTHON_ONLY): pyproject.toml meson.build README.md LICENSE $(SOURCES) | $(BIN)/python
	$(INSTALL) pip
	$(INSTALL) --group build pytest hypothesis
	$(INSTALL) --no-build-isolation .
	touch $@

$(PACKAGE): $(TOOLS) meson.build README.md LICENSE $(SOURCES)
	rm -f $(EDITABLE)
	$(INSTALL) --no-build-isolation '.[$(EXTRAS)]'
	touch $@

$(MINIMUM)/.package: constraints-minimum.txt pyproject.toml meson.build $(SOURCES)
	$(PYTHON) -m venv $(MINIMUM)
	$(MINIMUM)/bin/python -m pip install -q pip==$(shell sed -n 's/^pip==//p' constraints.txt)
	$(MINIMUM)/bin/python -m pip install -q -c constraints-minimum.txt \
	  --group build --group dev '.[$(EXTRAS)]'
	touch $@

$(EDITABLE): $(TOOLS) $(shell find . -name meson.build -not -path './build/*')
	rm -f $(PACKAGE)
	$(INSTALL) --no-build-isolation -e '.[$(EXTRAS)]'
	touch $@
