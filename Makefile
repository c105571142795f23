# make demo: see it work.   make test: everything a change has to pass.
# Both install what they need into .venv; nothing else on the machine has to be prepared but
# Python 3.11 or later (and, for the browser tests, a system on which Chromium can be installed).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .make
SOURCES := pyproject.toml hatch_build.py console/assets/package.json console/assets/package-lock.json
PIP := $(BIN)/python -m pip --disable-pip-version-check install --require-hashes
DEMO ?=

.PHONY: demo test check lint types rooms unit faults format lock browser libfiu clean help

help:  ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(STAMPS)/run  ## Install, start everything with simulated people, print the console's address
	@exec $(BIN)/cordon demo $(DEMO)

test: $(STAMPS)/test browser libfiu  ## Lint, types, rooms and all tests
	$(MAKE) --no-print-directory check unit

check: lint types rooms

lint: $(STAMPS)/test  ## Style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMPS)/test  ## Strict types
	$(BIN)/mypy

rooms: $(STAMPS)/test  ## What each room may import
	$(BIN)/lint-imports

# Compiled once beforehand, so that no test has to wait for it. Three at a time: most of them wait for
# servers, and a file's tests share what they have started. In the order of the folders, in which the
# longest files come early: none of them is left to run alone at the end.
unit: $(STAMPS)/test  ## The tests alone
	@echo "Compiling the engine (a minute, where nothing is kept from before)"
	@NUMBA_CACHE_DIR="$${NUMBA_CACHE_DIR:-$(CURDIR)/.cordon/compiled}" \
		$(BIN)/python -c 'from geofence.engine import warm_up; print(f"  {warm_up():.0f} s")'
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

faults: $(STAMPS)/test libfiu  ## Break one thing after another under load; writes docs/reliability.md
	$(BIN)/cordon bench faults --write docs/reliability.md

format: $(STAMPS)/test  ## Rewrite the files as the style wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Cordon needs Python 3.11 or later; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# The lock files hold every package with its hash; nothing else is installed.
$(STAMPS)/run: requirements/run.txt requirements/build.txt $(SOURCES) | $(VENV)/pyvenv.cfg
	@echo "Installing Cordon (the first time takes a minute)"
	@$(PIP) -r requirements/run.txt -r requirements/build.txt
	@$(BIN)/python -m pip --disable-pip-version-check install --no-build-isolation --no-deps -e .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/test: requirements/test.txt $(STAMPS)/run
	@echo "Installing what the tests need"
	@$(PIP) -r requirements/test.txt
	@mkdir -p $(STAMPS) && touch $@

# The browser tests want a Chromium; without one they are skipped, and say so.
browser:
	@if [ -n "$$CORDON_CHROMIUM" ] || [ -x /usr/lib/chromium/chromium ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the browser tests"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else echo "No Chromium: browser tests will be skipped. Install the package chromium, or set CORDON_CHROMIUM."; fi

# Tests that have writes fail with EIO want libfiu; without it they are skipped, and say so.
libfiu:
	@if [ -e /usr/lib/fiu/fiu_posix_preload.so ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing libfiu for the tests of failing disks"; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends fiu-utils >/dev/null; } \
			|| echo "libfiu cannot be installed here: those tests will be skipped."; \
	else echo "No libfiu: tests of failing disks will be skipped. Install the package fiu-utils."; fi

# Needs uv. Universal: one lock for every platform and Python version that is supported.
lock:  ## Lock the dependencies anew
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements/run.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra test pyproject.toml -o requirements/test.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements/build.in -o requirements/build.txt

clean:  ## Remove what was installed and built, and the demo's data
	rm -rf $(VENV) $(STAMPS) .cordon console/static/vendor
