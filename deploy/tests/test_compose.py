"""compose.yaml: against the Compose specification, and against what holds between its services and the programs."""

import json
import re
import unittest
from collections.abc import Callable
from typing import Any

from support import DEPLOY, Problems, assert_can_fail, coordinator_grace_seconds, missing, program, seconds, version
from test_containers import DOCKERFILE, Dockerfile

try:
    import compose_spec
    import yaml
except ImportError:
    yaml = None

FILE = DEPLOY / "compose.yaml"
#: What services run, and of which target of the Dockerfile.
SERVICES = {
    "network": ("", "coordinator"),
    "coordinator": ("atelier-coordinator", "coordinator"),
    "node": ("atelier-node", "node"),
    "node-cuda": ("atelier-node", "node-cuda"),
}
NODES = ("node", "node-cuda")
#: More time than a node may take to leave, for libtorch and the container to end.
GRACE_SPARE_SECONDS = 10


def load(**variables: str) -> dict[str, Any]:
    """The file as Compose reads it: with variables put in, then merged."""

    def value(found: re.Match[str]) -> str:
        return variables.get(found[1], found[2])

    return yaml.safe_load(re.sub(r"\$\{(\w+):-([^}]*)\}", value, FILE.read_text()))


def check_schema(file: Any) -> Problems:
    try:
        compose_spec.PyCompose.from_json(json.dumps(file)).validate()
    except ValueError as error:
        return [str(error)]
    return []


def check_exposure(file: Any) -> Problems:
    """Nothing can be reached from other machines, and who listens within says that it means it."""
    problems = []
    for name, service in file["services"].items():
        problems += [
            f"{name} can be reached at {port}"
            for port in service.get("ports", [])
            if not str(port).startswith("127.0.0.1:")
        ]
        if service.get("network_mode", "service:network") != "service:network":
            problems.append(f"{name} is on another network")
    environment = file["services"]["coordinator"]["environment"]
    listens = {
        environment[name].rpartition(":")[2] for name in ("ATELIER_LISTEN", "ATELIER_S3_LISTEN", "ATELIER_BOARD_LISTEN")
    }
    published = {port.rpartition(":")[2] for port in file["services"]["network"].get("ports", [])}
    if listens != published:
        problems.append(f"it listens on {sorted(listens)}, of which {sorted(published)} are published")
    # The same address within and without, which the shared network makes true.
    if environment["ATELIER_S3_PUBLIC_URL"].removeprefix("http://127.0.0.1:") not in published:
        problems.append("nobody reaches the S3 endpoint where it says it is")
    for name in NODES:
        if file["services"][name]["environment"]["ATELIER_COORDINATOR"] != "http://127.0.0.1:7878":
            problems.append(f"{name} looks for its coordinator elsewhere")
    return problems


def check_rights(file: Any) -> Problems:
    return [
        f"{name} {problem}"
        for name, service in file["services"].items()
        for problem, holds in {
            "may write its image": service.get("read_only") is True,
            "has capabilities": service.get("cap_drop") == ["ALL"] and "cap_add" not in service,
            "may gain privileges": service.get("security_opt") == ["no-new-privileges:true"],
            "is privileged": not service.get("privileged"),
            "is another user than its image says": "user" not in service,
            "fills the disk with its log": "max-size" in service.get("logging", {}).get("options", {}),
        }.items()
        if not holds
    ]


def check_settings(file: Any) -> Problems:
    problems = []
    for name, (runs, _target) in SERVICES.items():
        service = file["services"][name]
        if not runs:
            continue
        environment = service["environment"]
        problems += program(runs).unknown(environment)
        problems += [f"{name}: {key} is no text" for key, value in environment.items() if not isinstance(value, str)]
        folder = environment.get("ATELIER_DATA", environment.get("ATELIER_CACHE", "/"))
        mounts = dict(volume.split(":")[:2] for volume in service["volumes"])
        if not any(folder == mount or folder.startswith(f"{mount}/") for mount in mounts.values()):
            problems.append(f"{name} loses {folder} with its container")
        problems += [f"{name} has no volume {volume}" for volume in mounts if volume not in file["volumes"]]
    return problems


def check_images(file: Any) -> Problems:
    targets, problems = Dockerfile.parse(DOCKERFILE.read_text()).stages, []
    for name, (_runs, target) in SERVICES.items():
        service = file["services"][name]
        image = "atelier-coordinator" if target == "coordinator" else "atelier-node"
        wanted = f"localhost/{image}:{version()}" + ("-cuda" if target == "node-cuda" else "")
        if service["image"] != wanted:
            problems.append(f"{name} runs {service['image']}, not {wanted}")
        build = service["build"]
        if build["target"] != target or target not in targets:
            problems.append(f"{name} is built from {build['target']}")
        if not (FILE.parent / build["context"] / build["dockerfile"]).is_file():
            problems.append(f"there is no {build['dockerfile']}")
    return problems


def check_order(file: Any) -> Problems:
    """Nodes wait for a coordinator that is well, and all have the time that they may take to leave."""
    services, problems = file["services"], []
    health = services["coordinator"].get("healthcheck", {}).get("test", [])
    if health[2:4] != ["ATELIER_BOARD_LISTEN", program("atelier-coordinator").defaults["ATELIER_BOARD_LISTEN"]]:
        problems.append("the coordinator's health is not asked for")
    for name in NODES:
        if services[name]["depends_on"].get("coordinator", {}).get("condition") != "service_healthy":
            problems.append(f"{name} does not wait for the coordinator")
        leave = seconds(services[name]["environment"]["ATELIER_LEAVE_TIMEOUT"])
        if seconds(services[name].get("stop_grace_period", "10s")) < leave + GRACE_SPARE_SECONDS:
            problems.append(f"{name} is killed before it has left")
    if (
        seconds(services["coordinator"].get("stop_grace_period", "10s"))
        < coordinator_grace_seconds() + GRACE_SPARE_SECONDS
    ):
        problems.append("the coordinator is killed before it has left")
    for name in (*NODES, "coordinator"):
        if services[name]["depends_on"].get("network", {}).get("restart") is not True:
            problems.append(f"{name} stays on a network that is gone")
    return problems


def check_gpu(file: Any) -> Problems:
    """Without a word nodes render on processors; the service for GPUs is asked for, and gets one."""
    services, problems = file["services"], []
    if services["node-cuda"].get("profiles") != ["gpu"] or any(
        "profiles" in services[name] for name in ("network", "coordinator", "node")
    ):
        problems.append("other services start than should")
    devices = services["node-cuda"].get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices")
    if devices != [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}] or "deploy" in services["node"]:
        problems.append("GPUs go elsewhere")
    for name, device in {"node": "cpu", "node-cuda": "cuda:0"}.items():
        if services[name]["environment"].get("ATELIER_DEVICE") != device:
            problems.append(f"{name} does not render on {device}")
    return problems


CHECKS: dict[Callable[[Any], Problems], list[Callable[[Any], Any]]] = {
    check_schema: [
        lambda it: it["services"]["node"].update(readonly=True),
        lambda it: it["services"]["node"].update(restart="sometimes"),
        lambda it: it["services"]["node"].update(stop_grace_period="soon"),
        lambda it: it["services"]["node"].update(volumes="cache"),
    ],
    check_exposure: [
        lambda it: it["services"]["network"]["ports"].append("7879:7879"),
        lambda it: it["services"]["network"]["ports"].pop(),
        lambda it: it["services"]["node"].update(network_mode="host"),
        lambda it: it["services"]["coordinator"]["environment"].update(ATELIER_S3_PUBLIC_URL="http://coordinator:7879"),
        lambda it: it["services"]["node"]["environment"].update(ATELIER_COORDINATOR="http://coordinator:7878"),
    ],
    check_rights: [
        lambda it: it["services"]["node"].update(read_only=False),
        lambda it: it["services"]["node"].update(cap_add=["SYS_ADMIN"]),
        lambda it: it["services"]["coordinator"].update(privileged=True),
        lambda it: it["services"]["node-cuda"].update(user="0"),
    ],
    check_settings: [
        lambda it: it["services"]["node"]["environment"].update(ATELIER_CASH="1"),
        lambda it: it["services"]["coordinator"]["environment"].update(ATELIER_DATA="/data"),
        lambda it: it["services"]["coordinator"]["environment"].update(ATELIER_INSECURE=True),
        lambda it: it["volumes"].pop("cache"),
    ],
    check_images: [
        lambda it: it["services"]["node"].update(image="localhost/atelier-node"),
        lambda it: it["services"]["node-cuda"]["build"].update(target="node"),
        lambda it: it["services"]["coordinator"]["build"].update(dockerfile="Dockerfile"),
    ],
    check_order: [
        lambda it: it["services"]["node"]["depends_on"]["coordinator"].update(condition="service_started"),
        lambda it: it["services"]["node"].update(stop_grace_period="30s"),
        lambda it: it["services"]["coordinator"].pop("stop_grace_period"),
        lambda it: it["services"]["coordinator"].pop("healthcheck"),
        lambda it: it["services"]["node"]["depends_on"]["network"].pop("restart"),
    ],
    check_gpu: [
        lambda it: it["services"]["node-cuda"].pop("profiles"),
        lambda it: it["services"]["node-cuda"].pop("deploy"),
        lambda it: it["services"]["node-cuda"]["environment"].update(ATELIER_DEVICE="auto"),
    ],
}


class TheComposeFile(unittest.TestCase):
    def setUp(self) -> None:
        if yaml is None:
            missing("there are no PyYAML and compose-spec: pip install -r deploy/tests/requirements.txt")

    def test_it_keeps_the_rules(self) -> None:
        for check, mutations in CHECKS.items():
            with self.subTest(check=check.__name__):
                assert_can_fail(self, check, load(), *mutations)

    def test_images_and_weights_can_be_others(self) -> None:
        file = load(REGISTRY="registry.example/studio", TAG="7", ATELIER_WEIGHTS="untrained")
        self.assertEqual(check_schema(file), [])
        self.assertEqual(file["services"]["node-cuda"]["image"], "registry.example/studio/atelier-node:7-cuda")
        self.assertEqual(file["services"]["node"]["environment"]["ATELIER_WEIGHTS"], "untrained")

    def test_both_nodes_differ_in_their_device_and_name_alone(self) -> None:
        nodes = [load()["services"][name] for name in NODES]
        for service in nodes:
            service["environment"].pop("ATELIER_DEVICE")
            service["environment"].pop("ATELIER_NODE_NAME")
            for key in ("image", "build", "profiles", "deploy"):
                service.pop(key, None)
        self.assertEqual(*nodes)


if __name__ == "__main__":
    unittest.main()
