# `make demo` runs the main job, `make test` passes the tests; both install and build what is missing.

# The folder of source code that the demo reads: any folder, or by default what Cargo has downloaded to build this.
FOLDER ?= $(firstword $(wildcard $(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src/*))
# Where the demo keeps its tables and bundles.
DEMO_HOME ?= $(CURDIR)/.windlass/demo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
WINDLASS := $(TARGET_DIR)/debug/windlass
# A rustup of a moment ago is not on the PATH yet.
export PATH := $(HOME)/.cargo/bin:$(PATH)

# What `make install` builds: `release` is fast and takes long to build, `dev` is what the demo has built.
PROFILE ?= release

.PHONY: help setup build demo install test lint doc soak clean-demo

help: ## What can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  \1\t/' | expand -t 16

setup: ## Install what building needs besides Rust
	@scripts/setup.sh

build: setup ## Build the command
	@[ -x "$(WINDLASS)" ] || echo "building the engine and Windlass: about 20 minutes on two cores, the first time only"
	cargo build --workspace --bins --locked

demo: build ## Run examples/code_graph on an embedded cluster and ask it three questions (FOLDER=… for your own code)
	@WINDLASS="$(WINDLASS)" DEMO_HOME="$(DEMO_HOME)" scripts/demo.sh "$(or $(FOLDER),$(wildcard $(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src/*))"

install: setup ## Put the command on the PATH (PROFILE=dev: as the demo has built it)
	cargo install --path client --bin windlass --locked --profile $(PROFILE) --target-dir "$(TARGET_DIR)"
	@windlass --version && command -v windlass

test: setup ## Pass all tests
	cargo build --workspace --bins --locked
	cargo test --workspace --locked

lint: setup ## Check format and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features windlass-tests/bench --locked -- -D warnings

doc: setup ## Build the API documentation
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

soak: setup ## Run the slow tests: many more seeds of simulations and of incremental runs (an hour)
	cargo build --workspace --bins --locked
	WINDLASS_SIM_SEEDS=100000 cargo test --workspace --locked --test it -- run::simulation run::machine
	WINDLASS_SEEDS=3000 cargo test --workspace --locked --test it -- incremental::random_sequences

clean-demo: ## Remove the demo's tables and bundles
	rm -rf "$(DEMO_HOME)"

include tests/benches/bench.mk
include docker/docker.mk
include k8s/k8s.mk
