"""The manifests: against Kubernetes' schemas, and against what must hold between them, the programs and the images, of which
each rule is seen to find what breaks it."""

import re
import unittest
from collections.abc import Callable

from kubernetes_policy import (
    KUBERNETES,
    OVERLAYS,
    SECRETS,
    Object,
    Objects,
    check_cache,
    check_images,
    check_leaving,
    check_network,
    check_pods,
    check_probes,
    check_references,
    check_resources,
    check_scaling,
    check_selectors,
    check_services,
    check_settings,
    container,
    coordinator,
    load,
    named,
    node,
    pod,
)
from support import Problems, assert_can_fail, missing

try:
    import kubernetes_validate
    import yaml
except ImportError:
    yaml = None

#: The oldest and the newest Kubernetes that the schemas are checked against.
VERSIONS = ("1.30", "1.37")

CHECKS: dict[Callable[[Objects], Problems], list[Callable[[Objects], None]]] = {
    check_pods: [
        lambda it: pod(node(it))["securityContext"].pop("runAsNonRoot"),
        lambda it: pod(coordinator(it))["securityContext"].update(runAsUser=0),
        lambda it: pod(node(it))["securityContext"].pop("seccompProfile"),
        lambda it: container(node(it))["securityContext"].update(readOnlyRootFilesystem=False),
        lambda it: container(node(it))["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]),
        lambda it: container(coordinator(it))["securityContext"].update(allowPrivilegeEscalation=True),
        lambda it: pod(node(it)).update(automountServiceAccountToken=True),
        lambda it: pod(node(it))["volumes"].append({"name": "root", "hostPath": {"path": "/"}}),
        lambda it: pod(node(it)).update(serviceAccountName="nobody"),
    ],
    check_images: [
        lambda it: container(node(it)).update(image="registry.example/atelier-node:latest"),
        lambda it: container(coordinator(it)).update(image="registry.example/atelier-coordinator"),
        lambda it: container(node(it)).update(env=[]),
    ],
    check_resources: [
        lambda it: container(node(it))["resources"].pop("limits"),
        lambda it: container(coordinator(it))["resources"]["requests"].pop("memory"),
    ],
    check_probes: [
        lambda it: container(node(it))["livenessProbe"]["httpGet"].update(port="board"),
        lambda it: container(coordinator(it))["readinessProbe"]["httpGet"].update(port="metrics"),
        lambda it: container(coordinator(it))["livenessProbe"]["httpGet"].update(path="/readyz"),
        lambda it: container(node(it))["readinessProbe"]["httpGet"].update(path="/ready"),
        lambda it: container(coordinator(it)).pop("startupProbe"),
        lambda it: container(node(it)).pop("livenessProbe"),
    ],
    check_references: [
        lambda it: container(node(it))["envFrom"][0]["configMapRef"].update(name="nothing"),
        lambda it: container(node(it))["volumeMounts"].pop(),
        lambda it: pod(coordinator(it))["volumes"].append({"name": "x", "secret": {"secretName": "unheard-of"}}),
    ],
    check_settings: [
        lambda it: container(node(it))["env"].append({"name": "ATELIER_CASH", "value": "1"}),
        lambda it: container(node(it)).update(args=["run", "--metrik=0.0.0.0:9100"]),
        lambda it: container(coordinator(it))["ports"].pop(),
        lambda it: named(it, "ConfigMap")[0]["data"].pop("ATELIER_INSECURE"),
        lambda it: named(it, "ConfigMap")[0]["data"].update(ATELIER_DATA="/data"),
        lambda it: (
            container(coordinator(it))["env"].append({"name": "ATELIER_BOARD_KEY_FILE", "value": "/nowhere/key"})
            if "env" in container(coordinator(it))
            else container(coordinator(it)).update(env=[{"name": "ATELIER_BOARD_KEY_FILE", "value": "/nowhere/key"}])
        ),
    ],
    check_cache: [lambda it: named(it, "ConfigMap")[1]["data"].update(ATELIER_CACHE_MIB_MAX="6144")],
    check_services: [
        lambda it: named(it, "Service")[0]["spec"]["selector"].update({"app.kubernetes.io/name": "other"}),
        lambda it: named(it, "Service")[0]["spec"]["ports"].pop(),
        lambda it: named(it, "Service")[0]["spec"]["ports"][0].update(port=80),
        lambda it: named(it, "ConfigMap")[1]["data"].update(ATELIER_COORDINATOR="http://coordinator:7878"),
    ],
    check_selectors: [
        lambda it: node(it)["spec"]["selector"]["matchLabels"].update({"app.kubernetes.io/name": "other"}),
        lambda it: named(it, "PodDisruptionBudget")[0]["spec"]["selector"]["matchLabels"].update(x="y"),
        lambda it: named(it, "NetworkPolicy")[0]["spec"].update(podSelector={"matchLabels": {"x": "y"}}),
    ],
    check_network: [
        lambda it: it.remove(named(it, "NetworkPolicy", "default-deny")[0]),
        lambda it: named(it, "NetworkPolicy", "coordinator")[0]["spec"]["ingress"][0].pop("from"),
        lambda it: named(it, "NetworkPolicy", "coordinator")[0]["spec"]["ingress"][0].update(ports=[{"port": 7777}]),
        lambda it: it.remove(named(it, "NetworkPolicy", "to-coordinator")[0]),
        lambda it: it.remove(named(it, "NetworkPolicy", "names")[0]),
    ],
    check_leaving: [
        lambda it: pod(node(it)).update(terminationGracePeriodSeconds=30),
        lambda it: pod(coordinator(it)).pop("terminationGracePeriodSeconds"),
    ],
    check_scaling: [
        lambda it: node(it)["spec"].update(replicas=3),
        lambda it: named(it, "ConfigMap")[0]["data"].update(ATELIER_FLEET_DRIVER="asg"),
    ],
}


class TheManifests(unittest.TestCase):
    def setUp(self) -> None:
        if yaml is None:
            missing("there are no PyYAML and kubernetes-validate: pip install -r deploy/tests/requirements.txt")

    def test_they_are_what_kubernetes_expects(self) -> None:
        for overlay in OVERLAYS:
            for each in load(overlay):
                if each["kind"] == "ScaledObject":  # KEDA's; its fields are looked at below.
                    continue
                for of in VERSIONS:
                    with self.subTest(overlay=overlay, kind=each["kind"], kubernetes=of):
                        kubernetes_validate.validate(each, of, strict=True)

    def test_kubernetes_would_refuse_what_it_does_not_know(self) -> None:
        objects = load(OVERLAYS[0])
        pod(node(objects))["terminationGraceSeconds"] = 45
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(node(objects), VERSIONS[-1], strict=True)

    def test_every_overlay_keeps_the_rules(self) -> None:
        for overlay in OVERLAYS:
            for check, mutations in CHECKS.items():
                with self.subTest(overlay=overlay, check=check.__name__):
                    assert_can_fail(self, check, load(overlay), *mutations)

    def test_coordinators_and_nodes_reach_s3_but_not_the_role_of_their_machine(self) -> None:
        def policy(objects: Objects) -> Object:
            return named(objects, "NetworkPolicy", "to-s3")[0]["spec"]["egress"][0]["to"][0]["ipBlock"]

        assert_can_fail(self, check_network, load("external"), lambda it: policy(it).pop("except"))

    def test_keda_starts_as_many_nodes_as_are_wanted(self) -> None:
        def spec(objects: Objects) -> Object:
            return named(objects, "ScaledObject")[0]["spec"]

        assert_can_fail(
            self,
            check_scaling,
            load("external"),
            lambda it: spec(it)["scaleTargetRef"].update(name="atelier-coordinator"),
            lambda it: spec(it).update(maxReplicaCount=20),
            lambda it: spec(it)["triggers"][0]["metadata"].update(url="http://atelier-coordinator:7880/metrics"),
            lambda it: spec(it)["triggers"][0]["metadata"].update(valueLocation="atelier_nodes_wanted"),
            lambda it: spec(it)["triggers"][0]["metadata"].update(targetValue="2"),
            lambda it: spec(it)["triggers"][0].update(metricType="Value"),
        )

    def test_both_kinds_of_coordinator_are_alike_but_for_what_they_keep(self) -> None:
        def shared(objects: Objects) -> Object:
            spec, only = pod(coordinator(objects)), container(coordinator(objects))
            security = {key: value for key, value in spec["securityContext"].items() if key != "fsGroupChangePolicy"}
            kept = ("startupProbe", "readinessProbe", "livenessProbe", "resources", "securityContext", "image")
            return {"pod": security, "grace": spec["terminationGracePeriodSeconds"], **{key: only[key] for key in kept}}

        self.assertEqual(shared(load("embedded")), shared(load("external")))

    def test_every_file_is_named_and_every_name_is_a_file(self) -> None:
        for folder in sorted({path.parent for path in KUBERNETES.rglob("*.yaml")}):
            kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
            entries = [*kustomization.get("resources", []), *kustomization.get("components", [])]
            entries += [patch["path"] for patch in kustomization.get("patches", []) if "path" in patch]
            with self.subTest(folder=folder.name):
                self.assertEqual([entry for entry in entries if not (folder / entry).exists()], [])
                files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
                self.assertEqual(files, {entry for entry in entries if entry.endswith(".yaml")})

    def test_the_readme_tells_of_every_secret_and_overlay(self) -> None:
        text = (KUBERNETES / "README.md").read_text()
        for name in [*SECRETS, *OVERLAYS, "sslrootcert", "board-key"]:
            self.assertRegex(text, rf"\b{re.escape(name)}\b")


if __name__ == "__main__":
    unittest.main()
