"""moto's server, taught what it lacks to make and remove a stack of `deploy/cloudformation/atelier.yaml`.

moto 5.2.5 makes every load balancer of a template an application load balancer, whatever its `Type` says, and then refuses
the listeners of a network load balancer. It makes no secret of the password that RDS manages for a database of a template.
It leaves route tables behind, so that a stack with a VPC cannot be removed. It tells what an SSM parameter holds in the place
of the parameter's name, so that a stack cannot be updated with what is told of it. And of a stack that is removed it cannot
tell what was kept. These five are put right here, in memory. All else is moto as it is.

    python deploy/tests/moto_server.py [--port PORT]

prints the server's URL on standard output once it serves, and serves until it is told to end.
"""

import argparse
import logging
import signal
import threading
import warnings
from typing import Any

from moto.cloudformation.models import Stack
from moto.ec2.models import ec2_backends
from moto.ec2.models.route_tables import RouteTable
from moto.elbv2.models import FakeLoadBalancer, elbv2_backends
from moto.rds.models import DBInstance, MasterUserSecret
from moto.server import ThreadedMotoServer


def _create_load_balancer(
    _class: type,
    resource_name: str,
    cloudformation_json: dict[str, Any],
    account_id: str,
    region_name: str,
    **_more: Any,
) -> FakeLoadBalancer:
    properties = cloudformation_json["Properties"]
    return elbv2_backends[account_id][region_name].create_load_balancer(
        resource_name,
        properties.get("SecurityGroups"),
        properties.get("Subnets"),
        scheme=properties.get("Scheme", "internet-facing"),
        loadbalancer_type=properties.get("Type"),
        tags=properties.get("Tags"),
    )


_attribute_of_moto = DBInstance.get_cfn_attribute
_has_attribute_of_moto = DBInstance.has_cfn_attr


def _database_attribute(self: DBInstance, name: str) -> Any:
    if name == "MasterUserSecret.SecretArn":
        if not hasattr(self, "master_user_secret"):
            self.master_user_secret = MasterUserSecret(self, None)
        return self.master_user_secret.secret.arn
    return _attribute_of_moto(self, name)


def _has_database_attribute(name: str) -> bool:
    return name == "MasterUserSecret.SecretArn" or _has_attribute_of_moto(name)


def _delete_route_table(
    _class: type, resource_name: str, _json: dict[str, Any], account_id: str, region_name: str
) -> None:
    backend = ec2_backends[account_id][region_name]
    backend.route_tables[resource_name]._associations.clear()
    backend.delete_route_table(resource_name)


_parameters_of_moto = Stack.parameter_list.fget


def _parameters(self: Stack) -> list[dict[str, Any]]:
    slots = self.template_dict.get("Parameters", {})
    told = _parameters_of_moto(self)
    for parameter in told:
        name = parameter["ParameterKey"]
        if slots.get(name, {}).get("Type", "").startswith("AWS::SSM::Parameter::"):
            parameter["ResolvedValue"] = parameter["ParameterValue"]
            parameter["ParameterValue"] = self.resource_map.input_parameters.get(name, slots[name].get("Default"))
    return told


_resources_of_moto = Stack.stack_resources.fget


def _resources(self: Stack) -> Any:
    if self.status != "DELETE_COMPLETE":
        return _resources_of_moto(self)
    # The map makes what it is asked for and has not; what it has still is what was kept.
    left = self.resource_map._parsed_resources.values()
    return [resource for resource in left if getattr(resource, "logical_resource_id", None)]


def teach() -> None:
    """Puts right what is said above, for all servers of this process."""
    FakeLoadBalancer.create_from_cloudformation_json = classmethod(_create_load_balancer)
    RouteTable.delete_from_cloudformation_json = classmethod(_delete_route_table)
    Stack.stack_resources = property(_resources)
    Stack.parameter_list = property(_parameters)
    DBInstance.get_cfn_attribute = _database_attribute
    DBInstance.has_cfn_attr = staticmethod(_has_database_attribute)


class Server:
    """A server of this process, on a free port unless one is named."""

    def __init__(self, port: int = 0) -> None:
        teach()
        # Each request, and each kind of resource that moto passes over.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        logging.getLogger("moto").setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", message="Tried to parse")
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)

    def __enter__(self) -> str:
        self._server.start()
        _, port = self._server.get_host_and_port()
        return f"http://127.0.0.1:{port}"

    def __exit__(self, *_error: object) -> None:
        self._server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="moto's server, with what it lacks for Atelier's template")
    parser.add_argument("--port", type=int, default=0, help="where it listens; a free port by default")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with Server(parser.parse_args().port) as url:
        print(url, flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
