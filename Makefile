# `make bench` and `make test` each work on a fresh clone without a previous step. They install everything into .venv.

BIN := .venv/bin
INSTALLED := .venv/.installed

BASELINE := results/baselines/node_kill
CI := results/ci

.PHONY: help install image bench bench-aa ci-bench bench-driver bench-truth bench-many bench-records claims decide docs test test-fast lint clean

help:
	@echo "make bench      run the node-kill experiment and draw its charts into results/gallery (BENCH_ARGS=--quick: a short one)"
	@echo "make ci-bench   the short experiment, six times, compared with $(BASELINE); about 5 minutes"
	@echo "make bench-aa   how often the comparison errs: a build against itself; about 15 minutes"
	@echo "make bench-driver   the driver compared with wrk, hey, k6, ...: requests per second of one core (BENCH_ARGS=--quick)"
	@echo "make bench-truth    what the driver reports, compared with a server of known response times"
	@echo "make bench-many     50,000 mostly idle sessions in one process (BENCH_ARGS='--sessions 10000')"
	@echo "make bench-records  ten million records in one run, and the report on them"
	@echo "make claims     every claim of docs/claims.md, measured; about 30 minutes (ONLY=C07: one of them)"
	@echo "make decide     docs/decide.md: every place for the state, with its costs and losses; about 15 minutes"
	@echo "make docs       docs/cli.md, from the help of the command line"
	@echo "make image      the image for --backend docker and compose/ (IMAGE_ARGS=--locust: that of Locust)"
	@echo "make test       lint, types and every test"
	@echo "make test-fast  the tests that need no real server, under a minute"
	@echo "make lint       ruff and mypy"
	@echo "make install    create .venv with all packages (the other targets do that as needed)"
	@echo "make clean      remove .venv, caches and build output, but no runs (harness clean --runs removes those)"

# tools/install touches this file last, so that an incomplete .venv never counts as installed.
$(INSTALLED): pyproject.toml
	@tools/install

install: $(INSTALLED)
	@echo "install: ready, $(BIN)/harness --help"

image: $(INSTALLED)
	@echo "image: building from targets/Dockerfile with wheels from PyPI, half a minute"
	@$(BIN)/python -m harness.cluster.containers $(IMAGE_ARGS)

# A run with the verdict fail or unknown still has charts; one that did not start has none.
bench: $(INSTALLED)
	@echo "bench: every design with and without a killed node, then the charts"
	@$(BIN)/harness run scenarios/node_kill.py $(BENCH_ARGS); code=$$?; \
	case $$code in 0|1|3) $(BIN)/harness report results/node_kill/latest --gallery results/gallery >/dev/null || exit; \
	echo "bench: its charts are also in results/gallery";; esac; \
	exit $$code

# Two designs and six repeats fit into five minutes. Exit code 3 (not comparable, inconclusive) is a warning, 1 a failure.
ci-bench: $(INSTALLED)
	@echo "ci-bench: two designs, six repeats, then the comparison with $(BASELINE); everything is kept in $(CI)"
	@$(BIN)/harness run scenarios/node_kill.py --quick --design sticky --design hybrid --repeat 6 --out $(CI); code=$$?; \
	case $$code in 0|1|3) ;; *) exit $$code;; esac; \
	$(BIN)/harness compare $(CI)/node_kill/latest $(BASELINE) --markdown $(CI)/compare.md --junit $(CI)/compare.xml; code=$$?; \
	if [ $$code = 3 ]; then echo "ci-bench: a warning, not a failure: nothing can be concluded about times"; exit 0; fi; \
	exit $$code

bench-aa: $(INSTALLED)
	@echo "bench-aa: ten runs, best on an otherwise idle machine"
	@$(BIN)/python benchmarks/aa.py $(AA_ARGS)

claims: $(INSTALLED)
	@$(BIN)/harness claims $(addprefix --only ,$(ONLY)) $(CLAIMS_ARGS)

decide: $(INSTALLED)
	@$(BIN)/harness claims --decide $(CLAIMS_ARGS)

docs: $(INSTALLED)
	@$(BIN)/python -m typer harness.cli.app utils docs --name harness --title "The command line" --output docs/cli.md

bench-driver bench-truth bench-many bench-records: bench-%: $(INSTALLED)
	@echo "$@: python -m benchmarks.$* $(BENCH_ARGS)"
	@$(BIN)/python -m benchmarks.$* $(BENCH_ARGS)

lint: $(INSTALLED)
	@echo "lint: ruff check, ruff format, mypy --strict"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

test: lint
	@echo "test: the tests that need no real server, those that do, and those that need the machine to themselves"
	@$(BIN)/pytest -m "not slow" -n 2 -q
	@$(BIN)/pytest -m "slow and not alone" -n 3 --dist loadgroup
	@$(BIN)/pytest -m "slow and alone"

test-fast: $(INSTALLED)
	@echo "test-fast: the tests that need no real server"
	@$(BIN)/pytest -m "not slow" -n 2 -q

clean:
	@echo "clean: removing .venv, caches and build output"
	@rm -rf .venv dist build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find harness targets scenarios tests -name __pycache__ -prune -exec rm -rf {} +
