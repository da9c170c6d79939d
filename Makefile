# `make bench` and `make test` each work on a fresh clone with no step before. Everything they install goes into .venv.

BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help install bench test test-fast lint clean bench-driver bench-truth bench-many bench-records

help:
	@echo "make bench      run the node-kill experiment and draw its charts into results/gallery (BENCH_ARGS=--quick: a short one)"
	@echo "make bench-driver   the driver beside wrk, hey, k6, ...: requests a second of one core (BENCH_ARGS=--quick)"
	@echo "make bench-truth    what the driver reports beside what a server of known times did"
	@echo "make bench-many     50,000 mostly idle sessions of one process (BENCH_ARGS='--sessions 10000')"
	@echo "make bench-records  ten million records in one run, and the report on them"
	@echo "make test       lint, types and every test"
	@echo "make test-fast  the tests that need no real server, under a minute"
	@echo "make lint       ruff and mypy"
	@echo "make install    make .venv with all parts (the others do it by themselves)"
	@echo "make clean      remove .venv, caches and build output; runs stay (harness clean --runs removes those)"

# The last act of tools/install is to touch this file, so that a half-made .venv never counts.
$(INSTALLED): pyproject.toml
	@tools/install

install: $(INSTALLED)
	@echo "install: ready, $(BIN)/harness --help"

# A run that failed or is unknown still has charts; one that never ran has none.
bench: $(INSTALLED)
	@echo "bench: every design with and without a killed node, then the charts"
	@$(BIN)/harness run scenarios/node_kill.py $(BENCH_ARGS); code=$$?; \
	case $$code in 0|1|3) $(BIN)/harness report results/node_kill/latest --gallery results/gallery || exit;; esac; \
	exit $$code

bench-driver: $(INSTALLED)
	@echo "bench-driver: drivers in turns, a few minutes"
	@$(BIN)/python -m benchmarks.driver $(BENCH_ARGS)

bench-truth: $(INSTALLED)
	@echo "bench-truth: five servers of known times, two minutes"
	@$(BIN)/python -m benchmarks.truth $(BENCH_ARGS)

bench-many: $(INSTALLED)
	@echo "bench-many: mostly idle sessions, a minute"
	@$(BIN)/python -m benchmarks.many $(BENCH_ARGS)

bench-records: $(INSTALLED)
	@echo "bench-records: ten million records, about a minute"
	@$(BIN)/python -m benchmarks.records $(BENCH_ARGS)

lint: $(INSTALLED)
	@echo "lint: ruff check, ruff format, mypy --strict"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

test: lint
	@echo "test: every test, a few minutes"
	@$(BIN)/pytest

test-fast: $(INSTALLED)
	@echo "test-fast: the tests that need no real server"
	@$(BIN)/pytest -m "not slow" -n 2 -q

clean:
	@echo "clean: removing .venv, caches and build output"
	@rm -rf .venv dist build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find harness targets scenarios tests -name __pycache__ -prune -exec rm -rf {} +
