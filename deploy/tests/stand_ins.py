"""Releases of stand-ins of the programs, for the tests that look at them."""

import sys
from functools import cache

from support import DEPLOY, ROOT

RELEASE = DEPLOY / "release"
sys.path.insert(0, str(RELEASE))

import crates  # noqa: E402
import dist  # noqa: E402

SECONDS = 1_764_028_800
#: The head of an executable for x86-64, and names of libraries as in a real one's tables. Its code is none.
ELF = (
    b"\x7fELF\x02\x01\x01"
    + b"\0" * 9
    + b"\x03\0\x3e\0\x01\0\0\0"
    + b"\0" * 40
    + b"\0libc.so.6\0libgcc_s.so.1\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_PRIVATE\0"
)
PAGES = {
    "man/man1/atelier.1": b".TH atelier 1\n",
    "man/man1/atelier-cloud-up.1": b".TH atelier-cloud-up 1\n",
    "man/man1/atelier-node.1": b".TH atelier-node 1\n",
    "man/man1/atelier-coordinator.1": b".TH atelier-coordinator 1\n",
    "completions/bash/atelier": b"complete\n",
    "completions/zsh/_atelier-node": b"#compdef\n",
    "completions/fish/atelier-coordinator.fish": b"complete\n",
}


@cache
def all_crates() -> dict[str, crates.Crate]:
    return crates.crates(crates.metadata(), (ROOT / "Cargo.lock").read_text())


@cache
def material() -> dist.Material:
    bills, texts = dist.papers(SECONDS)
    programs = {name: ELF + name.encode() for name in crates.PROGRAMS}
    return dist.Material(programs=programs, bills=bills, notices=texts, pages=PAGES)
