"""The machines of the CloudFormation template: what they are told when they start, and what their scripts do, which run here
against stand-ins for what a machine has."""

import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from cfn_policy import GIVEN, KINDS, user_data
from cfn_template import Rendering, load
from support import program, tool


def scripts(text: str) -> dict[str, str]:
    """The files that a machine's script writes, by path, and the script itself under ''."""
    files = re.findall(r"^cat >(\S+) <<'END'\n(.*?)^END$", text, re.MULTILINE | re.DOTALL)
    return dict(files) | {"": text}


def variables(text: str) -> set[str]:
    return set(re.findall(r"\bATELIER_[A-Z0-9_]+(?==)", text))


class Machines(unittest.TestCase):
    """What machines are told when they start."""

    def setUp(self) -> None:
        template = load()
        self.told = {
            (kind, name): user_data(Rendering(template, parameters).resources(), name)
            for kind, parameters in KINDS.items()
            for name in ("CoordinatorTemplate", "NodeTemplate")
        }

    def test_scripts_are_sound(self) -> None:
        shellcheck = tool("shellcheck")
        for (kind, name), text in self.told.items():
            self.assertNotIn("${AWS::", text)
            self.assertLess(len(text.encode()), 16_384, "AWS takes no more")
            for path, script in scripts(text).items():
                if not script.startswith("#!/bin/bash"):
                    continue
                with self.subTest(kind, template=name, script=path):
                    checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
                    self.assertEqual((checked.returncode, checked.stderr), (0, ""))
                    # Rendered constants make tests that are always the same: those are the template's conditions.
                    command = [shellcheck, "--exclude=SC2050,SC2157,SC2194", "-"]
                    checked = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
                    self.assertEqual((checked.returncode, checked.stdout), (0, ""))

    def test_units_start_what_is_there(self) -> None:
        for text in self.told.values():
            files = scripts(text)
            for path, unit in files.items():
                started = re.findall(r"^Exec\w+=-?(\S+)", unit, re.MULTILINE) if path.endswith(".service") else []
                self.assertEqual(set(started) - set(files) - {"/usr/bin/docker"}, set(), path)

    def test_systemd_takes_the_units(self) -> None:
        analyze = tool("systemd-analyze")
        for text in self.told.values():
            with tempfile.TemporaryDirectory() as folder:
                units = {Path(path).name: unit for path, unit in scripts(text).items() if "/systemd/" in path}
                for name, unit in units.items():
                    # The programs are elsewhere, and Docker is on the machines.
                    unit = re.sub(r"^(Exec\w+=-?)\S+", r"\1/bin/true", unit, flags=re.MULTILINE)
                    (Path(folder) / name).write_text(unit.replace("Requires=docker.service\n", ""))
                command = [analyze, "verify", "--man=no", *(str(Path(folder) / name) for name in units)]
                verified = subprocess.run(command, capture_output=True, text=True, check=False)
                said = [line for line in verified.stderr.splitlines() if folder in line or "atelier" in line]
                self.assertEqual(said, [])

    def test_programs_know_what_they_are_told(self) -> None:
        for name, told_program in [("CoordinatorTemplate", "atelier-coordinator"), ("NodeTemplate", "atelier-node")]:
            told = set().union(*(variables(text) for (_, of), text in self.told.items() if of == name))
            self.assertGreater(len(told), 5)
            self.assertEqual(program(told_program).unknown(told), [])
            self.assertNotEqual(program(told_program).unknown(told | {"ATELIER_TYPO"}), [])

    def test_everybody_says_who_they_are(self) -> None:
        for (kind, template), told in self.told.items():
            with self.subTest(kind, template=template):
                shown = {
                    "CoordinatorTemplate": ["IDENTITY=required", "NODE_TOKEN_FILE=/run/atelier/node-token"],
                    "NodeTemplate": ["TOKEN_FILE=/run/atelier/node-token"],
                }
                for line in shown[template]:
                    self.assertIn(f"\nATELIER_{line}\n", told)

    def test_bounds_that_are_not_given_are_not_told(self) -> None:
        bounds = {"ATELIER_FLEET_DOLLARS_PER_HOUR_MAX", "ATELIER_GRID_DOLLARS_MAX"}
        self.assertEqual(variables(self.told["sqlite", "CoordinatorTemplate"]) & bounds, set())
        self.assertIn("ATELIER_FLEET_DOLLARS_PER_HOUR_MAX=12.5\n", self.told["their VPC", "CoordinatorTemplate"])
        self.assertIn("ATELIER_GRID_DOLLARS_MAX=3\n", self.told["their VPC, postgres", "CoordinatorTemplate"])
        self.assertIn("ATELIER_WEIGHTS=untrained\n", self.told["sqlite", "NodeTemplate"])
        self.assertIn(f"ATELIER_WEIGHTS=bucket:{'0' * 64}\n", self.told["public", "NodeTemplate"])


# Stands in for a program: notes how it was called, and answers as it would.
STAND_IN = """\
#!/bin/bash
echo "$(basename "$0") $*" >>"$CALLS"
case "$(basename "$0") $*" in
*"--secret-id the-operatortoken "*) echo the-token-of-the-operator ;;
*"--secret-id the-nodetoken "*) echo the-token-of-the-nodes ;;
*secretsmanager*) echo "$SECRET" ;;
"aws ec2 attach-volume"*) if [ -e "$CALLS.tried" ]; then touch "$DEVICE"; else touch "$CALLS.tried"; exit 1; fi ;;
blkid*) exit "$BLKID" ;;
mountpoint*) exit 1 ;;
install*) for last; do :; done; case $* in -d*) mkdir -p "$last" ;; *) : >"$last" ;; esac ;;
esac
"""


class Starts(unittest.TestCase):
    """The scripts of machines, run against stand-ins for what a machine has."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for place in ("bin", "etc/atelier", "run/atelier", "var/lib/cloud/data", "dev/disk/by-id", "root"):
            (self.root / place).mkdir(parents=True)
        (self.root / "var/lib/cloud/data/instance-id").write_text("i-0a1b2c3d\n")
        for name in ("aws", "docker", "curl", "dnf", "blkid", "mkfs.xfs", "mount", "mountpoint", "chown", "chmod",
                     "install", "sleep", "systemctl"):  # fmt: skip
            self.stand_in(name)
        self.password = "p@ss/w:rd?#&%+ 'ü"

    def stand_in(self, name: str) -> None:
        (self.root / "bin" / name).write_text(STAND_IN)
        (self.root / "bin" / name).chmod(0o755)

    def start(self, template: str, kind: str, script: str = "atelier-start", *arguments: str, blkid: int = 2) -> str:
        """Runs one script of a machine under a root of its own, and returns all that it said."""
        files = scripts(user_data(Rendering(load(), KINDS[kind]).resources(), template))
        for path, text in files.items():
            if path.startswith("/usr/local/sbin/"):
                text = re.sub(
                    r"(?<![\w.:])/(etc/atelier|run/atelier|var/lib|dev/disk|root)\b", rf"{self.root}/\1", text
                )
                program = self.root / "bin" / Path(path).name
                program.write_text(text)
                program.chmod(0o755)
        environment = {
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
            "CALLS": str(self.root / "calls"),
            "DEVICE": str(self.root / "dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_thevolume"),
            "SECRET": json.dumps({"username": "atelier", "password": self.password}),
            "BLKID": str(blkid),
            "HOME": str(self.root),
        }
        command = [str(self.root / "bin" / script), *arguments]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return ran.stdout + ran.stderr

    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().splitlines()

    def test_a_coordinator_waits_for_its_volume_and_never_formats_one_that_is_in_use(self) -> None:
        for blkid, formats in [(2, 1), (0, 0)]:
            with self.subTest(blkid=blkid):
                self.start("CoordinatorTemplate", "sqlite", blkid=blkid)
                calls = self.calls()
                self.assertEqual(sum(call.startswith("aws ec2 attach-volume") for call in calls), 2, "until it is free")
                self.assertEqual(sum(call.startswith("mkfs.xfs") for call in calls), formats)
                mounted, run = (
                    next(place for place, call in enumerate(calls) if call.startswith(what))
                    for what in ("mount -o", "docker run")
                )
                self.assertLess(mounted, run)
                for left in ("calls", "calls.tried", "dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_thevolume"):
                    (self.root / left).unlink()

    def test_the_password_is_in_the_environment_of_the_coordinator_and_nowhere_else(self) -> None:
        said = self.start("CoordinatorTemplate", "postgres")
        kept = (self.root / "run/atelier/database.env").read_text()
        encoded = "p%40ss%2Fw%3Ard%3F%23%26%25%2B%20%27%C3%BC"
        address = "the-databaseinstance-endpoint.address:5432/atelier?sslmode=verify-full&sslrootcert="
        self.assertEqual(
            kept, f"ATELIER_DATABASE=postgres://atelier:{encoded}@{address}{self.root}/etc/atelier/rds.pem\n"
        )
        self.assertEqual((self.root / "run/atelier/database.env").stat().st_mode & 0o777, 0o600)
        for role, token in (("operator", "the-token-of-the-operator"), ("node", "the-token-of-the-nodes")):
            self.assertEqual((self.root / f"run/atelier/{role}-token").read_text(), f"{token}\n")
            self.assertIn(f"-v {self.root}/run/atelier/{role}-token:", self.calls()[-1])
        self.assertIn(f"--env-file {self.root}/run/atelier/database.env", self.calls()[-1])
        for place, text in [("the console", said), ("arguments", "\n".join(self.calls()))]:
            for secret in (self.password, encoded, "the-token-of-the-operator", "the-token-of-the-nodes"):
                self.assertNotIn(secret, text, place)

    def test_a_node_shows_its_token_and_has_no_other(self) -> None:
        said = self.start("NodeTemplate", "sqlite")
        self.assertEqual((self.root / "run/atelier/node-token").read_text(), "the-token-of-the-nodes\n")
        self.assertIn(f"-v {self.root}/run/atelier/node-token:", self.calls()[-1])
        self.assertNotIn("the-operatortoken", "\n".join(self.calls()))
        self.assertNotIn("the-token-of-the-nodes", said + "\n".join(self.calls()))

    def test_a_new_password_starts_the_coordinator_anew_once(self) -> None:
        self.start("CoordinatorTemplate", "postgres")
        restarts = [self.restarts_after(password) for password in (self.password, "another", "another")]
        self.assertEqual(restarts, [0, 1, 1])

    def restarts_after(self, password: str) -> int:
        self.password = password
        self.start("CoordinatorTemplate", "postgres", "atelier-database", "--restart")
        return self.calls().count("systemctl restart atelier.service")

    def test_a_node_runs_on_all_gpus_and_has_time_to_leave(self) -> None:
        self.start("NodeTemplate", "sqlite")
        call = self.calls()[-1]
        for part in ("--gpus all", "--network host", "--stop-timeout 28", "awslogs-stream=i-0a1b2c3d"):
            self.assertIn(part, call)
        self.assertTrue(call.endswith(GIVEN["NodeImage"]))
        self.assertNotIn("dnf", "".join(self.calls()), "nothing is fetched for a registry that is not ECR")

    def test_ecr_is_logged_in_to(self) -> None:
        self.start("CoordinatorTemplate", "sqlite")
        config = json.loads((self.root / "root/.docker/config.json").read_text())
        self.assertEqual(config, {"credHelpers": {"123456789012.dkr.ecr.eu-central-1.amazonaws.com": "ecr-login"}})
        self.assertIn("dnf install -y -q amazon-ecr-credential-helper", self.calls())


if __name__ == "__main__":
    unittest.main()
