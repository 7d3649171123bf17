# make run        set everything up, then open the studio (without a display: the guided tour, pictures in tour/)
# make test       set everything up, then lint, types, contracts and the test suite, with the coverage of core
# make test-long  the tests that take long: experiments of studies, the wheel, whole programs, the largest files
# make test-gpu   the tests that need an NVIDIA GPU; where there is none it says so
# make bench      set everything up, then time ours beside its peers, and the window; a quarter of an hour on two quiet cores
# make fuzz       read damaged files of every kind for MINUTES minutes (3), and print how it went
# make chaos      kill the program KILLS times (40) at random moments, and print what was lost: 10 minutes on two quiet cores
# make monkey     use the window at random, ACTIONS times (6000) from SEED (0): no exception, no warning, no growing memory
# make pictures   every workspace, empty, busy and full, in four sizes and two themes: pictures/, to look for faults
# make lint       the quick checks alone             make clean  remove everything that was made

PYTHON ?= python3
KILLS ?= 40
ACTIONS ?= 6000
SEED ?= 0
BIN := .venv/bin
# the exact versions of everything that is installed; pyproject.toml says which others will do
INSTALL := $(BIN)/python -m pip install --quiet --quiet --constraint packaging/constraints.txt --editable
# one thread each: two torch threads on two cores wait for each other beside Qt and a software rasteriser
WORKERS ?= 2
ON_WORKERS := -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=20
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python $(ON_WORKERS)
# its plugin is named first, so that it gathers what the workers have written after they end
COVERED := OMP_NUM_THREADS=1 $(BIN)/python -m slipcover --source core --json --out coverage.json $(ON_WORKERS) -p slipcover
QTLESS := -p tests.without_qt -p no:pytest-qt -p no:xvfb
BENCH := $(BIN)/python -m pytest --override-ini addopts='-p no:dash'
MINUTES ?= 3
export PYTHON
# or every program that a test starts would compile all of ours again
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-long test-gpu lint bench fuzz chaos monkey pictures clean
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
	$(COVERED) tests/core $(QTLESS)
	@# printed in a second step, because slipcover 1.1 counts nothing with workers and --fail-under
	$(BIN)/python -m slipcover --merge coverage.json --out coverage.json --skip-covered --fail-under 90
	$(PYTEST) --ignore=tests/core

test-long: .venv/test.stamp
	$(PYTEST) -m long tests/core $(QTLESS)
	$(PYTEST) -m long --ignore=tests/core

test-gpu: .venv/test.stamp
	$(BIN)/python -m tests.gpu

bench: .venv/bench.stamp
	rm -f bench.json
	@# the allocator's setting is a process's own, so each has its turn; ours and its peers take turns within each
	$(BENCH) $(QTLESS) tests/bench --ignore=tests/bench/test_window.py
	POINTWARD_ALLOCATOR=system $(BENCH) $(QTLESS) tests/bench/test_answers.py tests/bench/test_attacks.py tests/bench/test_training.py
	$(BENCH) tests/bench/test_window.py
	$(BIN)/python -m tests.bench.table bench.json

fuzz: .venv/test.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --minutes $(MINUTES)

chaos: .venv/test.stamp
	$(BIN)/python -m tests.chaos --kills $(KILLS)

monkey: .venv/test.stamp
	MONKEY_ACTIONS=$(ACTIONS) MONKEY_SEED=$(SEED) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m long tests/app/test_monkey.py

pictures: .venv/test.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.pictures --out pictures

.venv/bin/python:
	@packaging/system-packages.sh
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/run.stamp: pyproject.toml packaging/constraints.txt $(wildcard core/models/fast/*.[ch]) | .venv/bin/python
	@packaging/system-packages.sh
	@rm -f core/models/fast/_peaks* # or one that can't be made anew would stay
	$(INSTALL) .
	@touch $@

.venv/bench.stamp: pyproject.toml packaging/constraints.txt $(wildcard core/models/fast/*.[ch]) | .venv/bin/python
	@packaging/system-packages.sh
	@rm -f core/models/fast/_peaks* # or one that can't be made anew would stay
	$(INSTALL) .[bench]
	@touch $@ .venv/test.stamp .venv/run.stamp

.venv/test.stamp: pyproject.toml packaging/constraints.txt $(wildcard core/models/fast/*.[ch]) | .venv/bin/python
	@packaging/system-packages.sh
	@rm -f core/models/fast/_peaks* # or one that can't be made anew would stay
	$(INSTALL) .[test]
	@touch $@ .venv/run.stamp

clean:
	rm -rf .venv tour pictures tests/shots build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks bench.json coverage.json core/models/fast/_peaks*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
