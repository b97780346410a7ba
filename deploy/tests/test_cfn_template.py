"""The CloudFormation template as it is written: sound, within its limit, and what its parameters come to.

Its other tests are of the rules of our own that it keeps (test_cfn_policy.py), of what its machines are told
(test_cfn_machines.py), and of the stacks that moto makes of it (test_cfn_stacks.py). What none of them shows: moto makes no
bucket policy, secret, alarm and lifecycle hook, passes over much of what it makes (encryption, updates, hooks), checks no rule
between parameters and no privilege, holds no health checks, waits for no signal, and runs no machine. So the scripts of
machines run against stand-ins, and everything else is read off the template.
"""

import re
import subprocess
import tomllib
import unittest

from cfn_policy import CERTIFICATE, GIVEN, KINDS, VPC, user_data
from cfn_template import BYTES_MAX, PATH, Rendering, load
from support import ROOT, tool


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


if __name__ == "__main__":
    unittest.main()
