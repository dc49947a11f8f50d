# Everything runs from a fresh clone: .venv is made and filled as needed.
#   make reproduce   make test   make help

PYTHON ?= python3
OUT ?= reproduction
# Jobs of a reproduction at once: cores are shared out, and each job holds about 1.5 GB.
JOBS ?= 2

VENV := .venv
BIN := $(VENV)/bin
LOG := $(VENV)/install.log
PACKAGES := hiar drift eval baselines reports
# Markers that need hardware, downloads or a browser that a plain machine lacks.
BROWSERS := chromium chromium-browser google-chrome
CHROMIUM := $(firstword $(foreach name,$(BROWSERS),$(shell command -v $(name))))
MARKERS := not gpu and not weights$(if $(CHROMIUM),, and not browser)

# Test processes, one thread each.
WORKERS ?= auto

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup setup-test system reproduce train-tiny lint test any-machine docs clean

help:
	@echo "make reproduce   regenerate the tables and the report at the tiny preset, into $(OUT)/"
	@echo "make test        lint, types, import contracts, then the tests"
	@echo "make any-machine the tests of arithmetic and encoding under each instruction set of this CPU"
	@echo "make docs        build the documentation as a site, into site/"
	@echo "make train-tiny  distil a tiny student: trajectories, ODE regression, DMD (into runs/)"
	@echo "make lint        ruff, mypy and import-linter"
	@echo "make setup       make $(VENV) and install the toolkit (setup-test: with the test tools)"
	@echo "make clean       remove caches and $(OUT)/ (keeps $(VENV))"
	@echo "variables: PYTHON=$(PYTHON) (3.11 or newer), OUT=$(OUT), JOBS=$(JOBS) (of reproduce)," \
		"WORKERS=$(WORKERS) (test processes)"

setup: $(VENV)/.installed

setup-test: $(VENV)/.installed-test

# opencv-python links against two system libraries that slim images lack.
system:
	@$(BIN)/python -c 'import cv2' || { echo "error: opencv-python does not load;" \
		"install libGL and GLib (Debian: apt-get install libgl1 libglib2.0-0)"; exit 1; }

reproduce: $(VENV)/.installed system
	@$(BIN)/reproduce-paper --preset tiny --out $(OUT) --jobs $(JOBS)

train-tiny: $(VENV)/.installed system
	@PYTHON=$(BIN)/python scripts/train_tiny_distilled.sh

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

ANY_MACHINE := PYTHON=$(BIN)/python WORKERS=$(WORKERS) MARKERS="$(MARKERS)" scripts/any_machine.sh

test: lint system
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "$(MARKERS)" -n $(WORKERS) \
		--maxprocesses 8 --dist loadfile
	@$(ANY_MACHINE) --short
	@$(if $(CHROMIUM),:,echo "NOT RUN: the browser tests of the drift report, for want of Chromium" \
		"(Debian: apt-get install chromium)")

any-machine: $(VENV)/.installed-test system
	@$(ANY_MACHINE)

# The notice that is switched off is about versions of MkDocs that are not installed here.
docs: $(VENV)/.installed-docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "site/index.html"

clean:
	rm -rf $(OUT) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
	rm -rf .import_linter_cache .hypothesis
	find $(PACKAGES) scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is missing or older than 3.11; give another: make PYTHON=..."; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# $(call install,extras): one line while it works, the end of the log when it fails.
define install
@echo "installing the toolkit$(1) into $(VENV): minutes the first time; log in $(LOG)"
@$(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off \
	-c constraints.txt -e ".$(1)" > $(LOG) 2>&1 || \
	{ tail -n 40 $(LOG); echo "error: the install failed; whole log in $(LOG)"; exit 1; }
@touch $@
endef

# A second run reinstalls nothing; a changed pyproject.toml or constraints.txt does.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(call install,)

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(BIN)/python
	$(call install,[test$(comma)lint])
	@touch $(VENV)/.installed $(VENV)/.installed-docs

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(BIN)/python
	$(call install,[docs])
	@touch $(VENV)/.installed

comma := ,
