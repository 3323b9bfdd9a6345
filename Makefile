# `make chat` talks, `make test` tests: each makes the environment it needs, from Python >= 3.11 alone.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PYTHONS := 3.11 3.12 3.13

.DEFAULT_GOAL := help
.PHONY: help chat web test test-all lint format docs audit bench soak clean

help: ## what there is to type
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

chat: $(VENV)/.installed ## talk to Qwen in the terminal (without a key: to the local stand-in)
	@$(BIN)/qwen-memory chat $(ARGS)

web: $(VENV)/.installed-web ## talk to Qwen in the browser, and see what memory does
	@$(BIN)/qwen-memory web $(ARGS) || [ $$? -eq 130 ] # Ctrl-C is how one leaves it

test: $(VENV)/.installed-dev ## run the tests
	LANGGRAPH_STRICT_MSGPACK=true $(BIN)/python -m pytest $(ARGS)

test-all: ## run the tests on every Python of 3.11, 3.12 and 3.13 that is here
	@found=; for v in $(PYTHONS); do \
		for p in python$$v $(HOME)/.pyenv/versions/$$v.*/bin/python none; do \
			$$p -c '' 2>/dev/null && break; done; \
		if [ $$p = none ]; then echo "Python $$v is not here: skipped"; continue; fi; \
		$(MAKE) --no-print-directory test PYTHON=$$p VENV=.venv-$$v || exit 1; found="$$found $$v"; \
	done; echo "tested on:$$found"; test -n "$$found"

lint: $(VENV)/.installed-dev ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-dev ## build the documentation into site/, strictly
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

audit: $(VENV)/.installed-dev ## look for known holes in what is installed, as far as their database can be reached
	@$(BIN)/python -m pip install --quiet pip-audit
	@found=$$($(BIN)/pip-audit --skip-editable --progress-spinner off 2>&1 || true); \
		echo "$$found" | grep -c "could not be audited" | sed 's/$$/ packages could not be looked up/'; \
		if echo "$$found" | grep -qE "^Found [0-9]+ known"; then echo "$$found"; exit 1; fi

bench: $(VENV)/.installed-dev ## measure beside the peers, in an environment of their own (some forty minutes)
	$(BIN)/python -m pip install --quiet --group bench
	@for b in growth "peers_models --write"; do set -- $$b; name=$$1; shift; \
		echo "== benchmarks/$$name.py"; $(BIN)/python benchmarks/peers_env.py benchmarks/$$name.py "$$@" || exit 1; done
	@for b in "search --write" archive postgres tokens stream_overhead import_time; do set -- $$b; name=$$1; shift; \
		echo "== benchmarks/$$name.py"; $(BIN)/python benchmarks/$$name.py "$$@" || exit 1; done

soak: $(VENV)/.installed-dev ## 1,000 kills, 100,000 turns of a hostile crowd, ten minutes of many users on Postgres and on SQLite (three quarters of an hour)
	@broken=; for b in kill crossing "soak --users 200 --minutes 10 --store postgres" \
		"soak --users 50 --minutes 10 --store sqlite"; do set -- $$b; name=$$1; shift; \
		echo "== benchmarks/$$name.py $$*"; \
		$(BIN)/python benchmarks/$$name.py "$$@" --write || broken="$$broken $$name"; done; \
		test -z "$$broken" || { echo "a promise was broken:$$broken"; exit 1; }

clean: ## remove environments and caches
	rm -rf .venv .venv-* site .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 found. Install one, or name it: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo "Installing into $(VENV) (once; a minute or two) ..."
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-web: pyproject.toml | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable ".[web]"
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@
