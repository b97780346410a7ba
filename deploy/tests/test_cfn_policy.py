"""The rules of our own for the CloudFormation template, each of which is seen to find what is against it."""

import copy
import unittest
from collections.abc import Callable
from typing import Any

from cfn_policy import findings
from cfn_template import Template, load


class Policy(unittest.TestCase):
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


if __name__ == "__main__":
    unittest.main()
