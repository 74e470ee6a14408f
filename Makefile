# Every target makes .venv by itself, from constraints.txt, and a second call finds it made.
# Needed beforehand: a Python of 3.11 or newer with its venv module, make, git.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
BIN := .venv/bin
READY := .venv/.installed
PYTEST_ARGS ?=

# uv reads none of pip's settings: where only pip was told of a package index, tell uv too.
ifeq ($(UV_DEFAULT_INDEX)$(UV_INDEX_URL),)
ifneq ($(PIP_INDEX_URL),)
export UV_DEFAULT_INDEX := $(PIP_INDEX_URL)
endif
endif
# A company's own certificate authority is known to the system, and not to uv's bundled list.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt),)
export UV_SYSTEM_CERTS ?= 1
endif
# Where Python is told to keep no compiled files, each process compiles torch again: 5 of the 8 seconds of its start.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX ?= $(CURDIR)/.pycache

.PHONY: help setup demo test lint format browser

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(READY)  ## make .venv, with everything in it
	@:

demo: $(READY)  ## train on digits with wrong labels, find them, write a report
	$(BIN)/thresher demo

test: lint browser  ## all that CI runs: format, lint, types, doctests, tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal $(PYTEST_ARGS)

# The review page is tested in Debian's Chromium. Where it is neither there nor to be installed, these tests are skipped,
# or fail with THRESHER_BROWSER=required, as in CI.
browser:
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& apt-get update -qq >/dev/null 2>&1 && apt-get install -y -qq chromium >/dev/null 2>&1; } \
		|| echo "chromium is not installed, so the tests of the review page in a browser cannot run" >&2

lint: $(READY)  ## format check, lint, types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: $(READY)  ## format, and mend what lint can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.uv/bin/uv:
	@test -n "$(PYTHON)" || { echo "Thresher needs Python 3.11 or newer, and none was found." >&2; exit 1; }
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet uv

$(READY): pyproject.toml constraints.txt | $(filter .uv/bin/uv,$(UV))
	@test -n "$(PYTHON)" || { echo "Thresher needs Python 3.11 or newer, and none was found." >&2; exit 1; }
	test -x $(BIN)/python || $(UV) venv --quiet --no-python-downloads --python "$$(command -v $(PYTHON))" .venv
	$(UV) pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'
	@touch $@
