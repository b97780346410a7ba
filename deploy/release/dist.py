#!/usr/bin/env python3
"""Packs programs that are built into archives and Debian packages, with all that belongs to them, and SHA256SUMS.

The same programs and sources make the same bytes, wherever and whenever: times are that of SOURCE_DATE_EPOCH, or of the
commit. `make dist` builds the programs for it; see README.md beside this file.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import debian  # noqa: E402
import sbom  # noqa: E402
from archive import Entry, Tree, compressed, tar_gz  # noqa: E402
from crates import PROGRAMS, ROOT, crates, metadata, program_id, reach  # noqa: E402
from notices import notices  # noqa: E402

SYSTEMD = ROOT / "deploy/systemd"
LIBTORCH_NOTICE = (
    "It loads libtorch, which does not travel with it: bootstrap.py gets it from PyPI. libtorch is licensed under\n"
    "BSD-3-Clause; of NVIDIA's libraries beside it their own licence holds."
)
SYSUSERS = "systemd | systemd-standalone-sysusers | systemd-sysusers"
PACKAGES = {
    "atelier": debian.Package(
        name="atelier",
        summary="paints every photo in the style of every artist: the client",
        description=(
            "Atelier takes a grid, every photo x every artist, and has its cells rendered\n"
            "by the nodes of a coordinator. This is its client: it submits grids, shows how\n"
            "they get on, and fetches their galleries."
        ),
        recommends=["ca-certificates"],
        suggests=["atelier-coordinator", "atelier-node"],
    ),
    "atelier-coordinator": debian.Package(
        name="atelier-coordinator",
        summary="paints every photo in the style of every artist: the coordinator",
        description=(
            "Accepts grids, splits them into cells, leases these to nodes, and keeps the\n"
            "truth, in SQLite or in PostgreSQL. The service is not started by installing:\n"
            "tell it in /etc/atelier/coordinator.env whom it serves, then enable it."
        ),
        depends=[SYSUSERS],
        recommends=["ca-certificates"],
        suggests=["atelier", "postgresql"],
        units=["atelier-coordinator.service"],
    ),
    "atelier-node": debian.Package(
        name="atelier-node",
        summary="paints every photo in the style of every artist: a node",
        description=(
            "Renders the cells of a coordinator, on processors or on NVIDIA GPUs.\n\n"
            "It needs libtorch, which is not in Debian in this version and is got once by\n"
            "python3 /usr/share/atelier-node/bootstrap.py --into /usr/local/lib/atelier"
        ),
        depends=[SYSUSERS, "python3"],
        recommends=["ca-certificates", "python3-pip"],
        suggests=["atelier", "nvidia-persistenced"],
        units=["atelier-node@.service"],
    ),
}


@dataclass
class Material:
    """What goes into a release besides the files of the project."""

    #: The programs, by name.
    programs: dict[str, bytes]
    #: Bills of materials and notices, by program.
    bills: dict[str, bytes]
    notices: dict[str, bytes]
    #: What the programs say about themselves, by path: `man/man1/atelier.1`, `completions/bash/atelier`.
    pages: dict[str, bytes]


def version() -> str:
    """The version in Cargo.toml."""
    found = re.search(r'\[workspace\.package\][^\[]*?\nversion = "([^"]+)"', (ROOT / "Cargo.toml").read_text())
    assert found, "Cargo.toml has no version under [workspace.package]"
    return found[1]


def read(path: str) -> Entry:
    """A file of the project."""
    return Entry((ROOT / path).read_bytes())


def manual() -> Tree:
    """What the README leads to: docs/ without its pictures."""
    return {f"docs/{path.name}": read(f"docs/{path.name}") for path in sorted((ROOT / "docs").glob("*.md"))}


def documents() -> Tree:
    """What every archive has at its root."""
    names = ("README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT")
    return {name: read(name) for name in names} | manual()


def of_program(program: str, material: Material) -> Tree:
    """A program in an archive, with its papers."""
    tree = {
        f"bin/{program}": Entry(material.programs[program], 0o755),
        f"sbom/{program}.cdx.json": Entry(material.bills[program]),
        f"notices/{program}.txt": Entry(material.notices[program]),
    }
    for path, data in material.pages.items():
        if page_of(path) == program:
            tree[f"share/{path}"] = Entry(data)
    return tree


def page_of(path: str) -> str:
    """The program that a manual page or a completion is about: `atelier-cloud-up.1` is one of the client's."""
    name = Path(path).name.lstrip("_").split(".")[0]
    for program in ("atelier-coordinator", "atelier-node"):
        if name == program or name.startswith(f"{program}-"):
            return program
    return "atelier"


def archives(material: Material, seconds: int) -> dict[str, bytes]:
    """The archives, by file name. The node has one of its own: it is of use with libtorch alone."""
    common = documents() | of_program("atelier", material) | of_program("atelier-coordinator", material)
    node = documents() | of_program("atelier-node", material)
    node["INSTALL.md"] = read("deploy/release/node-install.md")
    node["lib/atelier/bootstrap.py"] = Entry(read("deploy/libtorch/bootstrap.py").data, 0o755)
    for tree, units in ((common, ["atelier-coordinator.service"]), (node, ["atelier-node@.service"])):
        for name in [*units, "atelier.sysusers.conf", settings_of(units[0])]:
            tree[f"systemd/{name}"] = read(f"deploy/systemd/{name}")
    found = {}
    for name, tree in (("atelier", common), ("atelier-node", node)):
        within = f"{name}-{version()}-x86_64-linux"
        found[f"{within}.tar.gz"] = tar_gz(tree, within, seconds)
    return found


def settings_of(unit: str) -> str:
    """The file by which a unit is told what to do."""
    found = re.search(r"EnvironmentFile=-/etc/atelier/(\S+)", (SYSTEMD / unit).read_text())
    assert found, f"{unit} reads no settings"
    return found[1]


def package_tree(package: debian.Package, material: Material) -> Tree:
    """The files of a Debian package, where Debian has such files."""
    program, doc = package.name, f"usr/share/doc/{package.name}"
    tree = {
        f"usr/bin/{program}": Entry(material.programs[program], 0o755),
        f"usr/share/lintian/overrides/{program}": Entry(OVERRIDES[program].encode()),
        f"{doc}/copyright": Entry(debian.copyright_file((ROOT / "LICENSE-MIT").read_text())),
        f"{doc}/README.md.gz": Entry(compressed(read("README.md").data)),
        f"{doc}/CHANGELOG.md.gz": Entry(compressed(read("CHANGELOG.md").data)),
        f"{doc}/THIRD-PARTY-NOTICES.gz": Entry(compressed(material.notices[program])),
        f"{doc}/{program}.cdx.json.gz": Entry(compressed(material.bills[program])),
    }
    tree |= {f"{doc}/{name}.gz": Entry(compressed(page.data)) for name, page in manual().items()}
    for unit in package.units:
        text = (SYSTEMD / unit).read_text().replace("/usr/local/bin/", "/usr/bin/")
        text = text.replace("/usr/share/doc/atelier/README.md", f"/{doc}/README.md.gz")
        tree[f"usr/lib/systemd/system/{unit}"] = Entry(text.encode())
        settings = settings_of(unit)
        # The database's password may be in it.
        tree[f"etc/atelier/{settings}"] = Entry((SYSTEMD / settings).read_bytes(), 0o600)
        tree[f"usr/lib/sysusers.d/{program}.conf"] = read("deploy/systemd/atelier.sysusers.conf")
    if program == "atelier-node":
        tree["usr/share/atelier-node/bootstrap.py"] = Entry(read("deploy/libtorch/bootstrap.py").data, 0o755)
    for path, data in material.pages.items():
        if page_of(path) == program:
            tree |= page_tree(Path(path), data)
    return tree


#: What lintian finds and is meant to be so, by package, with why.
SYSTEMCTL = "# try-restart, which starts nothing, and instances by a pattern: deb-systemd-invoke knows neither.\n"
OVERRIDES = {
    "atelier": "# A parser of YAML in Rust, whose messages are those of libyaml.\natelier: embedded-library libyaml *\n",
    "atelier-coordinator": (
        "# The database's password may be in it.\n"
        "atelier-coordinator: non-standard-file-perm 0600 != 0644 [etc/atelier/coordinator.env]\n"
        f"{SYSTEMCTL}atelier-coordinator: maintainer-script-calls-systemctl *\n"
    ),
    "atelier-node": (
        "# libtorch is in no package of Debian, and so nowhere that the loader would look.\n"
        "atelier-node: custom-library-search-path RUNPATH *\n"
        "# A token may be in it.\n"
        "atelier-node: non-standard-file-perm 0600 != 0644 [etc/atelier/node.env]\n"
        f"{SYSTEMCTL}atelier-node: maintainer-script-calls-systemctl *\n"
    ),
}


def page_tree(path: Path, data: bytes) -> Tree:
    """A manual page or a completion, where shells and man look for it."""
    if path.suffix == ".1":
        return {f"usr/share/man/man1/{path.name}.gz": Entry(compressed(data))}
    places = {
        "bash": "usr/share/bash-completion/completions",
        "zsh": "usr/share/zsh/vendor-completions",
        "fish": "usr/share/fish/vendor_completions.d",
    }
    return {f"{places[path.parent.name]}/{path.name}": Entry(data)}


def packages(material: Material, seconds: int, into: Path) -> list[Path]:
    """Builds the Debian packages."""
    built = []
    for name, package in PACKAGES.items():
        libraries = debian.library_packages(material.programs[name])
        whole = replace(package, depends=[*libraries, *package.depends])
        built.append(debian.build(whole, package_tree(package, material), version(), seconds, into))
    return built


def pack(material: Material, seconds: int, into: Path, with_packages: bool = True) -> Path:
    """Writes everything into a folder, and SHA256SUMS of it."""
    into.mkdir(parents=True, exist_ok=True)
    files = archives(material, seconds)
    files |= {f"{program}-{version()}.cdx.json": data for program, data in material.bills.items()}
    written = [into / name for name in files]
    for path in written:
        path.write_bytes(files[path.name])
    if with_packages:
        written += packages(material, seconds, into)
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(written))
    sums = into / "SHA256SUMS"
    sums.write_text("".join(lines))
    return sums


def papers(seconds: int) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Bills of materials and notices of all programs."""
    all_crates = crates(metadata(), (ROOT / "Cargo.lock").read_text())
    texts = {}
    for program in PROGRAMS:
        linked, _builders = reach(all_crates, program_id(all_crates, program))
        more = [LIBTORCH_NOTICE] if program == "atelier-node" else []
        texts[program] = notices(program, linked, more).encode()
    with tempfile.TemporaryDirectory() as folder:
        bills = {path.name.removesuffix(".cdx.json"): path.read_bytes() for path in sbom.write(Path(folder), seconds)}
    return bills, texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=Path, required=True, help="the folder of the programs")
    parser.add_argument("--pages", type=Path, help="a folder with man/ and completions/, as the programs write them")
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="default: dist of the project")
    parser.add_argument("--no-packages", action="store_true", help="make archives alone, as where there is no dpkg-deb")
    arguments = parser.parse_args()
    seconds = sbom.source_date()
    try:
        programs = {name: (arguments.programs / name).read_bytes() for name in PROGRAMS}
        files = sorted(arguments.pages.rglob("*")) if arguments.pages else []
        pages = {str(path.relative_to(arguments.pages)): path.read_bytes() for path in files if path.is_file()}
        bills, texts = papers(seconds)
        material = Material(programs, bills, texts, pages)
        sums = pack(material, seconds, arguments.into, not arguments.no_packages)
        with tempfile.TemporaryDirectory() as folder:
            again = pack(material, seconds, Path(folder), not arguments.no_packages)
            if again.read_bytes() != sums.read_bytes():
                sys.exit(
                    "error: the same programs were packed into other bytes the second time\nhint: compare the files in two folders"
                )
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
    print(sums.read_text(), end="")


if __name__ == "__main__":
    main()
