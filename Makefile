# make run    set everything up, then open the studio (without a display: the guided tour, pictures in tour/)
# make test   set everything up, then lint, types, contracts and the whole test suite
# make lint   the quick checks alone             make clean  remove everything that was made

PYTHON ?= python3
BIN := .venv/bin
export PYTHON

.PHONY: run test lint clean
.DELETE_ON_ERROR:

run: .venv/run.stamp
	@if [ "$$(uname -s)" != Linux ] || [ -n "$${DISPLAY:-}$${WAYLAND_DISPLAY:-}" ]; then \
		exec $(BIN)/python main.py; \
	else \
		exec $(BIN)/python main.py tour --out tour; \
	fi

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	@# one thread: tests run beside Qt and a software rasteriser, where two torch threads on two cores wait for each other
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/core -p tests.without_qt -p no:pytest-qt -p no:xvfb
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --ignore=tests/core

.venv/bin/python:
	@packaging/system-packages.sh
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/run.stamp: pyproject.toml | .venv/bin/python
	@packaging/system-packages.sh
	$(BIN)/python -m pip install --quiet --quiet --editable .
	@touch $@

.venv/test.stamp: pyproject.toml | .venv/bin/python
	@packaging/system-packages.sh
	$(BIN)/python -m pip install --quiet --quiet --editable .[test]
	@touch $@ .venv/run.stamp

clean:
	rm -rf .venv tour tests/shots build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
