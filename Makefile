# What there is to do with Sluice. `make test` is all that CI runs beside the
# format and lint checks.

TARGET = wasm32-wasip2
CARGO ?= cargo
# Every folder of plugins/ that is a crate: package sluice-plugin-<folder>,
# library <folder>.
SINKS = $(patsubst plugins/%/Cargo.toml,%,$(wildcard plugins/*/Cargo.toml))

.PHONY: help demo build sinks guests test soak chaos bench bench-sandbox bench-failover bench-swap compose-test lint structure consul tools wasm-target

help:
	@echo "make demo    build, then show it all on this machine (DEMO='--port 4000' for its flags)"
	@echo "make build   build the programs: target/release/sluice and sluice-producer"
	@echo "make sinks   build the sinks of plugins/ into plugins/dist/"
	@echo "make test    run all tests, with real processes, a real Consul, and the embedded coordinator"
	@echo "make soak    run the tests with faults for long: SECONDS=600 each"
	@echo "make chaos   faults of network, machines and Consul at random: SEED=1 MINUTES=60; as root"
	@echo "make bench   compare the path of a message with a bare HTTP route"
	@echo "make bench-sandbox    measure what the sandbox costs a record"
	@echo "make bench-failover   measure the silence when the leader ends, or loses the lock"
	@echo "make bench-swap       measure the silence when the sink is swapped"
	@echo "make compose-test     run the walkthrough of docs/compose.md, and check it"
	@echo "make lint    check format and lints"
	@echo "make structure        check for circles of imports, forbidden dependencies and sizes"
	@echo "make consul  print the path of the Consul that the tests use"

# The compiler shows how far it is; the demo then says what it does.
demo: tools
	@echo "Building. The first time this takes some minutes; then the demo starts by itself."
	@$(MAKE) --no-print-directory build
	@exec "$${CARGO_TARGET_DIR:-target}/release/sluice" demo $(DEMO)

build: wasm-target
	$(CARGO) build --release --locked -p sluice -p sluice-producer

# A node may watch plugins/dist: a sink appears there whole, and one that is the
# same as before is left alone.
sinks: wasm-target
	$(CARGO) build --release --locked --target $(TARGET) $(SINKS:%=-p sluice-plugin-%)
	@mkdir -p plugins/dist
	@for name in $(SINKS); do \
		built="$${CARGO_TARGET_DIR:-target}/$(TARGET)/release/$$name.wasm"; \
		sink="plugins/dist/$$name.wasm"; \
		cmp -s "$$built" "$$sink" || { \
			cp "$$built" "plugins/dist/.$$name.wasm.new" && \
			mv "plugins/dist/.$$name.wasm.new" "$$sink"; \
		} || exit 1; \
		echo "$(CURDIR)/$$sink"; \
	done

# What tests and benchmarks use as sinks.
guests: wasm-target
	$(CARGO) build --release --locked --target $(TARGET) \
		-p sluice-guest-misbehave $(SINKS:%=-p sluice-plugin-%)

test: guests
	$(CARGO) build --locked -p sluice -p sluice-producer
	CONSUL=$$(.ci/find-consul) && export CONSUL && SLUICE_CHAOS_SEED=1 SLUICE_CHAOS_MINUTES=2 \
		$(CARGO) test --locked --workspace
	COORDINATOR=embedded $(CARGO) test --locked --workspace --test integration

# Each run with faults takes so long.
SECONDS ?= 600
soak: guests
	$(CARGO) build --locked -p sluice -p sluice-producer
	CONSUL=$$(.ci/find-consul) && export CONSUL && SLUICE_SOAK_SECONDS=$(SECONDS) \
		$(CARGO) test --locked -p sluice --test integration -- faults:: journal::leaders --nocapture --test-threads=1

# A seed is a plan of faults; without one it is another each time. The run says
# which, and on a failure also what happened when, and where its logs are.
SEED ?=
MINUTES ?= 60
chaos: guests
	$(CARGO) build --locked -p sluice -p sluice-producer
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		SLUICE_CHAOS_SEED=$(or $(SEED),$(shell date +%s)) SLUICE_CHAOS_MINUTES=$(MINUTES) \
		$(CARGO) test --locked -p sluice --test chaos -- faults_at_random --nocapture

bench: build guests
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		$(CARGO) bench --locked -p sluice --bench delivery

bench-sandbox:
	$(CARGO) bench --locked -p sluice --bench sandbox

bench-failover: build
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		$(CARGO) bench --locked -p sluice --bench failover

bench-swap: build sinks
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		$(CARGO) bench --locked -p sluice --bench swap

# Needs a Docker engine, and builds the images: not a part of `make test`.
compose-test:
	.ci/compose-test

lint: wasm-target
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --target $(TARGET) \
		-p sluice-guest-misbehave $(SINKS:%=-p sluice-plugin-%) -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

structure:
	$(CARGO) run -q --locked -p sluice-structure

consul:
	@.ci/find-consul

# What a new machine may lack, and how to get it.
tools:
	@command -v "$(CARGO)" >/dev/null || { \
		echo "make: there is no $(CARGO); install Rust with rustup: https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { \
		echo "make: there is no C compiler; on Debian: apt-get install build-essential" >&2; exit 1; }

# Sinks are components: their target has to be there before anything is built.
wasm-target:
	@if command -v rustup >/dev/null && ! rustup target list --installed | grep -qx $(TARGET); then \
		rustup target add $(TARGET); \
	fi
