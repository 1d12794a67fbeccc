# Everything runs in .venv, created from the locked requirement files on first use and again when they change.
# `make` alone lists the targets.

BIN := .venv/bin
# Half of the tests wait for servers and subprocesses: two at once take three fifths of the time.
# The tests of a file stay in one process, with what they share. PROCESSES=0 runs all in one, for a debugger.
PROCESSES ?= 2
PYTEST = $(BIN)/pytest -n $(PROCESSES) --dist loadfile
GROUPS := base demo test bench lint
# The tests' broker runs on Java and is fetched by Maven. Without them Docker may do, or the tests that need a
# broker report what is missing.
KAFKA_NEEDS = [ -n "$$PIPELINE_TEST_KAFKA" ] || tools/system java mvn || true
# The tests' S3 server is built with Go: before the tests, since none of them has the minutes that takes.
S3_NEEDS = [ -n "$$PIPELINE_TEST_S3" ] || tools/minio || true

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo kafka test lint docs format bench soak lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.demo ## start PostgreSQL and Kafka, and run reports and alerts on the flights of 2013
	@$(BIN)/python examples/demo.py

kafka: .venv/.demo ## a Kafka broker on this machine, until Ctrl-C: needs Java and Maven, or Docker
	@$(BIN)/python tools/kafka_broker.py

test: .venv/.test ## every suite: unit, conformance, simulation, architecture, integration, acceptance
	@$(KAFKA_NEEDS)
	@$(S3_NEEDS)
	@$(PYTEST) $(ARGS)

lint: .venv/.lint ## ruff, types, layers, wording, API reference; no address or path of a machine in any file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/python tools/check_users_code.py
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/no_addresses.py
	$(BIN)/python tools/wording.py
	$(BIN)/python tools/api_reference.py build/docs

docs: .venv/.lint ## the API reference, from the docstrings into build/docs; warnings are errors
	$(BIN)/python tools/api_reference.py build/docs
	@echo "open build/docs/index.html"

format: .venv/.lint ## let ruff fix what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.bench .venv/.quix ## every benchmark; one alone: .venv/bin/python -m benchmarks NAME
	@$(S3_NEEDS)
	@$(BIN)/python -m benchmarks all $(ARGS)
	@$(BIN)/python -m benchmarks backpressure

soak: .venv/.test .venv/.bench ## the simulations and the random kills, at length
	@$(KAFKA_NEEDS)
	@$(S3_NEEDS)
	@PIPELINE_SIMULATIONS=$${PIPELINE_SIMULATIONS:-100000} PIPELINE_KILLS=$${PIPELINE_KILLS:-500} \
		$(PYTEST) --timeout=7200 tests/simulation tests/integration tests/acceptance $(ARGS)
	@$(BIN)/python -m benchmarks backpressure --memory-seconds 600

# The largest set is compiled first and constrains the others, so that one environment can hold them all.
COMPILE := $(BIN)/pip-compile
lock: .venv/.lint ## compile requirements/*.txt again; to the newest versions: make lock ARGS=--upgrade
	$(COMPILE) $(ARGS) --all-extras --output-file requirements/lint.txt pyproject.toml
	$(COMPILE) --constraint requirements/lint.txt --output-file requirements/base.txt pyproject.toml
	$(COMPILE) --constraint requirements/lint.txt --extra demo --output-file requirements/demo.txt pyproject.toml
	$(COMPILE) --constraint requirements/lint.txt --extra demo --extra test --output-file requirements/test.txt pyproject.toml
	$(COMPILE) --constraint requirements/lint.txt --extra demo --extra bench --output-file requirements/bench.txt pyproject.toml
	$(COMPILE) $(ARGS) --no-config --generate-hashes --strip-extras --allow-unsafe --no-emit-options --no-header \
		--quiet --output-file requirements/quix.txt requirements/quix.in
	$(COMPILE) $(ARGS) --only-build-deps --output-file requirements/build.txt pyproject.toml

clean: ## remove the environment and all files of tests, tools and jobs
	rm -rf .venv .demo .pipeline .pytest_cache .hypothesis .ruff_cache .mypy_cache .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(GROUPS:%=.venv/.%): .venv/.%: requirements/%.txt requirements/build.txt pyproject.toml tools/environment
	@echo "installing requirements/$*.txt into .venv"
	@PYTHON="$(PYTHON)" tools/environment $*
	@touch $@

# Quix Streams needs an older Kafka client than the engine: the benchmark runs it in a separate process.
.venv/.quix: requirements/quix.txt | .venv/.bench
	@echo "installing $< into .venv/quix"
	@$(BIN)/python -m venv --clear .venv/quix
	@.venv/quix/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r $<
	@touch $@
