# The tasks of this repository. CI runs `make lint` and `make test`.

TARGET = wasm32-wasip2
CARGO ?= cargo
# Every folder of plugins/ that is a crate, except the crate that sinks are
# written with: package sluice-plugin-<folder>, library <folder>.
SINKS = $(filter-out sdk,$(patsubst plugins/%/Cargo.toml,%,$(wildcard plugins/*/Cargo.toml)))
BUILT = $${CARGO_TARGET_DIR:-target}
# Everything that is built for WebAssembly shares this directory with
# host/build.rs.
GUESTS = $(BUILT)/guests
BUILD_GUESTS = $(CARGO) build --release --locked --target $(TARGET) --target-dir "$(GUESTS)"
# The build that `make demo` and `make test` share. Cargo unifies the features
# of all packages of a build, so with other packages, or without any test, some
# dependencies would have to be compiled again for the tests. This test is
# small.
BUILD_PROGRAMS = $(CARGO) build --locked --workspace --lib --bins --test command_line

.PHONY: help demo build sinks guests test test-all soak chaos hostile clients-test sinks-trial ui-test ui-pictures bench bench-protocols bench-operations bench-replicated bench-sandbox bench-failover bench-streams bench-swap bench-concurrency bench-sinks bench-warm-load templates-test compose-test upgrade-test lint structure consul registry prometheus tools wasm-target

help:
	@echo "make demo    build, then run the demo on this machine (DEMO='--port 4000' for its flags)"
	@echo "make build   build the programs: target/release/sluice and sluice-producer"
	@echo "make sinks   build the sinks of plugins/ into plugins/dist/"
	@echo "make test    run every test once, with real processes and a real Consul; needs root"
	@echo "make test-all         run all tests for longer, integration on both kinds of coordinator, and sinks-trial"
	@echo "make soak    run each test with faults for a long time: SECONDS=600"
	@echo "make chaos   random faults of network, machines and Consul: SEED=1 MINUTES=60; JOURNAL=nats adds NATS; needs root"
	@echo "make hostile          attack nodes, and print what others waited and the peak of the memory"
	@echo "make clients-test     run real log clients through fail-overs: CLIENT=winston for one of them"
	@echo "make templates-test   build, check and run what \`sluice plugin new\` makes: TEMPLATE=python for one language"
	@echo "make sinks-trial      run sinks against destinations that fail at random: SINKS='loki splunk' TRIAL_SECONDS=60"
	@echo "make ui-test run the web page in a browser, against three nodes"
	@echo "make ui-pictures      take the pictures of docs/operating.md again"
	@echo "make bench   compare the path of a message with a bare HTTP route, and the protocols"
	@echo "make bench-protocols  measure what a record costs in each protocol: PROTOCOLS='forward syslog'"
	@echo "make bench-operations measure what metrics, traces, a tail and quotas cost those that send"
	@echo "make bench-replicated measure what a replicated journal costs beside the other acknowledgements"
	@echo "make bench-sandbox    measure what the sandbox costs per record"
	@echo "make bench-failover   measure the silence when the leader stops or loses the lock"
	@echo "make bench-streams    measure what 1, 8 and 64 streams cost, and how long a take-over of 22 takes"
	@echo "make bench-swap       measure the silence when the sink is swapped"
	@echo "make bench-concurrency  measure what several writes at a time gain"
	@echo "make bench-sinks      measure how many records a second sinks deliver to destinations that only count"
	@echo "make bench-warm-load  measure how long a large sink takes that was compiled before"
	@echo "make upgrade-test     upgrade a cluster under load from an earlier revision, and back: BEFORE=<revision>"
	@echo "make compose-test     run the walkthrough of docs/compose.md, and check it"
	@echo "make lint    check format, lints, documentation comments and structure"
	@echo "make structure        check for circles of imports, forbidden dependencies and sizes"
	@echo "make consul  print the path of the Consul that the tests use"
	@echo "make prometheus       print the path of the Prometheus that the tests use"
	@echo "make registry         print the path of the registry that the tests use"

# The compiler shows its progress; the demo then says what it does.
demo: tools wasm-target
	@echo "Building. The first time this takes some minutes; then the demo starts by itself."
	@$(BUILD_PROGRAMS)
	@exec "$(BUILT)/debug/sluice" demo $(DEMO)

build: wasm-target
	$(CARGO) build --release --locked -p sluice -p sluice-producer

# A node may watch plugins/dist, so a new sink appears there as a whole, and an
# unchanged one is not touched.
sinks: wasm-target
	$(BUILD_GUESTS) $(SINKS:%=-p sluice-plugin-%)
	@mkdir -p plugins/dist
	@for name in $(SINKS); do \
		built="$(GUESTS)/$(TARGET)/release/$$name.wasm"; \
		sink="plugins/dist/$$name.wasm"; \
		cmp -s "$$built" "$$sink" || { \
			cp "$$built" "plugins/dist/.$$name.wasm.new" && \
			mv "plugins/dist/.$$name.wasm.new" "$$sink"; \
		} || exit 1; \
		echo "$(CURDIR)/$$sink"; \
	done

# The sinks that tests and benchmarks use.
TEST_SINKS = sluice-guest-misbehave sluice-guest-network sluice-guest-planted sluice-guest-views sluice-hostile $(SINKS:%=sluice-plugin-%)
guests: wasm-target
	$(BUILD_GUESTS) $(TEST_SINKS:%=-p %)

# Every folder of crates has its unit tests, and may have programs with tests.
CRATES = host host/crates/* plugins/* producer tools/*
TEST_PROGRAMS = $(notdir $(basename $(wildcard $(CRATES:%=%/tests/*.rs))) \
	$(patsubst %/main.rs,%,$(wildcard $(CRATES:%=%/tests/*/main.rs))))
CORES := $(shell nproc)
# These tests mostly wait, so more of them run at a time than there are cores.
THREADS_integration := $(shell expr 2 \* $(CORES))
THREADS_conformance := $(shell expr 2 \* $(CORES))
THREADS_chaos := $(shell expr 2 \* $(CORES))
# The test programs run side by side; tests that need all cores wait until no
# other test runs.
RUN_TESTS = CONSUL=$$(.ci/find-consul) && export CONSUL && \
	DOCKER_REGISTRY=$$(.ci/find-registry) && export DOCKER_REGISTRY && \
	PROMETHEUS=$$(.ci/find-prometheus) && export PROMETHEUS && \
	NATS_SERVER=$$(.ci/find-nats) && export NATS_SERVER && \
	$(MAKE) --no-print-directory --jobs --output-sync=target

# Every test once; on the embedded coordinator if either kind is enough.
test: export SLUICE_CHAOS_SEED ?= 1
test: export SLUICE_CHAOS_MINUTES ?= 1
test: guests
	$(BUILD_PROGRAMS)
	$(CARGO) test --locked --workspace --no-run
	$(CARGO) test --locked --workspace --lib --bins
	+$(RUN_TESTS) $(TEST_PROGRAMS:%=test-%)

# The same for longer, and the integration tests on both kinds of coordinator.
test-all: export SLUICE_CHAOS_SEED ?= 1
test-all: export SLUICE_CHAOS_MINUTES ?= 2
test-all: export SLUICE_FUZZ_SECONDS ?= 60
test-all: export SLUICE_OUTAGE_SECONDS ?= 60
test-all: guests
	$(BUILD_PROGRAMS)
	$(CARGO) test --locked --workspace --no-run
	$(CARGO) test --locked --workspace --lib --bins
	+$(RUN_TESTS) COORDINATOR=consul $(TEST_PROGRAMS:%=test-%)
	+$(RUN_TESTS) COORDINATOR=embedded test-integration
	$(MAKE) --no-print-directory templates-test
	$(MAKE) --no-print-directory ui-test
	$(RUN_TRIALS)

# One test program.
test-%:
	$(CARGO) test --locked --workspace --test $* -- $(THREADS_$*:%=--test-threads=%)

# How long each test with faults runs.
SECONDS ?= 600
soak: guests
	$(BUILD_PROGRAMS)
	CONSUL=$$(.ci/find-consul) && export CONSUL && SLUICE_SOAK_SECONDS=$(SECONDS) \
		$(CARGO) test --locked --workspace --test integration -- faults:: journal::leaders --nocapture --test-threads=1

# The seed determines the plan of faults; without one, every run uses a new one.
# The run prints its seed and, on failure, what happened when and where its
# logs are. With JOURNAL=nats, messages are acknowledged once three NATS servers
# have them, which then have faults too.
SEED ?=
MINUTES ?= 60
JOURNAL ?=
CHAOS_TEST = random::faults_at_random$(if $(JOURNAL),_over_a_replicated_journal)
chaos: guests
	@[ -z "$(JOURNAL)" ] || [ "$(JOURNAL)" = nats ] || { echo "JOURNAL is $(JOURNAL): expected nats" >&2; exit 1; }
	$(BUILD_PROGRAMS)
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		$(if $(JOURNAL),NATS_SERVER=$$(.ci/find-nats) && export NATS_SERVER &&) \
		SLUICE_CHAOS_SEED=$(or $(SEED),$(shell date +%s)) SLUICE_CHAOS_MINUTES=$(MINUTES) \
		$(CARGO) test --locked --workspace --test chaos -- $(CHAOS_TEST) --exact --nocapture

# One attack at a time, so that the rows of the table do not mix and no attack
# slows down another.
hostile: guests
	$(BUILD_PROGRAMS)
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		$(CARGO) test --locked --workspace --test integration -- hostile:: --nocapture --test-threads=1

# Installs the clients from their registries below target/clients, so it is not
# part of `make test`. Without CLIENT, it runs all of them. FLAGS are those of
# clients/run.py.
CLIENT ?=
clients-test: guests
	python3 -B -m unittest discover -q -s clients -t clients -p '*_test.py'
	$(BUILD_PROGRAMS)
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		clients/run.py --built "$(BUILT)" $(FLAGS) $(CLIENT)

# The tools of each language come from their registries into the folders of the
# sinks, below target/tmp/templates, so this is not part of `make test`. TEMPLATE is
# a word in the names of the wanted ones, such as python or http.
TEMPLATE ?=
templates-test:
	$(BUILD_PROGRAMS)
	$(CARGO) test --locked --workspace --test templates -- --ignored --nocapture --test-threads=1 $(TEMPLATE)

# Installs Chromium and Playwright, so it is not part of `make test`.
ui-test: guests
	$(BUILD_PROGRAMS)
	tests/ui/prepare "$(BUILT)/ui"
	BUILT="$(BUILT)" "$(BUILT)/ui/bin/python" -B -m unittest discover -v -s tests/ui -t tests/ui -p '*_test.py'

# Takes the pictures of docs/operating.md again, of a cluster with traffic, in some
# 5 minutes. Something else must not listen on port 9200.
ui-pictures: guests
	$(BUILD_PROGRAMS)
	tests/ui/prepare "$(BUILT)/ui"
	BUILT="$(BUILT)" "$(BUILT)/ui/bin/python" -B tests/ui/pictures.py docs/pictures

# Runs each sink that has a file in plugins/trial/destinations/ in a real node, against
# a destination that fails at random.
TRIAL_SECONDS ?= 60
TRIALS = $(filter $(basename $(notdir $(wildcard plugins/trial/destinations/[!_]*.py))),$(SINKS))
RUN_TRIALS = python3 -B -m unittest discover -q -s plugins/trial -t plugins/trial -p '*_test.py' && \
	plugins/trial/run.py --sluice "$(BUILT)/debug/sluice" --sinks "$(GUESTS)/$(TARGET)/release" \
		--seconds $(TRIAL_SECONDS) $(TRIALS)
sinks-trial: guests
	$(BUILD_PROGRAMS)
	$(RUN_TRIALS)

bench: build guests
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		$(CARGO) bench --locked -p sluice --bench delivery --bench protocols

# Words in the names of the rows that are wanted; all without any.
PROTOCOLS ?=
bench-protocols: build
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		$(CARGO) bench --locked -p sluice --bench protocols -- $(PROTOCOLS)

# "quota" for that part alone; all without it.
OPERATIONS ?=
bench-operations: build
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		$(CARGO) bench --locked -p sluice --bench operations -- $(OPERATIONS)

bench-replicated: build
	CONSUL=$$(.ci/find-consul) && export CONSUL && NATS_SERVER=$$(.ci/find-nats) && export NATS_SERVER && \
		$(CARGO) bench --locked -p sluice --bench replicated

bench-sandbox: guests
	$(CARGO) bench --locked -p sluice --bench sandbox

bench-failover: build
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		$(CARGO) bench --locked -p sluice --bench failover

bench-streams: build
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		$(CARGO) bench --locked -p sluice --bench streams

bench-swap: build sinks
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		$(CARGO) bench --locked -p sluice --bench swap

bench-concurrency: build guests
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		$(CARGO) bench --locked -p sluice --bench concurrency

bench-sinks: build sinks
	plugins/trial/speed.py --built "$(BUILT)/release" --sinks plugins/dist

bench-warm-load:
	$(CARGO) bench --locked -p sluice --bench warm_load

# The revision to upgrade from: the latest tag, or else the first parent of this
# commit. It is built in a worktree below target/.
BEFORE ?= $(shell git describe --tags --abbrev=0 HEAD^ 2>/dev/null || echo HEAD^)
upgrade-test: guests
	$(BUILD_PROGRAMS)
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		SLUICE_BEFORE=$$(.ci/build-before "$(BEFORE)") && export SLUICE_BEFORE && \
		$(CARGO) test --locked --workspace --test integration -- upgrade:: --ignored --nocapture

# Needs a Docker engine and builds the images, so it is not part of `make test`.
compose-test:
	.ci/compose-test

lint: wasm-target structure
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --target $(TARGET) -p sluice-sink $(TEST_SINKS:%=-p %) -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

structure:
	$(CARGO) run -q --locked -p sluice-structure

consul:
	@.ci/find-consul

registry:
	@.ci/find-registry

prometheus:
	@.ci/find-prometheus

# Reports tools that a new machine may lack, and how to install them.
tools:
	@command -v "$(CARGO)" >/dev/null || { \
		echo "make: there is no $(CARGO); install Rust with rustup: https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { \
		echo "make: there is no C compiler; on Debian: apt-get install build-essential" >&2; exit 1; }

# Sinks are components, so their target must be installed before anything is
# built.
wasm-target:
	@if command -v rustup >/dev/null && ! rustup target list --installed | grep -qx $(TARGET); then \
		rustup target add $(TARGET); \
	fi
