#!/usr/bin/env bash
# Builds and tags the images of Atelier, all or those that are named:
#   deploy/containers/build.sh [--push] [coordinator] [node] [node-cuda] [client]
#
# By environment:
#   REGISTRY     goes before the names, as in 123456789012.dkr.ecr.eu-central-1.amazonaws.com; needed with --push
#   TAG          [default: the version in Cargo.toml]
#   ENGINE       docker or podman [default: the one that is installed]
#   BUILD_ARGS   further options of the build, as in --build-arg DEBIAN_IMAGE=debian:12.11-slim@sha256:…
#   PIP_CONFIG_FILE, CARGO_CONFIG_FILE   a pip.conf and a Cargo configuration that name package mirrors
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 2
}

push=no
targets=()
for argument in "$@"; do
    case $argument in
        --push) push=yes ;;
        coordinator | node | node-cuda | client) targets+=("$argument") ;;
        *) fail "there is no image '$argument'" "name some of coordinator, node, node-cuda and client, or none for all" ;;
    esac
done
[ "${#targets[@]}" -gt 0 ] || targets=(coordinator node node-cuda client)

registry=${REGISTRY:-}
if [ "$push" = yes ] && [ -z "$registry" ]; then
    fail "there is no registry to push to" "set REGISTRY, as in REGISTRY=registry.example/studio"
fi
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
[ -n "$version" ] || fail "Cargo.toml has no version under [workspace.package]" "set TAG"
tag=${TAG:-$version}
[[ $tag =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,121}$ ]] || fail "TAG '$tag' is no tag of an image" "use letters, digits, '.', '_' and '-'"
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
commit=$(deploy/release/commit.sh)

engine=${ENGINE:-$(command -v docker || command -v podman || true)}
[ -n "$engine" ] || fail "neither docker nor podman is here" "install one of them, or name it with ENGINE"

options=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "ATELIER_COMMIT=$commit")
[ -z "${PIP_CONFIG_FILE:-}" ] || options+=(--secret "id=pip,src=$PIP_CONFIG_FILE")
[ -z "${CARGO_CONFIG_FILE:-}" ] || options+=(--secret "id=cargo,src=$CARGO_CONFIG_FILE")
# The one variable that is meant to be split: options as one would write them.
read -r -a more <<<"${BUILD_ARGS:-}"
# podman must be told of the list of what to leave out, and its own format of images has no health checks.
case $(basename "$engine") in
    podman) options+=(--ignorefile deploy/containers/Dockerfile.dockerignore --format docker) ;;
esac

for target in "${targets[@]}"; do
    case $target in
        coordinator) name=atelier-coordinator:$tag ;;
        node) name=atelier-node:$tag ;;
        node-cuda) name=atelier-node:$tag-cuda ;;
        client) name=atelier:$tag ;;
    esac
    name=${registry:+${registry%/}/}$name
    echo "building $name" >&2
    DOCKER_BUILDKIT=1 "$engine" build --file deploy/containers/Dockerfile --target "$target" --tag "$name" \
        "${options[@]}" "${more[@]}" .
    if [ "$push" = yes ]; then "$engine" push "$name"; fi
done
