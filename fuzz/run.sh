#!/usr/bin/env bash
# Lets libFuzzer look for inputs that break a target, or each of them, for SECONDS_EACH seconds (60) each. What it comes across is
# kept in fuzz/found/, so that the next run goes on from there; what breaks a target in fuzz/artifacts/.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
seconds=${SECONDS_EACH:-60}

version=0.13.2
tools=$PWD/.tools/cargo-fuzz-$version
if ! [ -x "$tools/bin/cargo-fuzz" ]; then
    echo "fuzz: installing cargo-fuzz $version into .tools/"
    "$cargo" install --quiet --locked --root "$tools" --version "$version" cargo-fuzz
fi
export PATH=$tools/bin:$PATH

mapfile -t all < <("$cargo" fuzz list)
targets=("$@")
if [ $# -eq 0 ]; then
    targets=("${all[@]}")
fi
for target in "${targets[@]}"; do
    if ! [ -e "fuzz/fuzz_targets/$target.rs" ]; then
        echo "fuzz: there is no target $target; there are: ${all[*]}" >&2
        exit 2
    fi
done

# What is looked at is what is built from the lock file of all: cargo adds to it what fuzzers need themselves.
cp Cargo.lock fuzz/Cargo.lock

# The threads of libtorch would only wait for each other.
export OMP_NUM_THREADS=1
broken=()
for target in "${targets[@]}"; do
    echo "fuzz: $target, for $seconds s"
    mkdir -p "fuzz/found/$target"
    # By itself, because what does not build is not broken by an input.
    "$cargo" fuzz build --sanitizer none "$target"
    "$cargo" fuzz run --sanitizer none "$target" "fuzz/found/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=65536 -timeout=20 -print_final_stats=1 || broken+=("$target")
done
if [ "${#broken[@]}" -gt 0 ]; then
    echo "fuzz: broken: ${broken[*]}; the inputs are in fuzz/artifacts/" >&2
    echo "hint: mend it, and keep the input in fuzz/corpus/TARGET/ under a name that says what it is" >&2
    exit 1
fi
