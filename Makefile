# Every target makes its own virtual environment and then only wraps `python manage.py …` and the usual tools.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
OTA_PORT ?= 8000
export OTA_PORT

.PHONY: demo serve test check bench fmt

$(VENV)/run: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/dev: $(VENV)/run pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(VENV)/run
	$(BIN)/python manage.py demo $(if $(ONCE),--once)

serve: $(VENV)/run
	$(BIN)/python manage.py serve

test: $(VENV)/dev check
	$(BIN)/python -m tests

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
