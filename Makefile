# From a bare clone, with Python 3.11 or later, its pip, and a package registry:
#
#     make demo     the whole room on this machine: simulators, daemon, broker; ends with a verified record
#     make test     formatting, lint, types and every test
#
# Everything goes into .venv, from requirements.lock, whose hashes pip checks. Another Python: make PYTHON=python3.12
# Another demo: make demo DEMO_ARGS="--speed 10"

PYTHON ?= python3
DEMO_ARGS ?=
PYTEST_ARGS ?=
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help install demo test lint format bench docs lock clean

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

install: $(INSTALLED)

# Without pip of its own: Debian's python3 cannot put one there unless python3-venv is installed, and needs not to.
$(INSTALLED): requirements.lock pyproject.toml hatch_build.py
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; this is " + sys.version.split()[0] \
		+ ". Name another: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv --clear --without-pip .venv
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --require-hashes --only-binary :all: -r requirements.lock
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(INSTALLED)
	$(BIN)/esi-room demo $(DEMO_ARGS)

test: lint
	$(BIN)/pytest -n auto $(PYTEST_ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

# What is generated from the code, and tested for freshness.
docs: $(INSTALLED)
	$(BIN)/esi-room check --schema > docs/room.schema.json
	$(BIN)/python -m esi_room.outputs.asyncapi --write docs
	$(BIN)/python -m esi_room.carm.conformance > docs/conformance.md

# Needs uv on the path (pip install uv). The build tools are locked as well: nothing is fetched unhashed.
lock:
	printf 'hatchling>=1.27\neditables>=0.5\nnodejs-wheel-binaries>=22\n' | uv pip compile --universal --python-version 3.11 --all-extras \
		--generate-hashes --no-emit-index-url --custom-compile-command "make lock" --quiet \
		pyproject.toml - --output-file requirements.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
