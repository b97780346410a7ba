#!/usr/bin/env bash
# Builds the programs for others and packs them: archives, Debian packages, bills of materials and SHA256SUMS, into dist/.
#
# By environment:
#   CARGO, PYTHON
#   ATELIER_COMMIT      what the programs say they are built from [default: as commit.sh has it]
#   SOURCE_DATE_EPOCH   seconds since 1970 that count as the time of all files [default: the commit's]
#   DEBFULLNAME, DEBEMAIL   who makes the Debian packages
#   PACK                further options of dist.py, as in --no-packages
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo=${CARGO:-cargo}
python=${PYTHON:-python3}
ATELIER_COMMIT=${ATELIER_COMMIT:-$(deploy/release/commit.sh)}
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git show --no-patch --format=%ct HEAD) || {
        printf 'error: there is no commit whose time could be told\nhint: set SOURCE_DATE_EPOCH to seconds since 1970\n' >&2
        exit 2
    }
fi
export ATELIER_COMMIT SOURCE_DATE_EPOCH
case $ATELIER_COMMIT in
    *modified) echo "dist: files differ from the commit, and the programs say so" >&2 ;;
esac

# Programs name no folder of this machine, so that whoever builds the same sources elsewhere gets the same bytes. The last
# rule that fits counts.
homes=${CARGO_HOME:-$HOME/.cargo}
sysroot=$("${RUSTC:-rustc}" --print sysroot)
RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$homes=/cargo --remap-path-prefix=$sysroot=/rust"
export RUSTFLAGS="$RUSTFLAGS --remap-path-prefix=$PWD=/atelier"
for variable in CFLAGS CXXFLAGS; do
    export "$variable=${!variable:-} -ffile-prefix-map=$homes=/cargo -ffile-prefix-map=$PWD=/atelier"
done
# Beside the program, as an archive is unpacked, or where the other ways to install it put libtorch.
# shellcheck disable=SC2016 # The loader knows what $ORIGIN is.
export ATELIER_LIBTORCH_RPATH='$ORIGIN/../lib/atelier/torch/lib:/usr/local/lib/atelier/torch/lib'

"$cargo" build --profile dist --locked --package atelier --package atelier-coordinator --package atelier-node --bins
programs=${CARGO_TARGET_DIR:-target}/dist

for program in atelier atelier-coordinator atelier-node; do
    if grep --quiet --fixed-strings --text -e "$PWD/" -e "$homes/" "$programs/$program"; then
        echo "dist: $program names a folder of this machine: it will differ elsewhere" >&2
    fi
done

# What they say of themselves. The node is not yet where it will find libtorch.
pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT
for program in atelier atelier-coordinator atelier-node; do
    run=(env "LD_LIBRARY_PATH=${LIBTORCH:-$PWD/.libtorch/torch}/lib" "$programs/$program")
    "${run[@]}" man "$pages/man/man1" >/dev/null
    mkdir -p "$pages"/completions/{bash,zsh,fish}
    "${run[@]}" completions bash >"$pages/completions/bash/$program"
    "${run[@]}" completions zsh >"$pages/completions/zsh/_$program"
    "${run[@]}" completions fish >"$pages/completions/fish/$program.fish"
done

read -r -a more <<<"${PACK:-}"
rm -rf dist
"$python" deploy/release/dist.py --programs "$programs" --pages "$pages" --into dist "${more[@]}"
