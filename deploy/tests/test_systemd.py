"""The units: by systemd's own judgement, and by what they say to the programs."""

import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import DEPLOY, Problems, assert_can_fail, coordinator_grace_seconds, program, seconds, tool

SYSTEMD = DEPLOY / "systemd"
UNITS = {"atelier-coordinator.service": "atelier-coordinator", "atelier-node@.service": "atelier-node"}
#: The exposure that `systemd-analyze security` may find, of 10. A node must reach GPUs and compile for its processor.
EXPOSURE_MAX = {"atelier-coordinator.service": 1.5, "atelier-node@.service": 2.0}
#: What libtorch may take to end after a node has left.
SPARE_SECONDS = 10


def options(text: str) -> dict[str, list[str]]:
    """The values of each option of a unit, in all its sections."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith(("#", "[")):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def variables(text: str) -> dict[str, str]:
    """What a unit sets itself."""
    words = [word for value in options(text).get("Environment", []) for word in value.split()]
    return dict(word.split("=", 1) for word in words)


def check_command(text: str) -> Problems:
    """The command line and the variables mean something to the program, which may write where it is told to."""
    said, problems = options(text), []
    (command,) = said["ExecStart"]
    path, *words = command.split()
    if path not in {f"/usr/local/bin/{name}" for name in UNITS.values()}:
        return [f"{path} is none of the programs"]
    problems += program(Path(path).name).unknown_flags(words)
    problems += program(Path(path).name).unknown(variables(text))
    writable = [f"/var/lib/{name}" for name in said.get("StateDirectory", [])]
    writable += [f"/var/cache/{name}" for name in said.get("CacheDirectory", [])]
    for name, value in variables(text).items():
        if value.startswith("/") and not any(value == place or value.startswith(f"{place}/") for place in writable):
            problems.append(f"{name} is {value}, where the unit may not write")
    return problems


def check_ends(text: str) -> Problems:
    """The program has the time that it may take to leave; a failure starts it anew, wrong usage and a drain do not."""
    said = options(text)
    leave = seconds(program("atelier-node").defaults["ATELIER_LEAVE_TIMEOUT"])
    wanted = SPARE_SECONDS + (leave if "atelier-node" in said["ExecStart"][0] else coordinator_grace_seconds())
    problems = []
    if seconds(said.get("TimeoutStopSec", ["0"])[0]) < wanted:
        problems.append(f"it is killed before {wanted} s are over")
    if said.get("Restart") != ["on-failure"] or said.get("RestartPreventExitStatus") != ["2"]:
        problems.append("it is started anew when it should not be, or not when it should")
    return problems


def check_rights(text: str) -> Problems:
    """What `systemd-analyze security` weighs too little, or not at all."""
    said = options(text)
    wanted = {
        "User": ["atelier"],
        "NoNewPrivileges": ["yes"],
        "CapabilityBoundingSet": [""],
        "ProtectSystem": ["strict"],
        "ProtectHome": ["yes"],
        "SystemCallArchitectures": ["native"],
    }
    problems = [f"{name} is not {' '.join(values)}" for name, values in wanted.items() if said.get(name) != values]
    if not said.get("SystemCallFilter", [""])[0].startswith("@system-service"):
        problems.append("system calls are not filtered")
    devices = said.get("DeviceAllow", [])
    if said.get("PrivateDevices") != ["yes"] and (
        said.get("DevicePolicy") != ["closed"] or devices != ["char-nvidia* rw"]
    ):
        problems.append("it has other devices than GPUs")
    return problems


def check_example(text: str) -> Problems:
    """Each line of an example of an environment file is a remark or a variable, commented out, that means something."""
    names = re.findall(r"^#([A-Z][A-Z0-9_]+)=\S+$", text, re.M)
    about = "atelier-node" if "node.env" in text else "atelier-coordinator"
    problems = program(about).unknown(names)
    problems += [
        f"{line!r} is set without being asked" for line in text.splitlines() if line and not line.startswith("#")
    ]
    return problems + ([] if names else ["there is no example"])


def replace(old: str, new: str):
    return lambda text: text.replace(old, new)


class TheUnits(unittest.TestCase):
    texts = {name: (SYSTEMD / name).read_text() for name in UNITS}

    def analyze(self, text: str, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """systemd's judgement of a unit whose program is there."""
        with tempfile.TemporaryDirectory() as folder:
            command = Path(folder, "program")
            command.write_text("#!/bin/sh\n")
            command.chmod(0o755)
            unit = Path(folder, name)
            unit.write_text(re.sub(r"ExecStart=/usr/local/bin/\S+", f"ExecStart={command}", text))
            # Where no manual pages are installed, units that name some are not at fault.
            line = [tool("systemd-analyze"), *arguments, "--man=no", "--no-pager", str(unit)]
            return subprocess.run(line, capture_output=True, text=True)

    def test_systemd_understands_every_line(self) -> None:
        for name, text in self.texts.items():
            with self.subTest(unit=name):
                ran = self.analyze(text, name, "verify")
                self.assertEqual((ran.returncode, ran.stdout + ran.stderr), (0, ""))
                ran = self.analyze(text.replace("ProtectHome", "ProtectHouse"), name, "verify")
                self.assertIn("ProtectHouse", ran.stdout + ran.stderr)

    def test_systemd_finds_them_hardened(self) -> None:
        for name, text in self.texts.items():
            with self.subTest(unit=name):
                threshold = f"--threshold={round(EXPOSURE_MAX[name] * 10)}"
                ran = self.analyze(text, name, "security", "--offline=yes", threshold)
                self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
                soft = text.replace("SystemCallFilter", "#SystemCallFilter").replace("ProtectSystem", "#ProtectSystem")
                ran = self.analyze(soft, name, "security", "--offline=yes", threshold)
                self.assertNotEqual(ran.returncode, 0, "a softer unit passes too")

    def test_commands_and_variables_mean_something(self) -> None:
        for name, text in self.texts.items():
            with self.subTest(unit=name):
                assert_can_fail(
                    self,
                    check_command,
                    text,
                    replace("ExecStart=/usr/local/bin/atelier", "ExecStart=/usr/local/bin/artelier"),
                    lambda text: re.sub(r"(ExecStart=.*)", r"\1 --lissen=127.0.0.1:1", text),
                    replace("Environment=ATELIER_", "Environment=ARTELIER_DATA=/srv ATELIER_X"),
                    lambda text: re.sub(r"(State|Cache)Directory=atelier", r"\1Directory=other", text),
                )

    def test_they_end_and_start_anew_as_the_programs_do(self) -> None:
        for name, text in self.texts.items():
            with self.subTest(unit=name):
                assert_can_fail(
                    self,
                    check_ends,
                    text,
                    lambda text: re.sub("TimeoutStopSec=.*", "TimeoutStopSec=10s", text),
                    replace("Restart=on-failure", "Restart=always"),
                    replace("RestartPreventExitStatus=2", ""),
                )

    def test_they_have_no_rights_but_those_that_they_need(self) -> None:
        for name, text in self.texts.items():
            with self.subTest(unit=name):
                assert_can_fail(
                    self,
                    check_rights,
                    text,
                    replace("User=atelier", "User=root"),
                    replace("NoNewPrivileges=yes", "NoNewPrivileges=no"),
                    replace("ProtectSystem=strict", "ProtectSystem=full"),
                    replace("SystemCallFilter=@system-service", "SystemCallFilter=@default @system-service"),
                    lambda text: text.replace("PrivateDevices=yes", "").replace(
                        "DevicePolicy=closed", "DevicePolicy=auto"
                    ),
                )

    def test_examples_of_environment_files_set_nothing_that_means_nothing(self) -> None:
        for name in ("coordinator.env", "node.env"):
            with self.subTest(file=name):
                assert_can_fail(
                    self,
                    check_example,
                    (SYSTEMD / name).read_text(),
                    lambda text: text + "#ATELIER_CASH=1\n",
                    lambda text: text + "ATELIER_INSECURE=true\n",
                    lambda text: re.sub("^#[A-Z].*", "", text, flags=re.M),
                )

    def test_their_user_is_made(self) -> None:
        line = re.search(r"^u (\w+) - .* (/\S+)$", (SYSTEMD / "atelier.sysusers.conf").read_text(), re.M)
        self.assertEqual(line.groups(), ("atelier", "/var/lib/atelier"))


if __name__ == "__main__":
    unittest.main()
