"""What must be true of the template, whoever changes it: least privilege, nothing public, everything encrypted.

Each check yields what it finds against a template, as text that begins with the name of the resource.
"""

import re
from collections.abc import Iterator
from typing import Any

from cfn_template import Rendering, Template

# The calls whose APIs know no resources, so that "*" is the only thing to say.
WITHOUT_RESOURCES = {
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeScalingActivities",
    "ecr:GetAuthorizationToken",
}

# What the parameters without defaults are in all checks.
GIVEN = {
    "CoordinatorImage": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/atelier-coordinator:1",
    "NodeImage": "registry.example/atelier-node:1-cuda",
    "ClientCidr": "203.0.113.0/24",
}
CERTIFICATE = {
    "CertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b2c3d",
    "EndpointName": "atelier.example.com",
}
VPC = {"VpcId": "vpc-0a1b2c3d", "SubnetIds": "subnet-0a1b2c3d,subnet-4e5f6a7b"}

# One rendering of each kind: every resource is made in one of them at least.
KINDS = {
    "sqlite": GIVEN,
    "postgres": GIVEN | {"Database": "postgres", "AlarmEmail": "ann@example.com"},
    "public": GIVEN | CERTIFICATE | {"Scheme": "internet-facing", "Weights": "0" * 64},
    "their VPC": GIVEN | VPC | CERTIFICATE | {"VolumeZone": "eu-central-1b", "DollarsPerHourMax": "12.5"},
    "their VPC, postgres": GIVEN | VPC | {"Database": "postgres", "GridDollarsMax": "3"},
}

Resources = dict[str, dict[str, Any]]
Findings = Iterator[str]


def findings(template: Template) -> list[str]:
    """What any check has against the template in any rendering, once each."""
    found: dict[str, None] = {}
    for parameters in KINDS.values():
        resources = Rendering(template, parameters).resources()
        for check in CHECKS:
            found |= dict.fromkeys(check(resources))
    return list(found)


def of_kind(resources: Resources, *kinds: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in resources.items():
        if resource["Type"] in kinds:
            yield name, resource["Properties"]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(properties: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Of a role's own policies, or of a policy."""
    policies = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    policies += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
    for policy in policies:
        yield from as_list(policy["Statement"])


def privileges_are_least(resources: Resources) -> Findings:
    kinds = ("AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::S3::BucketPolicy")
    for name, properties in of_kind(resources, *kinds):
        if properties.get("ManagedPolicyArns"):
            yield f"{name}: policies of others are not seen through here"
        for statement in statements(properties):
            if statement["Effect"] != "Allow":
                continue
            if "NotAction" in statement or "NotResource" in statement:
                yield f"{name}: allows all but something"
                continue
            actions = as_list(statement["Action"])
            for action in actions:
                if "*" in action:
                    yield f"{name}: allows {action}"
            for resource in as_list(statement["Resource"]):
                if set(resource) <= set("*:") and not set(actions) <= WITHOUT_RESOURCES:
                    yield f"{name}: allows {', '.join(actions)} on every resource"


def nodes_have_no_bucket(resources: Resources) -> Findings:
    allowed = {
        # Its own token alone: with the operator's it could do anything.
        "secretsmanager:GetSecretValue": "the-nodetoken",
        "autoscaling:CompleteLifecycleAction": r".*:autoScalingGroupName/studio-nodes",
        "logs:CreateLogStream": re.escape(resource_arn(resources, "NodeLogs")),
        "logs:PutLogEvents": re.escape(resource_arn(resources, "NodeLogs")),
        "ecr:GetAuthorizationToken": r"\*",
        "ecr:BatchGetImage": r"arn:aws:ecr:\*:123456789012:repository/\*",
        "ecr:GetDownloadUrlForLayer": r"arn:aws:ecr:\*:123456789012:repository/\*",
    }
    for statement in statements(resources["NodeRole"]["Properties"]):
        for action in as_list(statement.get("Action", [])):
            for resource in as_list(statement.get("Resource", [])):
                if action not in allowed:
                    yield f"NodeRole: has no need of {action}"
                elif not re.fullmatch(allowed[action], resource):
                    yield f"NodeRole: may {action} on {resource}"


def coordinators_keep_weights(resources: Resources) -> Findings:
    ours = resource_arn(resources, "Bucket")
    writable = {f"{ours}/inputs/*", f"{ours}/grids/*"}
    for statement in statements(resources["CoordinatorRole"]["Properties"]):
        if {"s3:PutObject", "s3:DeleteObject"} & set(as_list(statement["Action"])):
            for resource in set(as_list(statement["Resource"])) - writable:
                yield f"CoordinatorRole: may write {resource}"


def resource_arn(resources: Resources, name: str) -> str:
    assert name in resources
    return f"arn:aws:any:eu-central-1:123456789012:{name}"


def bucket_is_private_and_kept(resources: Resources) -> Findings:
    secured = set()
    for name, properties in of_kind(resources, "AWS::S3::BucketPolicy"):
        for statement in statements(properties):
            whom = statement.get("Principal")
            if statement["Effect"] == "Allow":
                yield f"{name}: lets in {whom}"
            everything = as_list(statement["Action"]) == ["s3:*"] and whom == "*"
            if everything and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}:
                secured |= set(as_list(statement["Resource"]))
    for name, resource in resources.items():
        if resource["Type"] != "AWS::S3::Bucket":
            continue
        properties = resource["Properties"]
        block = properties.get("PublicAccessBlockConfiguration", {})
        whole = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        if not all(block.get(key) is True for key in whole):
            yield f"{name}: may become public"
        if properties.get("OwnershipControls") != {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}:
            yield f"{name}: may have objects of other owners"
        if not properties.get("BucketEncryption"):
            yield f"{name}: is not encrypted"
        arn = resource_arn(resources, name)
        if not {arn, f"{arn}/*"} <= secured:
            yield f"{name}: may be used without TLS"
        rules = properties.get("LifecycleConfiguration", {}).get("Rules", [])
        if not any("AbortIncompleteMultipartUpload" in rule and rule["Status"] == "Enabled" for rule in rules):
            yield f"{name}: keeps incomplete uploads"
        # Nothing but incomplete uploads ever ends by itself: a gallery is kept until somebody removes it.
        if any(key.startswith(("Expiration", "Transition")) for rule in rules for key in rule):
            yield f"{name}: loses objects by age"
        if {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")} != {"Retain"}:
            yield f"{name}: goes with the stack"


def machines_are_closed(resources: Resources) -> Findings:
    for name, properties in of_kind(resources, "AWS::EC2::LaunchTemplate"):
        data = properties["LaunchTemplateData"]
        if data.get("MetadataOptions", {}).get("HttpTokens") != "required":
            yield f"{name}: answers for metadata without a token (IMDSv1)"
        if "KeyName" in data:
            yield f"{name}: has a key pair"
        devices = data.get("BlockDeviceMappings", [])
        if not devices or not all(device["Ebs"].get("Encrypted") is True for device in devices):
            yield f"{name}: has a disk that is not encrypted"


def nobody_else_comes_in(resources: Resources) -> Findings:
    for name, properties in of_kind(resources, "AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress"):
        is_rule = resources[name]["Type"].endswith("Ingress")
        for rule in [properties] if is_rule else properties.get("SecurityGroupIngress", []):
            if rule.get("CidrIp", GIVEN["ClientCidr"]) != GIVEN["ClientCidr"] or "CidrIpv6" in rule:
                yield f"{name}: is open to {rule.get('CidrIpv6', rule.get('CidrIp'))}"
            if rule["IpProtocol"] != "tcp":
                yield f"{name}: is open to more than TCP"
        if is_rule:
            continue
        # None at all is what AWS fills with all there is.
        if not properties.get("SecurityGroupEgress"):
            yield f"{name}: may call anybody"
        for rule in properties.get("SecurityGroupEgress", []):
            if rule.get("CidrIp") == "0.0.0.0/0" and (rule["FromPort"], rule["ToPort"]) != (443, 443):
                yield f"{name}: may call anybody at other ports than 443"


def databases_are_private_and_kept(resources: Resources) -> Findings:
    for name, resource in resources.items():
        properties = resource["Properties"]
        if resource["Type"] not in ("AWS::EC2::Volume", "AWS::RDS::DBInstance"):
            continue
        if not {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")} <= {"Snapshot", "Retain"}:
            yield f"{name}: goes with the stack"
        if resource["Type"] == "AWS::EC2::Volume":
            if properties.get("Encrypted") is not True:
                yield f"{name}: is not encrypted"
            continue
        if properties.get("StorageEncrypted") is not True:
            yield f"{name}: is not encrypted"
        if properties.get("PubliclyAccessible") is not False:
            yield f"{name}: may be public"
        if properties.get("ManageMasterUserPassword") is not True or "MasterUserPassword" in properties:
            yield f"{name}: has a password that the template knows"


def logs_end(resources: Resources) -> Findings:
    for name, properties in of_kind(resources, "AWS::Logs::LogGroup"):
        if not properties.get("RetentionInDays"):
            yield f"{name}: keeps logs for ever"


def clients_have_tls_on_the_internet(resources: Resources) -> Findings:
    public = {
        f"arn:aws:any:eu-central-1:123456789012:loadbalancer/net/{name}"
        for name, properties in of_kind(resources, "AWS::ElasticLoadBalancingV2::LoadBalancer")
        if properties["Scheme"] != "internal"
    }
    for name, properties in of_kind(resources, "AWS::ElasticLoadBalancingV2::Listener"):
        if properties["LoadBalancerArn"] in public and properties["Protocol"] != "TLS":
            yield f"{name}: is public without TLS"


def coordinator_owns_the_nodes(resources: Resources) -> Findings:
    group = resources["NodeGroup"]["Properties"]
    if "DesiredCapacity" in group or group["MinSize"] != "0":
        yield "NodeGroup: has a size of its own, which an update of the stack would set"
    if group.get("NewInstancesProtectedFromScaleIn") is not True:
        yield "NodeGroup: may end a machine that is at work"
    hooks = group.get("LifecycleHookSpecificationList", [])
    if [hook["LifecycleTransition"] for hook in hooks] != ["autoscaling:EC2_INSTANCE_TERMINATING"]:
        yield "NodeGroup: does not wait for a machine that leaves"
    script = user_data(resources, "NodeTemplate")
    for hook in hooks:
        if f"ATELIER_LIFECYCLE_HOOK={hook['LifecycleHookName']}\n" not in script:
            yield f"NodeTemplate: completes another hook than {hook['LifecycleHookName']}"
    name = group["AutoScalingGroupName"]
    if f"ATELIER_LIFECYCLE_GROUP={name}\n" not in script:
        yield f"NodeTemplate: completes hooks of another group than {name}"
    if f"ATELIER_FLEET_GROUP={name}\n" not in user_data(resources, "CoordinatorTemplate"):
        yield f"CoordinatorTemplate: scales another group than {name}"


def user_data(resources: Resources, name: str) -> str:
    return str(resources[name]["Properties"]["LaunchTemplateData"]["UserData"])


def scripts_hold_no_secret(resources: Resources) -> Findings:
    told = re.compile(
        r"""\{\{resolve:|://[^/\s:{]*:[^{@\s/]+@|AKIA[0-9A-Z]{16}"""
        r"""|(?i:password|secret_access_key|token)=['"]?[\w/+]{8,}"""
    )
    for name, _ in of_kind(resources, "AWS::EC2::LaunchTemplate"):
        script = user_data(resources, name)
        if found := told.search(script):
            yield f"{name}: holds a secret ({found[0][:12]}…)"
        if re.search(r"^\s*set -\w*x|bash -\w*x", script, re.MULTILINE):
            yield f"{name}: tells each command, secrets included, to its log"


CHECKS = (
    privileges_are_least,
    nodes_have_no_bucket,
    coordinators_keep_weights,
    bucket_is_private_and_kept,
    machines_are_closed,
    nobody_else_comes_in,
    databases_are_private_and_kept,
    logs_end,
    clients_have_tls_on_the_internet,
    coordinator_owns_the_nodes,
    scripts_hold_no_secret,
)
