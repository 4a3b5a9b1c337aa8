# run: the dashboard on this machine. serve: on the lab's network. test, check: see README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501
BASE ?=

.PHONY: help run serve test check fix bench torture clean

help:
	@echo "make run     the dashboard on http://127.0.0.1:$(PORT)"
	@echo "make serve   the dashboard on the lab's network (needs AELAB_PASSWORD)"
	@echo "make test    every test, those in the browser included"
	@echo "make check   format, lint, types, tests"
	@echo "make fix     format and mend what can be mended"
	@echo "make bench   measure: memory, start, speed, pages, a crowd"
	@echo "make torture faults done to real runs; writes docs/RELIABILITY.md (half an hour; root and strace for all rows)"
	@echo "make clean   remove .venv and what was built (the lab/ with your runs stays)"

$(VENV)/.installed: requirements.txt pyproject.toml install.py $(wildcard aecore/training/engines/*.[ch])
	@$(PYTHON) install.py requirements.txt

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt requirements-pythae.txt
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps -r requirements-pythae.txt
	@$(PYTHON) install.py requirements-dev.txt

run: $(VENV)/.installed
	@$(BIN)/python -m ui.serve --port $(PORT) --base "$(BASE)"

serve: $(VENV)/.installed
	@$(BIN)/python -m ui.serve --port $(PORT) --base "$(BASE)" --network

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

fix: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.demo
	$(BIN)/python -m benchmarks.start
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.throughput --write docs/benchmarks
	$(BIN)/python -m benchmarks.pages --write docs/benchmarks
	$(BIN)/python -m benchmarks.compare_wall
	$(BIN)/python -m benchmarks.sessions --sessions 50 --passers 50 --write docs/benchmarks

torture: $(VENV)/.installed-dev
	$(BIN)/python -m torture

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache tests/screenshots
	rm -f aecore/training/engines/compiled*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
