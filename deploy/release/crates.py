"""Which crates are in a program: by `cargo metadata` and the lock file."""

import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TARGET = "x86_64-unknown-linux-gnu"
#: The programs, by package.
PROGRAMS = {"atelier": "client", "atelier-coordinator": "coordinator", "atelier-node": "gpu-node"}


@dataclass
class Crate:
    """A package as cargo resolved it."""

    id: str
    name: str
    version: str
    #: An SPDX expression; empty where the crate tells none.
    licence: str
    description: str
    repository: str
    #: Of the archive on crates.io; none of our own.
    sha256: str | None
    #: Where its files are.
    folder: Path
    is_own: bool
    #: Ids of the crates that it is linked with, and of those that it is only built by: build scripts' and macros.
    linked: set[str] = field(default_factory=set)
    builders: set[str] = field(default_factory=set)

    @property
    def purl(self) -> str:
        return f"pkg:cargo/{self.name}@{self.version}"


def metadata() -> dict[str, Any]:
    """What cargo tells of the workspace for our target, by the lock file as it is."""
    command = [
        os.environ.get("CARGO", "cargo"),
        "metadata",
        "--locked",
        "--format-version=1",
        f"--filter-platform={TARGET}",
    ]
    # What it has to say of a lock file that does not fit goes where people see it.
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)


def checksums(lock_file: str) -> dict[tuple[str, str], str]:
    """SHA-256 of each crate of a Cargo.lock, by name and version."""
    found = {}
    for block in lock_file.split("[[package]]")[1:]:
        entry = dict(re.findall(r'^(name|version|checksum) = "([^"]+)"', block, re.M))
        if "checksum" in entry:
            found[entry["name"], entry["version"]] = entry["checksum"]
    return found


def spdx(licence: str | None) -> str:
    """An expression as SPDX has it: crates once wrote `MIT/Apache-2.0`."""
    return re.sub(r"\s*/\s*", " OR ", (licence or "").strip())


def crates(told: dict[str, Any], lock_file: str) -> dict[str, Crate]:
    """All that is in cargo's answer, by id."""
    sums = checksums(lock_file)
    found, macros = {}, set()
    for package in told["packages"]:
        name, version = package["name"], package["version"]
        found[package["id"]] = Crate(
            id=package["id"],
            name=name,
            version=version,
            licence=spdx(package["license"]),
            description=(package["description"] or "").strip(),
            repository=package["repository"] or "",
            sha256=sums.get((name, version)),
            folder=Path(package["manifest_path"]).parent,
            is_own=package["source"] is None,
        )
        if any("proc-macro" in target["kind"] for target in package["targets"]):
            macros.add(package["id"])
    for node in told["resolve"]["nodes"]:
        crate = found[node["id"]]
        for dependency in node["deps"]:
            kinds = {kind["kind"] for kind in dependency["dep_kinds"]}
            if None in kinds and dependency["pkg"] not in macros:
                crate.linked.add(dependency["pkg"])
            elif None in kinds or "build" in kinds:
                crate.builders.add(dependency["pkg"])
    return found


def reach(all_crates: dict[str, Crate], start: str) -> tuple[list[Crate], list[Crate]]:
    """The crates that a program is linked with, and those that only build it, both by name and without itself."""

    def closure(ids: set[str], follow_builders: bool) -> set[str]:
        seen, waiting = set(), list(ids)
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += all_crates[one].linked
                waiting += all_crates[one].builders if follow_builders else ()
        return seen

    linked = closure({start}, follow_builders=False)
    built_by = closure({start}, follow_builders=True) - linked
    return by_name(all_crates, linked - {start}), by_name(all_crates, built_by)


def by_name(all_crates: dict[str, Crate], ids: set[str]) -> list[Crate]:
    """These crates in order."""
    return sorted((all_crates[one] for one in ids), key=lambda crate: (crate.name, crate.version))


def program_id(all_crates: dict[str, Crate], program: str) -> str:
    """The id of a program's own package."""
    (found,) = (crate.id for crate in all_crates.values() if crate.is_own and crate.name == program)
    return found
