# Two commands do everything on a fresh machine: `make demo` and `make test`. `make help` lists the others.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test check format docs claims picture clean
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONNOUSERSITE := 1

# Sets that are already on this machine; tests that need one skip, by name, where it is not there.
ifeq ($(COUNTERPOINT_DATA),)
  ifneq ($(wildcard ../shared/data),)
    export COUNTERPOINT_DATA := $(abspath ../shared/data)
  endif
endif

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.installed-demo ## learn from 5,000 digits without labels: score table and report in demo/
	@$(BIN)/counterpoint demo

test: $(VENV)/.installed-dev ## all tests (what continuous integration runs)
	@$(BIN)/python scripts/run_tests.py $(ARGS)

check: $(VENV)/.installed-dev ## style, format, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## put every file into shape, docs/claims.md too
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/python scripts/docs.py write

docs: $(VENV)/.installed-dev ## the documentation, in site/
	@$(BIN)/python scripts/docs.py write
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "documentation: site/index.html"

claims: $(VENV)/.installed-dev ## run every paper's claim again: claims/results/ (hours)
	@$(BIN)/counterpoint claim --all $(ARGS)
	@$(BIN)/python scripts/docs.py write

picture: $(VENV)/.installed-demo ## the picture of the README, from the demo's run folder
	@$(BIN)/python scripts/picture.py demo docs/images/demo.png

clean: ## remove everything that was made, the environment included
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# ---- the environment ---------------------------------------------------------------------------------------------------

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not there; try: make PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "make: $$($(PYTHON) --version) is too old; Python 3.10 or later is needed: make PYTHON=python3.12" >&2; exit 2; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "make: python3 -m venv failed; on Debian: apt install python3-venv" >&2; exit 2; }

# One stamp for each set of extras, so that nothing is installed twice; newer than pyproject.toml or made again.
$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	@echo "installing counterpoint[$*] into $(VENV) (the first time: some minutes, mostly PyTorch)"
	@$(BIN)/python -m pip install --progress-bar off -e '.[$*]' > $(VENV)/install.log 2>&1 & job=$$!; \
	  last=""; while kill -0 $$job 2>/dev/null; do \
	    now=$$(grep -E '^(Collecting|Installing collected)' $(VENV)/install.log | tail -n 1 | cut -d' ' -f1,2 || true); \
	    if [ "$$now" != "$$last" ]; then printf '  %s packages, %s\n' "$$(grep -c '^Collecting' $(VENV)/install.log)" "$$now"; last=$$now; fi; \
	    sleep 5; \
	  done; \
	  wait $$job || { tail -n 20 $(VENV)/install.log >&2; echo "make: pip failed; the whole of it is in $(VENV)/install.log" >&2; exit 1; }
	@touch $@
