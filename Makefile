# Each target does all its own set-up, in .venv; nothing need be installed but Python (3.11 or later) and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
SOURCES := number_orders workers tasks config bench client deploy tests

.PHONY: help setup up demo fmt check test test-fast test-browser test-crashes test-engines sim bench lock audit docs clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(READY)  ## make .venv from the lock file

$(READY): requirements.lock pyproject.toml client/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "number-orders needs Python 3.11 or later")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing what requirements.lock names …"
	@awk '/^uv==/ {uv = 1} /^[^ ]/ && !/^uv==/ {uv = 0} uv' requirements.lock > .venv/uv.lock
	@$(PIP) --require-hashes -r .venv/uv.lock
	@$(UV) --compile-bytecode --require-hashes -r requirements.lock || { \
		echo "uv could not install them; pip is slower and may know another index …"; \
		$(PIP) --require-hashes -r requirements.lock; }
	@$(PIP) --no-deps --no-build-isolation -e client -e .
	@touch $@

up: setup  ## run everything until Ctrl-C: embedded engines and the sandbox carrier, unless told otherwise
	@$(BIN)/number-orders up

demo: setup  ## the main job, live, with a worker killed in the middle; ends by itself (ARGS="--orders 80")
	@$(BIN)/number-orders demo $(ARGS)

fmt: setup  ## format the code
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

check: setup  ## what can be known without running: ruff, mypy, import contracts, the lock file
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pip check --disable-pip-version-check

test-fast: setup  ## what needs no server: units, adapters and sandbox on loopback, simulated worlds
	@$(BIN)/pytest $(or $(ARGS),-q) tests/unit tests/contract tests/simulation

# Five runs side by side: tests of whole processes mostly wait, and keep few CPUs busy. Each run imports only the
# folders whose tests it runs, and names its slowest tests at the end.
RUN := $(BIN)/pytest --durations=10 --durations-min=5
FULFILMENT := tests/integration/fulfilment
test: setup  ## every test (ARGS="-k key" for some)
ifdef ARGS
	@$(BIN)/pytest $(ARGS)
else
	@echo "Five runs side by side. This shows the tests of whole processes; the others are shown when all are over."
	@$(RUN) --ignore=tests/acceptance --ignore=tests/engines --ignore=tests/browser --ignore=tests/integration >.venv/test-1.log 2>&1 & one=$$!; \
		$(RUN) $(FULFILMENT) >.venv/test-2.log 2>&1 & two=$$!; \
		$(RUN) --ignore=$(FULFILMENT) tests/integration >.venv/test-3.log 2>&1 & three=$$!; \
		$(RUN) -m "long and not alone" tests/acceptance >.venv/test-4.log 2>&1 & four=$$!; \
		trap 'kill $$one $$two $$three $$four 2>/dev/null' INT TERM; \
		$(RUN) -m "not long and not alone" tests/acceptance; failed=$$?; \
		for run in $$one $$two $$three $$four; do wait $$run || failed=1; done; \
		cat .venv/test-[1-4].log; exit $$failed
	@$(RUN) -m alone tests/acceptance
endif

test-crashes: setup  ## the crash matrix, with each life struck at each of its points (`make test`: a third of the lives that pass a point)
	@NUMBER_ORDERS_TEST_EVERY_LIFE=1 $(BIN)/pytest -s $(ARGS) tests/acceptance/test_crash_matrix.py

test-engines: setup  ## the main job on Debian's own PostgreSQL, PgBouncer, Redis, Sentinel, RabbitMQ (root; ARGS="-k rabbitmq")
	@$(BIN)/pytest $(ARGS) tests/engines

test-browser: setup  ## the board and Flower in Debian's Chromium, as a person uses them; screenshots are in .screenshots/ (root, or Chromium installed)
	@$(BIN)/pytest $(or $(ARGS),-q) tests/browser

sim: setup  ## a simulated world from a seed (SEED=7 ARGS="--worlds 20 --faults harsh --trace")
	@$(BIN)/number-orders simulate --seed $(or $(SEED),1) $(ARGS)

BENCH ?= orders
bench: setup  ## what an order costs, here and elsewhere (BENCH=orders|events|waiting|intake|receiver|notifications|notices|sustained|hotspots, ARGS="--orders 5000 --runs 3")
	@$(BIN)/python -m bench $(BENCH) $(ARGS)

lock: setup  ## resolve the dependencies anew into the lock files: everything, and what the service needs
	@grep -v 'number-orders-client==' pyproject.toml > .venv/pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --extra embedded --extra otel --extra dev .venv/pyproject.toml --output-file requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --extra otel --constraint requirements.lock .venv/pyproject.toml --output-file requirements-service.lock

audit: setup  ## known vulnerabilities of what the service installs; needs the advisory database
	@$(BIN)/pip-audit --require-hashes --disable-pip --requirement requirements-service.lock

docs: setup  ## refresh what the docs take from the code
	@$(BIN)/python -m number_orders.orders.diagram docs/lifecycle.md
	@$(BIN)/python -m config.settings_table docs/settings.md
	@$(BIN)/python deploy/licences.py docs/licences.md
	@$(BIN)/python -m number_orders_client.schema >client/number_orders_client/schema.json

clean:  ## remove the virtual environment and everything that was stored
	rm -rf .venv var
