"""The CloudFormation template: sound, within its limit, safe by rules of our own, and made and removed by moto.

What none of this shows: moto makes no bucket policy, secret, alarm and lifecycle hook, passes over much of what it makes
(encryption, updates, hooks), checks no rule between parameters and no privilege, holds no health checks, waits for no signal,
and runs no machine. So the scripts of machines run here against stand-ins, and everything else is read off the template.
"""

import copy
import json
import os
import re
import subprocess
import tempfile
import tomllib
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3

import moto_server
from cfn_policy import CERTIFICATE, GIVEN, KINDS, VPC, findings, user_data
from cfn_template import BYTES_MAX, PATH, Rendering, Template, load
from support import ROOT, program, tool

# moto's own zones are named as in this region, whatever region is asked for.
REGION = "us-east-1"

# Kinds of resources that moto 5.2.5 says it made, and did not.
NOT_MADE = {"AWS::S3::BucketPolicy", "AWS::SecretsManager::Secret", "AWS::CloudWatch::Alarm", "AWS::SNS::Subscription"}


class Written(unittest.TestCase):
    """What is written down."""

    def test_the_linter_has_nothing_to_say(self) -> None:
        command = [tool("cfn-lint"), "--", str(PATH)]
        linted = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual((linted.returncode, linted.stdout + linted.stderr), (0, ""))

    def test_it_can_be_sent_with_a_call(self) -> None:
        self.assertLessEqual(PATH.stat().st_size, BYTES_MAX, "it must be shorter to be embedded in the client")

    def test_every_parameter_is_described_grouped_and_checked(self) -> None:
        template = load()
        groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        grouped = [name for group in groups for name in group["Parameters"]]
        self.assertCountEqual(grouped, template["Parameters"], "each stands in one group")
        for name, parameter in template["Parameters"].items():
            with self.subTest(name):
                self.assertTrue(parameter.get("Description"))
                if parameter["Type"] == "Number":
                    self.assertTrue("AllowedValues" in parameter or {"MinValue", "MaxValue"} <= set(parameter))
                elif parameter["Type"] == "String" and "AllowedValues" not in parameter:
                    self.assertTrue(parameter.get("ConstraintDescription"))
                    if "Default" in parameter:
                        self.assertRegex(str(parameter["Default"]), parameter["AllowedPattern"])

    def test_parameters_take_what_they_should_and_nothing_else(self) -> None:
        cases = {
            "ClientCidr": (["203.0.113.0/24", "0.0.0.0/0"], ["10.0.0.0/40", "", "203.0.113.7", "::/0"]),
            "CoordinatorImage": (
                [GIVEN["CoordinatorImage"], "r.example:5000/a/b@sha256:" + "0" * 64],
                ["", "a b/c", "a/b'; rm"],
            ),
            "NodeImage": ([GIVEN["NodeImage"]], ["", "$(reboot)/x", "atelier-node:1"]),
            "Weights": (["", "0f" * 32], ["0F" * 32, "bucket:" + "0" * 64]),
            "SubnetIds": (["", VPC["SubnetIds"]], ["subnet-0a1b2c3d", "subnet-0a1b2c3d, subnet-4e5f6a7b"]),
            "VolumeZone": (["", "eu-central-1a", "us-gov-west-1b"], ["eu-central-1"]),
            "EndpointName": (["", "atelier.example.com"], ["https://atelier.example.com", "localhost"]),
            "CertificateArn": (["", CERTIFICATE["CertificateArn"]], ["arn:aws:iam::1:server-certificate/x"]),
            "DollarsPerHourMax": (["", "12", "0.5"], ["$12", "-1", "12,5"]),
            "AlarmEmail": (["", "ann@example.com"], ["ann"]),
        }
        parameters = load()["Parameters"]
        for name, (taken, refused) in cases.items():
            pattern = re.compile(parameters[name]["AllowedPattern"])
            for value in taken:
                self.assertRegex(value, pattern, name)
            for value in refused:
                self.assertNotRegex(value, pattern, name)

    def test_parameters_that_do_not_go_together_are_refused(self) -> None:
        template = load()
        for kind, parameters in KINDS.items():
            self.assertEqual(Rendering(template, parameters).refusals(), [], kind)
        for wrong, name in [
            ({"Scheme": "internet-facing"}, "CertificateArn"),
            ({"CertificateArn": CERTIFICATE["CertificateArn"]}, "EndpointName"),
            ({"VpcId": VPC["VpcId"]}, "SubnetIds"),
            ({"SubnetIds": VPC["SubnetIds"]}, "VpcId"),
            ({"VolumeZone": "eu-central-1b"}, "VpcId"),
        ]:
            (refusal,) = Rendering(template, GIVEN | wrong).refusals()
            self.assertIn(name, refusal)

    def test_clients_are_told_where_to_go(self) -> None:
        template = load()
        plain, public = (Rendering(template, KINDS[kind]).outputs() for kind in ("sqlite", "public"))
        self.assertEqual(plain["Endpoint"], "http://the-loadbalancer-dnsname:7878")
        self.assertEqual(plain["BoardEndpoint"], "http://the-loadbalancer-dnsname:7880")
        self.assertEqual(public["Endpoint"], "https://atelier.example.com")
        self.assertEqual(public["BoardEndpoint"], "https://atelier.example.com:8443")

    def test_every_machine_has_a_price(self) -> None:
        """Without one, no bound on dollars holds."""
        group = Rendering(load(), GIVEN).resources()["NodeGroup"]["Properties"]["MixedInstancesPolicy"]
        machines = {override["InstanceType"] for override in group["LaunchTemplate"]["Overrides"]}
        prices = tomllib.loads((ROOT / "proto/src/prices.toml").read_text())["machines"]
        self.assertEqual(len(machines), 8)
        self.assertEqual(machines - set(prices), set())

    def test_nodes_find_a_listener_within_the_vpc(self) -> None:
        template = load()
        for kind, parameters in KINDS.items():
            resources = Rendering(template, parameters).resources()
            (name,) = re.findall(
                r"ATELIER_COORDINATOR=http://the-(\w+)-dnsname:7878\n", user_data(resources, "NodeTemplate")
            )
            balancer = next(key for key in resources if key.lower() == name)
            listeners = [
                resource["Properties"]
                for resource in resources.values()
                if resource["Type"].endswith("::Listener")
                and resource["Properties"]["LoadBalancerArn"].endswith(f"/{balancer}")
            ]
            self.assertIn((7878, "TCP"), [(listener["Port"], listener["Protocol"]) for listener in listeners], kind)
            self.assertEqual(resources[balancer]["Properties"]["Scheme"], "internal", kind)
            self.assertIn("HTTP2Only" if "CertificateArn" in parameters else "7878", str(resources["ClientListener"]))


class Policy(unittest.TestCase):
    """Rules of our own, each of which is seen to find what is against it."""

    def test_nothing_is_against_the_rules(self) -> None:
        self.assertEqual(findings(load()), [])

    def test_whatever_breaks_a_rule_is_found_and_named(self) -> None:
        for line, (change, finding) in enumerate(MUTATIONS):
            template = copy.deepcopy(load())
            change(template)
            with self.subTest(finding, mutation=line):
                found = findings(template)
                self.assertTrue(any(text.startswith(finding) for text in found), f"{finding!r} is not in {found}")


def properties(template: Template, name: str) -> dict[str, Any]:
    return template["Resources"][name]["Properties"]


def set_at(name: str, path: str, value: Any) -> Callable[[Template], None]:
    """Sets one property; numbers in the path are places in lists, and None removes."""

    def change(template: Template) -> None:
        node: Any = properties(template, name)
        *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
        for step in way:
            node = node[step]
        if value is None:
            del node[last]
        else:
            node[last] = value

    return change


def set_on(name: str, key: str, value: str) -> Callable[[Template], None]:
    return lambda template: template["Resources"][name].update({key: value})


def allow(name: str, action: str, resource: Any) -> Callable[[Template], None]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return lambda template: properties(template, name)["Policies"][0]["PolicyDocument"]["Statement"].append(statement)


def add(name: str, kind: str, **given: Any) -> Callable[[Template], None]:
    return lambda template: template["Resources"].update({name: {"Type": kind, "Properties": given}})


def say(name: str, line: str) -> Callable[[Template], None]:
    """A line more at the end of a machine's script."""

    def change(template: Template) -> None:
        sub = properties(template, name)["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"]
        sub[0] += f"{line}\n"

    return change


GRIDS, INPUTS = {"Fn::Sub": "${Bucket.Arn}/grids/*"}, {"Fn::Sub": "${Bucket.Arn}/inputs/*"}
RULE = {"GroupId": "any", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
DATA = "LaunchTemplateData"

# What is changed, and with what the finding begins.
MUTATIONS: list[tuple[Callable[[Template], Any], str]] = [
    (allow("NodeRole", "*", GRIDS), "NodeRole: allows *"),
    (allow("CoordinatorRole", "s3:*", GRIDS), "CoordinatorRole: allows s3:*"),
    (allow("CoordinatorRole", "autoscaling:SetDesiredCapacity", "*"), "CoordinatorRole: allows autoscaling:SetDesired"),
    (allow("CoordinatorRole", "s3:PutObject", {"Fn::Sub": "${Bucket.Arn}/*"}), "CoordinatorRole: may write"),
    (allow("CoordinatorRole", "s3:DeleteObject", {"Fn::Sub": "${Bucket.Arn}/weights/*"}), "CoordinatorRole: may write"),
    (
        set_at("CoordinatorRole", "ManagedPolicyArns", ["arn:aws:iam::aws:policy/AdministratorAccess"]),
        "CoordinatorRole:",
    ),
    (allow("NodeRole", "s3:PutObject", GRIDS), "NodeRole: has no need of s3:PutObject"),
    (allow("NodeRole", "s3:GetObject", INPUTS), "NodeRole: has no need of s3:GetObject"),
    (allow("NodeRole", "logs:PutLogEvents", "arn:aws:logs:*:*:*"), "NodeRole: may logs:PutLogEvents on"),
    (allow("NodeRole", "ec2:TerminateInstances", "arn:aws:ec2:*:*:instance/*"), "NodeRole: has no need of ec2:Term"),
    (
        add(
            "Open",
            "AWS::S3::BucketPolicy",
            Bucket="any",
            PolicyDocument={
                "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn"}]
            },
        ),
        "Open: lets in *",
    ),
    (set_at("BucketPolicy", "PolicyDocument/Statement/0/Resource", [INPUTS]), "Bucket: may be used without TLS"),
    (set_at("Bucket", "PublicAccessBlockConfiguration/BlockPublicPolicy", False), "Bucket: may become public"),
    (set_at("Bucket", "BucketEncryption", None), "Bucket: is not encrypted"),
    (set_at("Bucket", "OwnershipControls", None), "Bucket: may have objects of other owners"),
    (set_at("Bucket", "LifecycleConfiguration", None), "Bucket: keeps incomplete uploads"),
    (set_at("Bucket", "LifecycleConfiguration/Rules/0/ExpirationInDays", 30), "Bucket: loses objects"),
    (set_on("Bucket", "DeletionPolicy", "Delete"), "Bucket: goes with the stack"),
    (set_at("NodeTemplate", f"{DATA}/MetadataOptions/HttpTokens", "optional"), "NodeTemplate: answers"),
    (set_at("CoordinatorTemplate", f"{DATA}/MetadataOptions", None), "CoordinatorTemplate: answers"),
    (set_at("NodeTemplate", f"{DATA}/KeyName", "ann"), "NodeTemplate: has a key pair"),
    (set_at("NodeTemplate", f"{DATA}/BlockDeviceMappings/0/Ebs/Encrypted", False), "NodeTemplate: has a disk"),
    (
        set_at("LoadBalancerSecurityGroup", "SecurityGroupIngress/0/CidrIp", "0.0.0.0/0"),
        "LoadBalancerSecurityGroup: is",
    ),
    (add("Ssh", "AWS::EC2::SecurityGroupIngress", **RULE, CidrIp="0.0.0.0/0"), "Ssh: is open to 0.0.0.0/0"),
    (add("Ssh", "AWS::EC2::SecurityGroupIngress", **RULE, CidrIpv6="::/0"), "Ssh: is open to ::/0"),
    (set_at("NodeSecurityGroup", "SecurityGroupEgress", None), "NodeSecurityGroup: may call anybody"),
    (set_at("NodeSecurityGroup", "SecurityGroupEgress/0/ToPort", 65535), "NodeSecurityGroup: may call anybody at"),
    (
        set_at("NodeRole", "Policies/0/PolicyDocument/Statement/0/Resource", "the-operatortoken"),
        "NodeRole: may secretsmanager:GetSecretValue on the-operatortoken",
    ),
    (set_at("Volume", "Encrypted", False), "Volume: is not encrypted"),
    (set_on("Volume", "DeletionPolicy", "Delete"), "Volume: goes with the stack"),
    (set_at("DatabaseInstance", "StorageEncrypted", False), "DatabaseInstance: is not encrypted"),
    (set_at("DatabaseInstance", "PubliclyAccessible", True), "DatabaseInstance: may be public"),
    (set_at("DatabaseInstance", "MasterUserPassword", "hunter2"), "DatabaseInstance: has a password"),
    (set_on("DatabaseInstance", "UpdateReplacePolicy", "Delete"), "DatabaseInstance: goes with the stack"),
    (set_at("NodeLogs", "RetentionInDays", None), "NodeLogs: keeps logs for ever"),
    (set_at("ClientListener", "Protocol", "TCP"), "ClientListener: is public without TLS"),
    (set_at("NodeGroup", "DesiredCapacity", "1"), "NodeGroup: has a size of its own"),
    (set_at("NodeGroup", "NewInstancesProtectedFromScaleIn", None), "NodeGroup: may end a machine"),
    (set_at("NodeGroup", "LifecycleHookSpecificationList", None), "NodeGroup: does not wait"),
    (
        set_at("NodeGroup", "LifecycleHookSpecificationList/0/LifecycleHookName", "go"),
        "NodeTemplate: completes another",
    ),
    (set_at("NodeGroup", "AutoScalingGroupName", "other"), "CoordinatorTemplate: scales another group"),
    (
        say("CoordinatorTemplate", "ATELIER_DATABASE=postgres://atelier:hunter2@db/atelier"),
        "CoordinatorTemplate: holds",
    ),
    (say("NodeTemplate", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENG"), "NodeTemplate: holds a secret"),
    (say("CoordinatorTemplate", "x={{resolve:secretsmanager:a}}"), "CoordinatorTemplate: holds a secret"),
    (say("CoordinatorTemplate", "set -ex"), "CoordinatorTemplate: tells each command"),
]


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


class Stacks(unittest.TestCase):
    """Stacks as moto makes them."""

    url: str

    @classmethod
    def setUpClass(cls) -> None:
        server = moto_server.Server()
        cls.url = cls.enterClassContext(server)

    def client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.url, region_name=REGION,
                            aws_access_key_id="any", aws_secret_access_key="any")  # fmt: skip

    def vpc(self) -> dict[str, str]:
        """A VPC that is there before the stack."""
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        zones = {f"10.9.{place}.0/24": f"{REGION}{zone}" for place, zone in enumerate("ba")}
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"]["SubnetId"]
            for block, zone in zones.items()
        ]
        return {"VpcId": vpc, "SubnetIds": ",".join(subnets)}

    def create(self, name: str, parameters: dict[str, str]) -> dict[str, str]:
        """The outputs of a new stack."""
        stacks = self.client("cloudformation")
        stacks.create_stack(
            StackName=name,
            TemplateBody=PATH.read_text(),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        (stack,) = stacks.describe_stacks(StackName=name)["Stacks"]
        self.assertEqual(stack["StackStatus"], "CREATE_COMPLETE")
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def group(self, name: str) -> dict[str, Any]:
        found = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        (group,) = found["AutoScalingGroups"]
        return group

    def test_each_kind_of_stack_is_made_and_removed(self) -> None:
        template = load()
        theirs = {"sqlite": {"VolumeZone": f"{REGION}b"}, "postgres": {}}
        for place, (database, own) in enumerate((database, own) for database in theirs for own in (True, False)):
            parameters = GIVEN | {"Database": database} | ({} if own else self.vpc() | theirs[database])
            name = f"studio-{place}"
            with self.subTest(database=database, own_vpc=own):
                outputs = self.create(name, parameters)
                self.assertEqual(set(outputs) | {"OperatorTokenSecret"}, set(template["Outputs"]))
                expected = {
                    key
                    for key, resource in Rendering(template, parameters).resources().items()
                    if resource["Type"] not in NOT_MADE
                }
                self.assertEqual(set(self.resources(name)), expected)
                self.check(name, outputs, database)
                self.client("cloudformation").delete_stack(StackName=name)
                groups = self.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
                self.assertEqual(groups, [], "no machine is left")
                buckets = [bucket["Name"] for bucket in self.client("s3").list_buckets()["Buckets"]]
                self.assertIn(outputs["BucketName"], buckets, "the bucket is kept")

    def test_a_stack_is_updated_with_what_is_told_of_it(self) -> None:
        """As the client does it: all parameters as they are, but for those that change."""
        defaults = {name: str(slot["Default"]) for name, slot in load()["Parameters"].items() if "Default" in slot}
        self.create("changing", defaults | GIVEN)
        stacks = self.client("cloudformation")
        self.addCleanup(stacks.delete_stack, StackName="changing")
        (stack,) = stacks.describe_stacks(StackName="changing")["Stacks"]
        told = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack["Parameters"]}
        self.assertEqual(told, defaults | GIVEN)
        stacks.update_stack(
            StackName="changing",
            TemplateBody=PATH.read_text(),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in (told | {"NodesMax": "4"}).items()
            ],
        )
        self.assertEqual(self.group("changing-nodes")["MaxSize"], 4)

    def resources(self, stack: str) -> dict[str, str]:
        """The ids of what the stack has made, by names in the template."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
        # What it did not make, moto lists without a name.
        listed = [resource for page in pages for resource in page["StackResourceSummaries"]]
        return {
            resource["LogicalResourceId"]: resource.get("PhysicalResourceId", "")
            for resource in listed
            if resource.get("LogicalResourceId")
        }

    def check(self, name: str, outputs: dict[str, str], database: str) -> None:
        self.assertEqual(outputs["NodeGroup"], f"{name}-nodes")
        nodes, coordinators = self.group(f"{name}-nodes"), self.group(f"{name}-coordinators")
        self.assertEqual((nodes["MinSize"], nodes["MaxSize"], nodes["Instances"]), (0, 10, []))
        self.assertEqual(len(coordinators["Instances"]), {"sqlite": 1, "postgres": 2}[database])
        if database == "sqlite":
            (volume,) = self.client("ec2").describe_volumes(VolumeIds=[self.resources(name)["Volume"]])["Volumes"]
            self.assertEqual(coordinators["AvailabilityZones"], [volume["AvailabilityZone"]])
        scaling = self.client("autoscaling")
        scaling.set_desired_capacity(AutoScalingGroupName=f"{name}-nodes", DesiredCapacity=2)
        instances = self.group(f"{name}-nodes")["Instances"]
        self.assertEqual([node["ProtectedFromScaleIn"] for node in instances], [True, True])

    def test_a_public_stack_has_a_second_way_in_for_nodes(self) -> None:
        certificate = self.client("acm").request_certificate(DomainName="atelier.example.com")["CertificateArn"]
        public = {"Scheme": "internet-facing", "CertificateArn": certificate, "EndpointName": "atelier.example.com"}
        self.create("public", GIVEN | public)
        self.addCleanup(self.client("cloudformation").delete_stack, StackName="public")
        elb = self.client("elbv2")
        balancers = elb.describe_load_balancers()["LoadBalancers"]
        listening = {
            (balancer["Scheme"], listener["Port"], listener["Protocol"])
            for balancer in balancers
            for listener in elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        }
        self.assertEqual(listening, {("internet-facing", 443, "TLS"), ("internet-facing", 8443, "TLS"),
                                     ("internal", 7878, "TCP")})  # fmt: skip

    def test_the_database_of_one_coordinator_is_where_the_coordinator_is(self) -> None:
        """A zone that is not the subnet's is refused before anything starts."""
        with self.assertRaisesRegex(Exception, "availability zones"):
            self.create("elsewhere", GIVEN | self.vpc() | {"VolumeZone": f"{REGION}a"})


if __name__ == "__main__":
    unittest.main()
