# What there is to do with Sluice. `make test` is all that CI runs beside the
# format and lint checks.

TARGET = wasm32-wasip2
CARGO ?= cargo

.PHONY: help build test bench bench-failover lint consul wasm-target

help:
	@echo "make build   build the programs: target/release/sluice and sluice-producer"
	@echo "make test    run all tests, with real processes, a real Consul, and the embedded coordinator"
	@echo "make bench   compare the path of a message with a bare HTTP route"
	@echo "make bench-failover   measure the silence when the leader ends"
	@echo "make lint    check format and lints"
	@echo "make consul  print the path of the Consul that the tests use"

build: wasm-target
	$(CARGO) build --release --locked -p sluice -p sluice-producer

test: wasm-target
	$(CARGO) build --release --locked --target $(TARGET) -p sluice-guest-misbehave
	$(CARGO) build --locked -p sluice -p sluice-producer
	CONSUL=$$(.ci/find-consul) && export CONSUL && $(CARGO) test --locked --workspace
	COORDINATOR=embedded $(CARGO) test --locked --workspace --test integration

bench: build
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		$(CARGO) bench --locked -p sluice --bench delivery

bench-failover: build
	CONSUL=$$(.ci/find-consul) && export CONSUL && \
		$(CARGO) bench --locked -p sluice --bench failover

lint: wasm-target
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --target $(TARGET) \
		-p sluice-plugin-stdout -p sluice-guest-misbehave -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

consul:
	@.ci/find-consul

# Sinks are components: their target has to be there before anything is built.
wasm-target:
	@if command -v rustup >/dev/null && ! rustup target list --installed | grep -qx $(TARGET); then \
		rustup target add $(TARGET); \
	fi
