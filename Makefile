# The standard commands. Each does its own set-up on a fresh machine; see README.md for what it needs.

PYTHON ?= python3
CARGO ?= cargo

.PHONY: help setup demo test lint bench
.DEFAULT_GOAL := help

help: ## Shows this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Gets libtorch into .libtorch/, after which plain cargo and editors work
	@$(PYTHON) deploy/libtorch/bootstrap.py

demo: setup ## Builds everything and renders a sample grid into atelier-demo/
	@$(CARGO) build --release --workspace --bins
	@target/release/atelier demo

test: setup ## Passes every test, after installing what they need where it can
	@CARGO="$(CARGO)" PYTHON="$(PYTHON)" tests/run.sh

bench: setup ## Renders one grid by us and by a PyTorch loop, and writes BENCHMARKS.md (WEIGHTS=FILE, BENCH="OPTIONS")
	@$(CARGO) build --release --workspace --bins
	@$(PYTHON) gpu-node/bench/compare.py $(if $(WEIGHTS),--weights "$(WEIGHTS)") $(BENCH)

lint: setup ## Checks formatting and lints, warnings as errors
	@$(CARGO) fmt --all -- --check
	@$(CARGO) clippy --workspace --all-targets -- -D warnings
