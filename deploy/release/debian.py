"""Debian packages of the programs, built by dpkg-deb from trees of files."""

import datetime
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from archive import Entry, Tree, compressed, lay_out


@dataclass
class Package:
    """What is said of a package in its control file."""

    name: str
    summary: str
    #: Paragraphs, of lines of up to 79 characters.
    description: str
    depends: list[str] = field(default_factory=list)
    recommends: list[str] = field(default_factory=list)
    suggests: list[str] = field(default_factory=list)
    #: Units that it has, with which installing and removing it have to do.
    units: list[str] = field(default_factory=list)
    section: str = "graphics"


def maintainer() -> str:
    """Whoever makes the packages, by the variables that Debian's own tools read."""
    name = os.environ.get("DEBFULLNAME", "Atelier maintainers")
    return f"{name} <{os.environ.get('DEBEMAIL', 'maintainers@atelier.invalid')}>"


def library_packages(program: bytes) -> list[str]:
    """The packages of Debian whose libraries a program is linked with, as its dynamic section and symbols tell."""
    found = []
    asked = re.findall(rb"\0GLIBC_(\d+)\.(\d+)(?:\.\d+)?(?=\0)", program)
    versions = {(int(major), int(minor)) for major, minor in asked}
    if versions:
        found.append("libc6 (>= {}.{})".format(*max(versions)))
    if b"\0libgcc_s.so.1\0" in program:
        found.append("libgcc-s1")
    if b"\0libstdc++.so.6\0" in program:
        found.append("libstdc++6")
    return found


def control(package: Package, version: str, tree: Tree) -> str:
    """The control file."""
    kibibytes = sum(-(-len(entry.data) // 1024) for entry in tree.values())
    fields = {
        "Package": package.name,
        "Version": version,
        "Section": package.section,
        "Priority": "optional",
        "Architecture": "amd64",
        "Maintainer": maintainer(),
        "Installed-Size": str(kibibytes),
        "Depends": ", ".join(package.depends),
        "Recommends": ", ".join(package.recommends),
        "Suggests": ", ".join(package.suggests),
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    described = [f" {line}" if line else " ." for line in package.description.strip().splitlines()]
    return "\n".join([*lines, f"Description: {package.summary}", *described]) + "\n"


def changelog(package: str, version: str, seconds: int) -> bytes:
    """A changelog in Debian's form, which leads to ours."""
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S +0000")
    text = (
        f"{package} ({version}) unstable; urgency=medium\n\n"
        f"  * See /usr/share/doc/{package}/CHANGELOG.md.gz.\n\n"
        f" -- {maintainer()}  {when}\n"
    )
    return compressed(text.encode())


def copyright_file(mit: str) -> bytes:
    """Debian's machine-readable form, for our own files by the text of our MIT licence; those of others are in the file of
    notices beside it."""
    found = re.fullmatch(r"MIT License\n\nCopyright \(c\) (?P<holder>[^\n]+)\n\n(?P<terms>.+)", mit.strip(), re.S)
    assert found, "LICENSE-MIT has not the form of the MIT licence"
    terms = "\n".join(f" {line}" if line else " ." for line in found["terms"].splitlines())
    text = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        "Upstream-Name: Atelier\n"
        "Comment: The licences of the crates that the program is linked with are in\n"
        " THIRD-PARTY-NOTICES.gz beside this file.\n"
        "\nFiles: *\n"
        f"Copyright: {found['holder']}\n"
        "License: Expat or Apache-2.0\n"
        f"\nLicense: Expat\n{terms}\n"
        "\nLicense: Apache-2.0\n On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.\n"
    )
    return text.encode()


def scripts(package: Package) -> dict[str, str]:
    """What is done when the package comes and goes. Services are not started by installing: each has to be told first whom
    it serves. Those that ran before an upgrade run again after it, as the new version."""
    if not package.units:
        return {}
    running = " ".join(f"'{unit.replace('@', '@*')}'" for unit in package.units)
    come = f"""\
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    systemd-sysusers {package.name}.conf
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        if [ -n "$2" ]; then
            systemctl try-restart {running}
        fi
    fi
fi
"""
    go = f"""\
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl stop {running}
fi
"""
    # What it has made, such as galleries, stays even when the package is purged.
    gone = """\
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
"""
    return {"postinst": come, "prerm": go, "postrm": gone}


def build(package: Package, tree: Tree, version: str, seconds: int, into: Path) -> Path:
    """Builds a package. The tree is without what every package has by Debian's rules: that is added here."""
    dpkg_deb = shutil.which("dpkg-deb")
    if dpkg_deb is None:
        raise FileNotFoundError(
            "there is no dpkg-deb\nhint: apt-get install dpkg, or make archives alone with --no-packages"
        )
    doc = f"usr/share/doc/{package.name}"
    whole = dict(tree)
    whole[f"{doc}/changelog.gz"] = Entry(changelog(package.name, version, seconds))
    told = control(package, version, whole)
    whole["DEBIAN/control"] = Entry(told.encode())
    if settings := sorted(f"/{path}\n" for path in tree if path.startswith("etc/")):
        whole["DEBIAN/conffiles"] = Entry("".join(settings).encode())
    for name, text in scripts(package).items():
        whole[f"DEBIAN/{name}"] = Entry(text.encode(), 0o755)
    path = into / f"{package.name}_{version}_amd64.deb"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        lay_out(whole, root, seconds)
        # One thread: the number of blocks of xz would otherwise be that of this machine's processors.
        command = [dpkg_deb, "--root-owner-group", "-Zxz", "--threads-max=1", "--build", str(root), str(path)]
        environment = os.environ | {"SOURCE_DATE_EPOCH": str(seconds), "LC_ALL": "C"}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True)
        if ran.returncode != 0:
            raise RuntimeError(f"dpkg-deb refused {package.name}: {ran.stderr.strip()}")
    return path
