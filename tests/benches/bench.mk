# Benchmarks, included by the Makefile, which sets TARGET_DIR. docs/benchmark-method.md says what they measure.
#
#   make bench                       both pipelines and the fixed cost of a stage, release build
#   make bench PROFILE=dev           the same, with the profile of the tests (numbers only for finding one's way)
#   make bench CODE=DIR RUNS=3       other source code, fewer runs
#   make bench ENGINE=windlass       against DataFusion as Windlass sets it, not as it comes
#   make bench-data SCALE=10         only the tables of TPC-H
#   make bench-expectations          what expectations cost a stage
#   make bench-incremental           runs that take changes in, upserts, and runs in which nothing has changed
#   make bench-maintain              compaction and Z-order, beside deltalake's optimize

PROFILE ?= release
SCALE ?= 1
RUNS ?= 5
ENGINE ?= stock
# Real source code that every build has at hand: the crates in Cargo's own registry folder.
CODE ?= $(firstword $(wildcard $(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src/*))

bench_bin := $(TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
bench_data := $(TARGET_DIR)/bench/tpch-sf$(SCALE)

.PHONY: bench bench-build bench-data bench-incremental bench-expectations bench-maintain
bench-build: setup
	cargo build --workspace --locked --profile $(PROFILE) --features windlass-tests/bench \
	    --bin windlass --bin windlass-bench

bench-data: bench-build ## Make the tables of TPC-H (SCALE=1)
	$(bench_bin)/windlass-bench data --scale $(SCALE) "$(bench_data)"

bench: bench-data ## Compare Windlass with plain DataFusion (RUNS=5, PROFILE=release)
	$(bench_bin)/windlass-bench compare --runs $(RUNS) --engine $(ENGINE) --tpch "$(bench_data)" --code "$(CODE)"

bench-incremental: bench-data ## Compare incremental runs with full ones, and the upsert with deltalake's (RUNS=5)
	$(bench_bin)/windlass-bench unchanged --runs $(RUNS)
	$(bench_bin)/windlass-bench upsert --runs $(RUNS) --tpch "$(bench_data)"
	$(bench_bin)/windlass-bench incremental --runs $(RUNS) --tpch "$(bench_data)" --code "$(CODE)"

bench-expectations: bench-data ## Compare a stage with and without expectations (RUNS=5)
	$(bench_bin)/windlass-bench expectations --runs $(RUNS) --tpch "$(bench_data)"

bench-maintain: bench-data ## Compare compaction and Z-order with deltalake's (RUNS=5)
	$(bench_bin)/windlass-bench maintain --runs $(RUNS) --tpch "$(bench_data)"
