# `make demo` and `make test` are all the set-up there is: Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
# Processes of tests: more than cores, because many tests wait for children. A file stays with one process.
WORKERS ?= 4
PARALLEL := --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
# Where it is set, every process of a test compiles the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test soak bench bench-scrape bench-peers bench-alarms bench-streams screenshots clean

help:
	@echo "make demo         the daemon on New York's flights of 2013, replayed in under a minute"
	@echo "make test         every test, lint and type check (WORKERS=4 processes; .venv/bin/pytest PATH for one file)"
	@echo "make soak         the batteries that are short in make test, at full length (half an hour)"
	@echo "make install      $(BIN)/driftwatch"
	@echo "make bench        every speed promise beside its floor, and the growth curves (BENCH='--only small --runs 9');"
	@echo "                  AGAINST=COMMIT: each line beside that commit's, worse or not (BENCH='--only small --pairs 18')"
	@echo "make bench-scrape what a scrape of 300 busy monitors waits, p50 to max (SCRAPE='--policies all')"
	@echo "make bench-peers  the same work by the peers, each in its own environment (PEERS='--rows 1000000')"
	@echo "make bench-alarms false pages, delays and rivals; goes on where it was stopped (hours: ALARMS='--quarters 4')"
	@echo "make bench-streams every page on real streams, and what season slots buy (STREAMS='--only flights,loan')"
	@echo "make screenshots  the pages as pictures (needs Chromium)"

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "driftwatch needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[demo,sql]'
	touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[demo,sql,postgres,dev]'
	touch $@

install: $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/driftwatch demo

test: $(VENV)/.developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(PARALLEL)

soak: $(VENV)/.developing
	DRIFTWATCH_SOAK=1 $(BIN)/python -m pytest $(PARALLEL) -m soak

bench: $(VENV)/.developing
ifdef AGAINST
	$(BIN)/python tests/bench/against.py --against $(AGAINST) $(BENCH)
else
	$(BIN)/python tests/bench/run.py --json .bench/bench.json $(BENCH)
	$(BIN)/python tests/bench/growth.py
endif

bench-peers: $(VENV)/.developing
	$(BIN)/python tests/bench/peer_tools.py $(PEERS)

# 300 monitors while their checks run. SCRAPE are more options, see --help.
bench-scrape: $(VENV)/.developing
	$(BIN)/python tests/bench/bench_exporter.py --monitors 300 --columns 20 --times 100 --policies drifted $(SCRAPE)

$(VENV)/.benching: $(VENV)/.developing
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[bench]'
	touch $@

# One thread each: two processes share the work. ALARMS are more options, see --help.
bench-alarms: $(VENV)/.benching
	PYTHONPATH=tests/bench OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
		$(BIN)/python -m alarms.run --out .alarms.jsonl $(ALARMS)

bench-streams: $(VENV)/.developing
	$(BIN)/python tests/bench/streams.py $(STREAMS)

screenshots: $(VENV)/.developing
	$(BIN)/python tests/daemon/web/screenshots.py

clean:
	rm -rf $(VENV) .demo .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis
