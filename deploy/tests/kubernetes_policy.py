"""What must hold between the manifests, the programs and the images, whoever changes them.

Each check returns what it finds against the objects of an overlay, rendered as `kubectl apply -k` would.
"""

import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from support import DEPLOY, ROOT, Problems, coordinator_grace_seconds, program, seconds, tool, version

try:
    import yaml
except ImportError:
    yaml = None

KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
#: Secrets that exist beforehand, as README.md says how to make them.
SECRETS = {"atelier-database", "atelier-board"}
#: More time than a node may take to leave, for libtorch and the container to end.
GRACE_SPARE_SECONDS = 10

Object = dict[str, Any]
Objects = list[Object]


@cache
def rendered(overlay: str) -> str:
    ran = subprocess.run(
        [tool("kubectl"), "kustomize", str(KUBERNETES / "overlays" / overlay)], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def load(overlay: str) -> Objects:
    return list(yaml.safe_load_all(rendered(overlay)))


def named(objects: Objects, kind: str, name: str | None = None) -> Objects:
    return [each for each in objects if each["kind"] == kind and name in (None, each["metadata"]["name"])]


def one(objects: Objects, kinds: str, component: str) -> Object:
    """The workload of a component."""
    (found,) = [
        each
        for each in objects
        if each["kind"] in kinds.split("|") and each["metadata"]["labels"]["app.kubernetes.io/component"] == component
    ]
    return found


def coordinator(objects: Objects) -> Object:
    return one(objects, "StatefulSet|Deployment", "coordinator")


def node(objects: Objects) -> Object:
    return one(objects, "Deployment", "node")


def pod(workload: Object) -> Object:
    return workload["spec"]["template"]["spec"]


def container(workload: Object) -> Object:
    (found,) = pod(workload)["containers"]
    return found


def workloads(objects: Objects) -> Iterator[tuple[str, Object]]:
    yield "coordinator", coordinator(objects)
    yield "node", node(objects)


def settings(objects: Objects, workload: Object) -> dict[str, str]:
    """The environment of a container, by name; what comes from secrets and fields is told as such."""
    found: dict[str, str] = {}
    for source in container(workload).get("envFrom", []):
        for each in named(objects, "ConfigMap", source["configMapRef"]["name"]):
            found |= each["data"]
    for variable in container(workload).get("env", []):
        found[variable["name"]] = variable.get("value", f"from {variable.get('valueFrom')}")
    return found


def matches(selector: Object, labels: dict[str, str]) -> bool:
    def holds(expression: Object) -> bool:
        assert expression["operator"] == "In", expression
        return labels.get(expression["key"]) in expression["values"]

    exact = selector.get("matchLabels", {}).items() <= labels.items()
    return exact and all(map(holds, selector.get("matchExpressions", [])))


def check_pods(objects: Objects) -> Problems:
    """What Kubernetes calls restricted, and a file system that cannot be written."""
    problems = []
    for name, workload in workloads(objects):
        of_pod, of_container = pod(workload)["securityContext"], container(workload)["securityContext"]
        wanted = {
            "runs as root": of_pod.get("runAsNonRoot") is True and of_pod.get("runAsUser") == 10001,
            "cannot write its volumes": of_pod.get("fsGroup") == 10001,
            "has no seccomp profile": of_pod.get("seccompProfile") == {"type": "RuntimeDefault"},
            "may gain privileges": of_container.get("allowPrivilegeEscalation") is False,
            "may write its image": of_container.get("readOnlyRootFilesystem") is True,
            "has capabilities": of_container.get("capabilities") == {"drop": ["ALL"]},
            "has a token of Kubernetes": pod(workload).get("automountServiceAccountToken") is False,
            "is flooded with service variables": pod(workload).get("enableServiceLinks") is False,
            "is on the machine's network": not pod(workload).get("hostNetwork"),
            "sees the machine's disk": not any("hostPath" in volume for volume in pod(workload)["volumes"]),
        }
        problems += [f"{name} {problem}" for problem, holds in wanted.items() if not holds]
        if not named(objects, "ServiceAccount", pod(workload).get("serviceAccountName")):
            problems.append(f"{name} has no account")
    labels = named(objects, "Namespace")[0]["metadata"]["labels"]
    if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
        problems.append("the namespace is not restricted")
    return problems


def check_images(objects: Objects) -> Problems:
    """The names that the build gives, at the version of the programs; GPUs and the image for them go together."""
    has_gpu = "nvidia.com/gpu" in container(node(objects))["resources"]["limits"]
    wanted = {
        "coordinator": f"registry.example/atelier-coordinator:{version()}",
        "node": f"registry.example/atelier-node:{version()}" + ("-cuda" if has_gpu else ""),
    }
    found = {name: container(workload)["image"] for name, workload in workloads(objects)}
    problems = [f"{name} runs {image}, not {wanted[name]}" for name, image in found.items() if image != wanted[name]]
    environment = settings(objects, node(objects))
    if environment.get("ATELIER_DEVICE") != ("cuda:0" if has_gpu else "cpu"):
        problems.append("the node's device is not that of its pod")
    # The renderer plans for the memory of its device: on processors that is the pod's, on a GPU it asks the GPU.
    if ("ATELIER_MEMORY_MAX" in environment) is has_gpu:
        problems.append("the node plans for memory that is not its device's")
    return problems


def check_resources(objects: Objects) -> Problems:
    return [
        f"{name} has no {which} of {resource}"
        for name, workload in workloads(objects)
        for which in ("requests", "limits")
        for resource in ("cpu", "memory")
        if resource not in container(workload).get("resources", {}).get(which, {})
    ]


def check_probes(objects: Objects) -> Problems:
    """Probes ask ports that there are: the coordinator at its board, the node where its metrics are, and paths that they answer."""
    problems = []
    for name, workload in workloads(objects):
        ports = {port["name"]: port["containerPort"] for port in container(workload)["ports"]}
        probes = {kind: container(workload).get(kind) for kind in ("startupProbe", "readinessProbe", "livenessProbe")}
        for kind, probe in probes.items():
            if probe is None:
                continue
            port, path = probe["httpGet"]["port"], probe["httpGet"]["path"]
            # What waits for others is ready or not; what is restarted for it would only wait longer.
            wanted = "/readyz" if kind == "readinessProbe" else "/healthz"
            if path.partition("?")[0] != wanted:
                problems.append(f"the {kind} of {name} asks {path}, not {wanted}")
            if port not in ports and port not in ports.values():
                problems.append(f"the {kind} of {name} asks port {port}, which is none")
        if probes["livenessProbe"] is None:
            problems.append(f"nobody asks whether {name} lives")
    of_coordinator = container(coordinator(objects))
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        if of_coordinator.get(kind, {}).get("httpGet", {}).get("port") != "board":
            problems.append(f"the {kind} of the coordinator does not ask its board")
    return problems


def check_references(objects: Objects) -> Problems:
    """Config maps, secrets and claims that are named are there, or documented."""
    problems = []
    for name, workload in workloads(objects):
        for source in container(workload)["envFrom"]:
            if not named(objects, "ConfigMap", source["configMapRef"]["name"]):
                problems.append(f"{name} reads {source['configMapRef']['name']}, which is none")
        secrets = {volume["secret"]["secretName"] for volume in pod(workload)["volumes"] if "secret" in volume}
        for variable in container(workload).get("env", []):
            if "secretKeyRef" in variable.get("valueFrom", {}):
                secrets.add(variable["valueFrom"]["secretKeyRef"]["name"])
        problems += [
            f"{name} wants the secret {secret}, of which README.md says nothing" for secret in secrets - SECRETS
        ]
        volumes = {volume["name"] for volume in pod(workload)["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
        mounted = {mount["name"] for mount in container(workload)["volumeMounts"]}
        if volumes != mounted:
            problems.append(f"{name} mounts {sorted(mounted)} of {sorted(volumes)}")
    return problems


def check_settings(objects: Objects) -> Problems:
    """Variables mean something to the programs, and listen on the ports that the pods have."""
    problems = []
    for name, workload in workloads(objects):
        environment = settings(objects, workload)
        problems += program(f"atelier-{name}").unknown(environment)
        problems += program(f"atelier-{name}").unknown_flags(container(workload).get("args", []))
        ports = {str(port["containerPort"]) for port in container(workload)["ports"]}
        listens = {
            environment[variable].rpartition(":")[2]
            for variable in ("ATELIER_LISTEN", "ATELIER_BOARD_LISTEN", "ATELIER_S3_LISTEN", "ATELIER_METRICS_LISTEN")
            if variable in environment
        }
        if ports != listens:
            problems.append(f"{name} listens on {sorted(listens)}, and its pod has {sorted(ports)}")
        if listens and environment.get("ATELIER_INSECURE") != "true":
            problems.append(f"{name} would refuse to listen beyond its pod")
        folder = environment.get("ATELIER_DATA", environment.get("ATELIER_CACHE", ""))
        mounts = [mount["mountPath"] for mount in container(workload)["volumeMounts"] if not mount.get("readOnly")]
        if not any(folder == mount or folder.startswith(f"{mount}/") for mount in mounts):
            problems.append(f"{name} cannot write to {folder}")
        files = [value for variable, value in environment.items() if variable.endswith("_FILE")]
        places = [mount["mountPath"] for mount in container(workload)["volumeMounts"]]
        problems += [f"{name} has no {file}" for file in files if str(Path(file).parent) not in places]
    if "ATELIER_S3_BUCKET" in settings(objects, coordinator(objects)) and coordinator(objects)["kind"] != "Deployment":
        problems.append("a coordinator with a bucket needs no volume")
    return problems


def check_cache(objects: Objects) -> Problems:
    """A pod whose volume is fuller than its limit is evicted, so the node's own bound comes first."""
    (cache_volume,) = [volume for volume in pod(node(objects))["volumes"] if volume["name"] == "cache"]
    limit_mib = int(cache_volume["emptyDir"]["sizeLimit"].removesuffix("Gi")) * 1024
    storage_mib = int(container(node(objects))["resources"]["requests"]["ephemeral-storage"].removesuffix("Gi")) * 1024
    cache_mib = int(settings(objects, node(objects))["ATELIER_CACHE_MIB_MAX"])
    return (
        []
        if cache_mib < limit_mib < storage_mib
        else [f"{cache_mib} MiB of cache, {limit_mib} of volume, {storage_mib} asked for"]
    )


def check_services(objects: Objects) -> Problems:
    """Services lead to ports of pods, and whatever is called by the name of a service is one, on that port."""
    problems, labels = [], coordinator(objects)["spec"]["template"]["metadata"]["labels"]
    (service,) = named(objects, "Service")
    ports = {port["name"]: port["containerPort"] for port in container(coordinator(objects))["ports"]}
    if not service["spec"]["selector"].items() <= labels.items():
        problems.append("the service selects nobody")
    if {port["targetPort"] for port in service["spec"]["ports"]} != set(ports):
        problems.append("the service does not have the ports of the coordinator")
    offered = {f"{service['metadata']['name']}:{port['port']}" for port in service["spec"]["ports"]}
    urls = [
        settings(objects, node(objects))["ATELIER_COORDINATOR"],
        settings(objects, coordinator(objects)).get("ATELIER_S3_PUBLIC_URL"),
    ]
    problems += [f"nobody serves {url}" for url in urls if url and url.removeprefix("http://") not in offered]
    if coordinator(objects)["spec"].get("serviceName", service["metadata"]["name"]) != service["metadata"]["name"]:
        problems.append("the stateful set has no service")
    return problems


def check_selectors(objects: Objects) -> Problems:
    """Workloads, budgets and policies select pods that exist."""
    problems = []
    pods = {name: workload["spec"]["template"]["metadata"]["labels"] for name, workload in workloads(objects)}
    for name, workload in workloads(objects):
        if not matches(workload["spec"]["selector"], pods[name]):
            problems.append(f"{name} does not select its own pods")
    for kind, field in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        for each in named(objects, kind):
            if not any(matches(each["spec"][field], labels) for labels in pods.values()):
                problems.append(f"{kind} {each['metadata']['name']} selects nobody")
    if not named(objects, "PodDisruptionBudget", "atelier-node"):
        problems.append("all nodes may be evicted at once")
    if coordinator(objects)["spec"]["replicas"] > 1 and not named(
        objects, "PodDisruptionBudget", "atelier-coordinator"
    ):
        problems.append("all coordinators may be evicted at once")
    return problems


def check_network(objects: Objects) -> Problems:
    """Nothing is open but what is listed, every port that is let in is listened on, and nodes get where they must."""
    policies = named(objects, "NetworkPolicy")
    denies = [
        policy
        for policy in policies
        if policy["spec"]["podSelector"] == {} and set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        if not policy["spec"].get("ingress") and not policy["spec"].get("egress")
    ]
    problems = [] if denies else ["what no policy names is open"]
    pods = {
        name: (workload["spec"]["template"]["metadata"]["labels"], workload) for name, workload in workloads(objects)
    }

    def allowed(name: str, direction: str) -> set[int]:
        """Ports that policies let a pod be asked on, or ask for."""
        return {
            port["port"]
            for policy in policies
            if matches(policy["spec"]["podSelector"], pods[name][0])
            for rule in policy["spec"].get(direction, [])
            for port in rule.get("ports", [])
        }

    for policy in policies:
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(direction, []):
                if not rule.get(peers) or not rule.get("ports"):
                    problems.append(f"{policy['metadata']['name']} opens {direction} to all")
    for name, (_labels, workload) in pods.items():
        ports = {port["containerPort"] for port in container(workload)["ports"]}
        listened = {7880, 9100} | ports  # One policy names the ports of metrics of both programs.
        if not ports <= allowed(name, "ingress") <= listened:
            problems.append(f"{name} listens on {ports} and is let in on {allowed(name, 'ingress')}")
    environment = settings(objects, coordinator(objects))
    called = {53, 7878} | ({443, 80} if "ATELIER_S3_BUCKET" in environment else {7879})
    if allowed("node", "egress") != called:
        problems.append(f"nodes must reach {called} and may reach {allowed('node', 'egress')}")
    wanted = {53} | ({443, 80, 5432} if "ATELIER_S3_BUCKET" in environment else set())
    if allowed("coordinator", "egress") != wanted:
        problems.append(f"coordinators must reach {wanted} and may reach {allowed('coordinator', 'egress')}")
    for policy in policies:
        for rule in policy["spec"].get("egress", []):
            for block in (peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer):
                if block["cidr"] == "0.0.0.0/0" and "169.254.0.0/16" not in block.get("except", []):
                    problems.append(f"{policy['metadata']['name']} lets pods reach the role of their machine")
    return problems


def check_leaving(objects: Objects) -> Problems:
    """Pods are killed only after their programs have had the time that they may take."""
    leave = seconds(settings(objects, node(objects))["ATELIER_LEAVE_TIMEOUT"])
    wanted = {"coordinator": coordinator_grace_seconds() + GRACE_SPARE_SECONDS, "node": leave + GRACE_SPARE_SECONDS}
    return [
        f"{name} is killed after {pod(workload).get('terminationGracePeriodSeconds')} s"
        for name, workload in workloads(objects)
        if pod(workload).get("terminationGracePeriodSeconds", 0) < wanted[name]
    ]


def check_scaling(objects: Objects) -> Problems:
    """Who scales the nodes is one alone, and is told by the coordinator how many, within the same bounds."""
    problems, environment = [], settings(objects, coordinator(objects))
    if environment.get("ATELIER_FLEET_DRIVER") != "none":
        problems.append("the coordinator scales beside Kubernetes")
    if "replicas" in node(objects)["spec"]:
        problems.append("an apply undoes how far the nodes were scaled")
    for scaled in named(objects, "ScaledObject"):
        spec = scaled["spec"]
        (trigger,) = spec["triggers"]
        metadata = trigger["metadata"]
        namespace = scaled["metadata"]["namespace"]
        if spec["scaleTargetRef"] != {"name": node(objects)["metadata"]["name"]}:
            problems.append("it scales something else")
        bounds = (environment.get("ATELIER_FLEET_MIN"), environment.get("ATELIER_FLEET_MAX"))
        if bounds != (str(spec["minReplicaCount"]), str(spec["maxReplicaCount"])):
            problems.append(f"the coordinator asks for {bounds} nodes at least and at most")
        board = environment["ATELIER_BOARD_LISTEN"].rpartition(":")[2]
        if metadata["url"] != f"http://atelier-coordinator.{namespace}.svc:{board}/metrics":
            problems.append("it asks somewhere else")
        if (trigger["type"], trigger["metricType"], metadata["format"]) != (
            "metrics-api",
            "AverageValue",
            "prometheus",
        ):
            problems.append("it asks in another way")
        if (metadata["targetValue"], metadata["activationTargetValue"]) != ("1", "0"):
            problems.append("replicas are not what is wanted")
        listed = tomllib.loads((ROOT / "proto/src/metrics.toml").read_text())["coordinator"]
        if metadata["valueLocation"] not in {metric["name"] for metric in listed}:
            problems.append(f"coordinators have no metric {metadata['valueLocation']}")
    return problems
