"""What the tests of deploy/ share: where things are, tools, what the programs know, and proofs that a check can fail."""

import copy
import os
import re
import shutil
import sys
import unittest
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

DEPLOY = Path(__file__).resolve().parents[1]
ROOT = DEPLOY.parent

Problems = list[str]


def tool(name: str) -> str:
    """The path of a linter, from this virtual environment or the machine. Without it the test is skipped, loudly; in CI
    that is a failure."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if found:
        return found
    missing(
        f"there is no {name}: pip install -r deploy/tests/requirements.txt; for systemd-analyze apt-get install systemd, for promtool apt-get install prometheus"
    )
    raise AssertionError("unreachable")


def missing(what: str) -> None:
    print(f"SKIPPED: {what}", file=sys.stderr)
    if os.environ.get("CI") == "true":
        raise AssertionError(f"nothing may be skipped in CI: {what}")
    raise unittest.SkipTest(what)


def assert_can_fail(
    test: unittest.TestCase, check: Callable[[Any], Problems], good: Any, *mutations: Callable[[Any], Any]
) -> None:
    """The check finds nothing in what is good, and something after each mutation of it. A mutation of a text returns
    another one; a mutation of objects changes those that it gets, which are a copy."""
    test.assertEqual(check(copy.deepcopy(good)), [])
    for number, mutate in enumerate(mutations):
        changed = copy.deepcopy(good)
        returned = mutate(changed)
        changed = returned if isinstance(good, str) else changed
        test.assertNotEqual(changed, good, f"mutation {number} of {check.__name__} changes nothing")
        test.assertNotEqual(check(changed), [], f"{check.__name__} does not see mutation {number}")


def seconds(text: str | int) -> float:
    """A duration as the programs, systemd and Compose write it: 25, 25s, 2m, 1m30s."""
    if isinstance(text, int):
        return text
    if re.fullmatch(r"\d+", text):
        return int(text)
    parts = re.findall(r"(\d+)(ms|s|min|m|h|d)", text)
    if not parts or "".join(map("".join, parts)) != text.replace(" ", ""):
        raise ValueError(f"{text!r} is no duration")
    units = {"ms": 0.001, "s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
    return sum(int(number) * units[unit] for number, unit in parts)


@cache
def version() -> str:
    """The version in Cargo.toml."""
    found = re.search(r'\[workspace\.package\][^\[]*?\nversion = "([^"]+)"', (ROOT / "Cargo.toml").read_text())
    assert found
    return found[1]


class Program:
    """What a program can be told, as its command line says in its sources."""

    def __init__(self, name: str, crate: str) -> None:
        self.name = name
        text = "\n".join(path.read_text() for path in sorted((ROOT / crate / "src").rglob("*.rs")))
        #: Environment variables that set an option.
        self.variables = set(re.findall(r'\benv = "(ATELIER_[A-Z0-9_]+)"', text))
        #: Options, without the dashes.
        self.flags: set[str] = {"help", "version"}
        #: Default values as written, by variable.
        self.defaults: dict[str, str] = {}
        for attribute, field in re.findall(
            r"#\[arg\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub )?(\w+):", text
        ):
            if named := re.search(r'\blong = "([^"]+)"', attribute):
                self.flags.add(named[1])
            elif re.search(r"\blong\b", attribute):
                self.flags.add(field.replace("_", "-"))
            variable = re.search(r'\benv = "([^"]+)"', attribute)
            default = re.search(r'\bdefault_value(?:_t)? = "?([^",)]+)', attribute)
            if variable and default:
                self.defaults[variable[1]] = default[1]
        assert len(self.flags) > 2 and self.variables, f"the options of {name} are not found in {crate}/src"

    def unknown(self, variables: Any) -> Problems:
        """Of these environment variables, those that begin with ATELIER_ and mean nothing to the program."""
        return [
            f"{self.name} knows no {name}"
            for name in variables
            if name.startswith("ATELIER_") and name not in self.variables
        ]

    def unknown_flags(self, words: list[str]) -> Problems:
        """Of a command line, the options that the program does not have."""
        flags = [word[2:].split("=")[0] for word in words if word.startswith("--")]
        return [f"{self.name} has no --{flag}" for flag in flags if flag not in self.flags]


@cache
def program(name: str) -> Program:
    return Program(name, {"atelier-coordinator": "coordinator", "atelier-node": "gpu-node", "atelier": "client"}[name])


@cache
def coordinator_grace_seconds() -> float:
    """Within what a coordinator leaves."""
    found = re.search(
        r"const GRACE_PERIOD: Duration = Duration::from_secs\((\d+)\)", (ROOT / "coordinator/src/lib.rs").read_text()
    )
    assert found, "coordinator/src/lib.rs has no GRACE_PERIOD"
    return int(found[1])
