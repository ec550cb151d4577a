PYTHON ?= python3
BIN := .venv/bin
TEST_WORKERS ?= 7
NAMES := $(addprefix CASSANDRA_,HOST CA USERNAME PASSWORD) \
    $(addprefix REDIS_,HOST PORT CA URL SENTINELS SENTINEL_MASTER SENTINEL_PASSWORD)
EMBEDDED := env $(foreach name,$(NAMES),-u $(name) -u $(name)_FILE)
DEMO_ON := $(if $(DEMO_FILE),,DEMO=$${DEMO-1})

.PHONY: bench bench-quick deploy-test drills image install run simulate stack test tests types

run: .venv/run
	@$(EMBEDDED) $(BIN)/python -m db.catalog import data/netflix_titles.csv.gz --if-empty
	@exec $(EMBEDDED) $(DEMO_ON) $(BIN)/python service.py

stack: .venv/install
	$(BIN)/python -m bench.stack

test: .venv/install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --no-print-directory -j2 types tests

types: .venv/install
	$(BIN)/mypy

# Most tests wait: more workers than processors. What they compile is kept for the next worker.
tests: export PYTHONDONTWRITEBYTECODE =
tests: .venv/install
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadscope --no-loadscope-reorder

simulate: .venv/install
	$(BIN)/python -m tests.simulation --schedules 1000000 --report
	$(BIN)/python -m tests.simulation --mutants --schedules 20000 --report

drills: .venv/install
	$(BIN)/python -m bench.drills

image:
	docker build -t content .
	@docker image inspect -f 'content: {{.Size}} bytes, user {{.Config.User}}' content

deploy-test: .venv/install
	DEPLOY_TESTS=1 $(BIN)/python -m pytest tests/deploy -s --timeout 5400

bench: .venv/install
	$(BIN)/python -m bench.ladder

bench-quick: .venv/install
	$(BIN)/python -m bench.ladder --quick

install: .venv/install

# pip is the last that venv makes: without it the folder was left half made, and is made again
.venv/run: requirements.txt
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

.venv/install: .venv/run requirements-dev.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-dev.txt
	touch $@
