# Every target makes its own virtual environment and then only wraps `python manage.py …` and the usual tools.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/pip install --quiet --disable-pip-version-check
OTA_PORT ?= 8000
export OTA_PORT

.PHONY: demo serve test test-long check bench fmt screenshots

# A stamp is made last: an installation that was interrupted is made again.
$(VENV)/run: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements.txt
	touch $@

$(VENV)/dev: $(VENV)/run pyproject.toml
	$(PIP) --editable '.[dev]'
	touch $@

# `exec`: the shell between make and Python would end first and leave Python to end alone.
demo: $(VENV)/run
	@exec $(BIN)/python manage.py demo $(if $(ONCE),--once)

serve: $(VENV)/run
	@exec $(BIN)/python manage.py serve $(if $(TLS),--tls)

test: check
	$(BIN)/python -m tests

# What a change of a day seldom breaks, and what takes minutes: the demo, whole journeys through the console, the README.
test-long: $(VENV)/dev
	$(BIN)/python -m tests --long

check: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run

bench: $(VENV)/dev
	$(BIN)/python -m tests.bench $(BENCH)

fmt: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Of the demo that runs: start `make demo` beside it first.
screenshots: $(VENV)/dev
	$(BIN)/python -m tests.console.screenshots
