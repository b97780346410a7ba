# The standard commands. Each does its own set-up on a fresh machine; see README.md for what it needs.

PYTHON ?= python3
CARGO ?= cargo

.PHONY: help setup build demo test lint fuzz corpus deny sbom dist freeze-protocol
.PHONY: bench bench-coordinator bench-flood scaling-study screenshots soak images push-images
.DEFAULT_GOAL := help

# What programs for people say they are built from. Plain cargo leaves it out, so that a commit has nothing built anew.
build demo bench bench-coordinator bench-flood screenshots: export ATELIER_COMMIT = $(shell deploy/release/commit.sh)

help: ## Shows this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Gets libtorch into .libtorch/, after which plain cargo and editors work
	@$(PYTHON) deploy/libtorch/bootstrap.py

build: setup ## Builds the release programs, which tell their commit, into target/release/
	@$(CARGO) build --release --workspace --bins

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

bench-flood: setup ## Floods one coordinator while others call it, and writes BENCHMARKS.md (BENCH="OPTIONS"; BENCH=--quick tries it out)
	@$(CARGO) build --release --workspace --bins
	@"$${CARGO_TARGET_DIR:-target}/release/bench-flood" $(if $(filter --quick,$(BENCH)),,--write BENCHMARKS.md) $(BENCH)

scaling-study: setup ## Lives through days of a fleet in virtual time, and writes docs/scaling.md and its plots (SEEDS=COUNT)
	@$(CARGO) build --release --workspace --bins
	@"$${CARGO_TARGET_DIR:-target}/release/scaling-study" --write docs $(if $(SEEDS),--seeds "$(SEEDS)")

screenshots: setup ## Takes the pictures of pages that the README and docs/ show, of the sample grid
	@$(CARGO) build --release --workspace --bins
	@target/release/atelier demo --out atelier-demo
	@ATELIER_TEST_CHROMIUM="$${ATELIER_TEST_CHROMIUM:-$$(command -v chromium || command -v google-chrome)}" \
	  "$${CARGO_TARGET_DIR:-target}/release/screenshots" atelier-demo docs

soak: setup ## Lets faults happen at random for ten minutes and audits what is left (SOAK=SECONDS, SEED=NUMBER)
	@CARGO="$(CARGO)" PYTHON="$(PYTHON)" ATELIER_SOAK="$(SOAK)" ATELIER_SOAK_SEED="$(SEED)" tests/run.sh soak

fuzz: setup ## Looks for inputs that break what reads others' files and messages (TARGET=NAME, SECONDS=COUNT)
	@CARGO="$(CARGO)" SECONDS_EACH="$(SECONDS)" fuzz/run.sh $(if $(TARGET),"$(TARGET)")

corpus: setup ## Writes those inputs that fuzzers begin with and fuzz/corpus/ lacks
	@$(CARGO) test --workspace --lib -- --ignored --quiet fuzzing::tests::seeds_are_written

images: ## Builds the container images (TAG=…, default: the version)
	@deploy/containers/build.sh

push-images: ## Builds and pushes them (REGISTRY=…, TAG=…)
	@deploy/containers/build.sh --push

dist: setup ## Builds programs for others and packs them: archives, Debian packages, SHA256SUMS, into dist/
	@CARGO="$(CARGO)" PYTHON="$(PYTHON)" deploy/release/dist.sh

sbom: ## Writes of each program what it is made of (CycloneDX), into dist/sbom/
	@CARGO="$(CARGO)" $(PYTHON) deploy/release/sbom.py

freeze-protocol: setup ## Writes the protocol as that of this version, which later ones must understand: proto/released/
	@$(CARGO) build --workspace --all-targets
	@"$${CARGO_TARGET_DIR:-target}/debug/freeze-protocol"

deny: ## Checks licences, sources and known faults of all crates by deny.toml
	@CARGO="$(CARGO)" PYTHON="$(PYTHON)" deploy/release/deny.sh

lint: setup deny ## Checks formatting, lints, documentation, all without a warning, and what deny checks
	@$(CARGO) fmt --all -- --check
	@$(CARGO) clippy --workspace --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items
