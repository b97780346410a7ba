"""Stacks of the CloudFormation template, as moto makes, changes and removes them."""

import unittest
from typing import Any

import boto3

import moto_server
from cfn_policy import GIVEN
from cfn_template import PATH, Rendering, load

# moto's own zones are named as in this region, whatever region is asked for.
REGION = "us-east-1"

# Kinds of resources that moto 5.2.5 says it made, and did not.
NOT_MADE = {"AWS::S3::BucketPolicy", "AWS::SecretsManager::Secret", "AWS::CloudWatch::Alarm", "AWS::SNS::Subscription"}


class Stacks(unittest.TestCase):
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
