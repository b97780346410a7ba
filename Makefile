# The standard commands. Each does its own set-up on a fresh machine; see README.md for what it needs.

PYTHON ?= python3
CARGO ?= cargo

.PHONY: help setup demo test lint bench bench-coordinator scaling-study screenshots soak images push-images
.DEFAULT_GOAL := help

help: ## Shows this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

bench-coordinator: setup ## Puts load on one coordinator, and writes BENCHMARKS.md (BENCH="OPTIONS"; BENCH=--quick tries it out)
	@$(CARGO) build --release --workspace --bins
	@folder=$$(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | tail -n 1); \
	  if [ -n "$$folder" ]; then export ATELIER_TEST_POSTGRES="$${ATELIER_TEST_POSTGRES:-$$folder}"; fi; \
	  exec "$${CARGO_TARGET_DIR:-target}/release/bench-coordinator" \
	    $(if $(filter --quick,$(BENCH)),,--write BENCHMARKS.md) $(BENCH)

scaling-study: setup ## Lives through days of a fleet in virtual time, and writes docs/scaling.md and its plots (SEEDS=COUNT)
	@$(CARGO) build --release --workspace --bins
	@"$${CARGO_TARGET_DIR:-target}/release/scaling-study" --write docs $(if $(SEEDS),--seeds "$(SEEDS)")

screenshots: setup ## Takes the pictures of pages that the README shows, of the sample grid
	@$(CARGO) build --release --workspace --bins
	@target/release/atelier demo --out atelier-demo
	@ATELIER_TEST_CHROMIUM="$${ATELIER_TEST_CHROMIUM:-$$(command -v chromium || command -v google-chrome)}" \
	  "$${CARGO_TARGET_DIR:-target}/release/screenshots" atelier-demo docs

soak: setup ## Lets faults happen at random for ten minutes and audits what is left (SOAK=SECONDS, SEED=NUMBER)
	@CARGO="$(CARGO)" PYTHON="$(PYTHON)" ATELIER_SOAK="$(SOAK)" ATELIER_SOAK_SEED="$(SEED)" tests/run.sh soak

images: ## Builds the container images (TAG=…, default: the version)
	@deploy/containers/build.sh

push-images: ## Builds and pushes them (REGISTRY=…, TAG=…)
	@deploy/containers/build.sh --push

lint: setup ## Checks formatting and lints, warnings as errors
	@$(CARGO) fmt --all -- --check
	@$(CARGO) clippy --workspace --all-targets -- -D warnings
