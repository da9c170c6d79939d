# `make bench` and `make test` each work on a fresh clone without a previous step. They install everything into .venv.

BIN := .venv/bin
# What .venv holds: the packages that runs need; also every balancer and store client; also what the tests need.
RUN := .venv/.installed-run
ALL := .venv/.installed-all
DEV := .venv/.installed-dev

BASELINE := results/baselines/node_kill
CI := results/ci

# What was compiled is kept, whatever the environment says: a test run starts hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install image bench bench-commands bench-aa ci-bench bench-driver bench-truth bench-many bench-records bench-kills mutation claims decide docs cluster cluster-down test test-fast test-slow test-long test-rest lint clean

help:
	@echo "make bench      run the node-kill experiment and draw its charts into results/gallery (BENCH_ARGS=--quick: a short one)"
	@echo "make ci-bench   the short experiment, six times, compared with $(BASELINE); about 5 minutes (SESSIONS=2: twice)"
	@echo "make bench-aa   how often the comparison errs: a build against itself; about 15 minutes"
	@echo "make bench-driver   the driver compared with wrk, hey, k6, ...: requests per second of one core (BENCH_ARGS=--quick)"
	@echo "make bench-commands how quickly list, doctor, explain and report answer, and which share of a run is not load; about 5 minutes"
	@echo "make bench-truth    what the driver reports, compared with a server of known response times"
	@echo "make bench-judge    the judge compared with an independent truth, 40,000 random histories; its table goes into docs/judging.md"
	@echo "make bench-many     50,000 mostly idle sessions in one process (BENCH_ARGS='--sessions 10000')"
	@echo "make bench-records  ten million records in one run, and the report on them"
	@echo "make mutation   do the unit tests notice a changed judge? SAMPLE=200 SEED=1 ONLY=oracle/: a few minutes on one core"
	@echo "make bench-kills    100 kills of the harness and its parts at random moments; about 30 minutes"
	@echo "make claims     every claim of docs/claims.md, measured; about 30 minutes (ONLY=C07: one of them)"
	@echo "make decide     docs/decide.md: which place for the state, by need, and docs/decide-figures.md; about 30 minutes"
	@echo "make docs       docs/cli.md from the help of the command line, then the site of docs/ in build/site"
	@echo "make image      the image for --backend docker and compose/ (IMAGE_ARGS=--locust: that of Locust)"
	@echo "make cluster    Kubernetes on this machine, with root (NODES=2: two nodes); the first time it is built, 400 to 900 s of CPU time"
	@echo "make cluster-down   end it"
	@echo "make test       lint, types, and the tests of test-fast and test-slow"
	@echo "make test-fast  the tests that need no real server"
	@echo "make test-slow  the tests that need one"
	@echo "make test-long  the tests that need Docker, a cluster or another language, or take a large sample"
	@echo "make test-rest  what test-fast leaves: the tests of test-slow and test-long side by side, which is quicker"
	@echo "make lint       ruff and mypy"
	@echo "make install    create .venv with what runs need (the other targets install what they need)"
	@echo "make clean      remove .venv, caches and build output, but no runs (harness clean --runs removes those)"

# tools/install touches these files last, so that an incomplete .venv never counts as installed.
.venv/.installed-%: pyproject.toml
	@tools/install $*

install: $(RUN)
	@echo "install: ready, $(BIN)/harness --help"

image: $(RUN)
	@echo "image: building from targets/Dockerfile with wheels from PyPI, half a minute"
	@$(BIN)/python -m harness.cluster.containers $(IMAGE_ARGS)

# A run with the verdict fail or unknown still has charts; one that did not start has none.
bench: $(RUN)
	@echo "bench: every design with and without a killed node, then the charts"
	@$(BIN)/harness run scenarios/node_kill.py $(BENCH_ARGS); code=$$?; \
	case $$code in 0|1|3) mkdir -p results/gallery && cp results/node_kill/latest/charts/* results/gallery/ || exit; \
	echo "bench: its charts are also in results/gallery";; esac; \
	exit $$code

# Two designs and six repeats fit into five minutes. Exit code 3 (not comparable, inconclusive) is a warning, 1 a failure.
# Repeats of one session share what the machine did in it: SESSIONS=2 measures twice, and a shift has to show in both.
ci-bench: $(RUN)
	@echo "ci-bench: two designs, six repeats, then the comparison with $(BASELINE); everything is kept in $(CI)"
	@also=; for session in $$(seq $(or $(SESSIONS),1)); do \
	[ $$session = 1 ] || also="$$also --also $$(readlink -f $(CI)/node_kill/latest)"; \
	$(BIN)/harness run scenarios/node_kill.py --quick --design sticky --design hybrid --repeat 6 --out $(CI); code=$$?; \
	case $$code in 0|1|3) ;; *) exit $$code;; esac; done; \
	$(BIN)/harness compare $(CI)/node_kill/latest $(BASELINE) $$also --markdown $(CI)/compare.md --junit $(CI)/compare.xml; code=$$?; \
	if [ $$code = 3 ]; then echo "ci-bench: a warning, not a failure: nothing can be concluded about times"; exit 0; fi; \
	exit $$code

bench-aa: $(RUN)
	@echo "bench-aa: ten runs, best on an otherwise idle machine"
	@$(BIN)/python benchmarks/aa.py $(AA_ARGS)

claims: $(ALL)
	@$(BIN)/harness claims $(addprefix --only ,$(ONLY)) $(CLAIMS_ARGS)

decide: $(ALL)
	@$(BIN)/harness claims --decide $(CLAIMS_ARGS)

docs: $(DEV)
	@$(BIN)/python -m typer harness.cli.app utils docs --name harness --title "The command line" --output docs/cli.md
	@$(BIN)/mkdocs build --quiet --strict
	@echo "docs: docs/cli.md is written; the site is build/site/index.html"

bench-driver bench-truth bench-many bench-records bench-kills: bench-%: $(RUN)
	@echo "$@: python -m benchmarks.$* $(BENCH_ARGS)"
	@$(BIN)/python -m benchmarks.$* $(BENCH_ARGS)

mutation: $(DEV)
	@echo "mutation: changes one token at a time, and runs the unit tests that execute it"
	@nice $(BIN)/python -m benchmarks.mutation --sample $(or $(SAMPLE),200) --seed $(or $(SEED),1) --only "$(ONLY)"

bench-commands: $(RUN)
	@test -e results/node_kill/latest || $(BIN)/harness run scenarios/node_kill.py --quick
	@$(BIN)/python -m benchmarks.commands results/node_kill/latest --share scenarios/node_kill.py $(BENCH_ARGS)

bench-judge: $(RUN)
	@echo "bench-judge: python -m benchmarks.judge, a minute or two"
	@$(BIN)/python -m benchmarks.judge --write docs/judging.md $(BENCH_ARGS)

lint: $(DEV)
	@echo "lint: ruff check, ruff format, mypy --strict"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# The cluster needs no package of Python's. On a machine with kind or a real cluster, nothing of this is needed.
cluster:
	@tools/cluster up --nodes $(or $(NODES),1)

cluster-down:
	@tools/cluster down

# One after the other, also with `make -j`: the tests of each share the machine with nothing else.
.NOTPARALLEL:
test: lint test-fast test-slow

# Side by side, tests that wait for a cluster leave room for those that compute. Two of the workers wait most of the time.
TESTS_slow := slow and not long
TESTS_long := long
TESTS_rest := slow
WORKERS_slow := 3
WORKERS_long := 3
WORKERS_rest := 4
test-slow test-long test-rest: test-%: $(DEV)
	@echo "$@: the tests that are $(TESTS_$*), then those of them that need the machine to themselves"
	@$(BIN)/pytest -m "$(TESTS_$*) and not alone" -n $(WORKERS_$*) --dist loadgroup
	@$(BIN)/pytest -m "$(TESTS_$*) and alone"

test-fast: $(DEV)
	@echo "test-fast: the tests that need no real server"
	@$(BIN)/pytest -m "not slow" -n 3 --dist loadgroup -q

clean:
	@echo "clean: removing .venv, caches and build output"
	@rm -rf .venv dist build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find harness targets scenarios tests -name __pycache__ -prune -exec rm -rf {} +
