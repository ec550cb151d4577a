PYTHON ?= python3
BIN := .venv/bin
EMBEDDED := env -u CASSANDRA_HOST -u CASSANDRA_HOST_FILE
DEMO_ON := $(if $(DEMO_FILE),,DEMO=$${DEMO-1})

.PHONY: drills install run stack test

run: .venv/run
	$(EMBEDDED) $(BIN)/python -m db.catalog import data/netflix_titles.csv.gz --if-empty
	$(EMBEDDED) $(DEMO_ON) $(BIN)/python service.py

stack: .venv/install
	$(BIN)/python -m bench.stack

test: .venv/install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

drills: .venv/install
	$(BIN)/python -m bench.drills

install: .venv/install

.venv/run: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.txt
	touch $@

.venv/install: requirements.txt requirements-dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-dev.txt
	touch $@ .venv/run
