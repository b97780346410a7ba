"""The images: what their Dockerfile says, what a build may see, and the two scripts beside it, which are run here."""

import http.server
import os
import re
import socket
import subprocess
import tempfile
import threading
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support import DEPLOY, ROOT, Problems, assert_can_fail, program, tool, version

CONTAINERS = DEPLOY / "containers"
DOCKERFILE = CONTAINERS / "Dockerfile"
#: The images, and the program of each.
TARGETS = {
    "coordinator": "atelier-coordinator",
    "node": "atelier-node",
    "node-cuda": "atelier-node",
    "client": "atelier",
}
#: Where users without rights begin to have one, in images, manifests and volumes alike.
USER = "10001:10001"


@dataclass
class Stage:
    """A stage of a Dockerfile: what it is made from, and its instructions."""

    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, keyword: str) -> list[str]:
        return [rest for instruction, rest in self.instructions if instruction == keyword]


@dataclass
class Dockerfile:
    arguments: dict[str, str]
    stages: dict[str, Stage]

    @classmethod
    def parse(cls, text: str) -> "Dockerfile":
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
        parsed, stage = cls({}, {}), None
        for line in filter(None, map(str.strip, whole.splitlines())):
            keyword, rest = line.split(maxsplit=1)
            if keyword == "FROM":
                base, _as, name = rest.split()
                stage = parsed.stages[name] = Stage(base)
            elif stage is None:
                name, default = rest.split("=", 1)
                parsed.arguments[name] = default
            else:
                stage.instructions.append((keyword, rest))
        return parsed

    def chain(self, name: str) -> list[Stage]:
        """A stage and those that it is made from, the first one last."""
        chain = []
        while stage := self.stages.get(name):
            chain.append(stage)
            name = stage.base
        return chain

    def last(self, name: str, keyword: str) -> str | None:
        """What holds in the end: instructions like USER replace the one before."""
        for stage in self.chain(name):
            if found := stage.all(keyword):
                return found[-1]
        return None

    def image(self, stage: Stage) -> str | None:
        """The image of a registry that a stage is made from; `None` when that is another stage."""
        if stage.base in self.stages:
            return None
        return re.sub(r"\$\{(\w+)\}", lambda found: self.arguments.get(found[1], ""), stage.base)

    def environment(self, name: str) -> dict[str, str]:
        pairs = [pair for stage in reversed(self.chain(name)) for rest in stage.all("ENV") for pair in rest.split()]
        return dict(pair.split("=", 1) for pair in pairs)


def check_bases(text: str) -> Problems:
    """Each base has a version to the last number, as a tag or a digest."""
    dockerfile = Dockerfile.parse(text)
    images = {image for stage in dockerfile.stages.values() if (image := dockerfile.image(stage)) is not None}
    return [
        f"the base {image or '(empty)'} is not pinned"
        for image in sorted(images)
        if not re.search(r":\d+\.\d+(\.\d+)?(-[a-z-]+)?$|@sha256:[0-9a-f]{64}$", image)
    ]


def check_final_images(text: str) -> Problems:
    """What each image runs, as whom, and that it carries nothing to build with."""
    dockerfile, problems = Dockerfile.parse(text), []
    for target, name in TARGETS.items():
        if target not in dockerfile.stages:
            problems.append(f"there is no target {target}")
            continue
        if dockerfile.last(target, "USER") != USER:
            problems.append(f"{target} does not run as {USER}")
        if dockerfile.last(target, "STOPSIGNAL") != "SIGTERM":
            problems.append(f"{target} is not stopped by SIGTERM")
        if dockerfile.last(target, "ENTRYPOINT") != f'["{name}"]':
            problems.append(f"{target} does not start {name}")
        for stage in dockerfile.chain(target):
            if (image := dockerfile.image(stage)) and not re.search(r"/debian:[\d.]+-slim", image):
                problems.append(f"{target} ends on {image}")
            for run in stage.all("RUN"):
                if re.search(r"apt-get|pip |cargo|curl|wget", run):
                    problems.append(f"{target} installs something: {run}")
            if any("--from=" not in rest and rest.split()[-2] == "." for rest in stage.all("COPY")):
                problems.append(f"{target} holds all sources")
    return problems


def check_labels(text: str) -> Problems:
    dockerfile, problems = Dockerfile.parse(text), []
    for target in TARGETS:
        labels = " ".join(rest for stage in dockerfile.chain(target) for rest in stage.all("LABEL"))
        for label in ("title", "description", "licenses", "version", "revision"):
            if f"org.opencontainers.image.{label}=" not in labels:
                problems.append(f"{target} has no label {label}")
        defaults = [
            rest for stage in dockerfile.chain(target) for rest in stage.all("ARG") if rest.startswith("VERSION=")
        ]
        if defaults != [f"VERSION={version()}"]:
            problems.append(f"{target} is not of version {version()}")
    return problems


def check_environment(text: str) -> Problems:
    dockerfile, problems = Dockerfile.parse(text), []
    for target, name in TARGETS.items():
        problems += program(name).unknown(dockerfile.environment(target))
        if "NVIDIA_VISIBLE_DEVICES" in dockerfile.environment(target):
            problems.append(f"{target} takes every GPU, asked or not")
    return problems


def check_libtorch(text: str) -> Problems:
    """Libraries lie in the final images where the build had them, for that is where the program looks."""
    dockerfile, problems = Dockerfile.parse(text), []
    place = dockerfile.environment("node-program").get("LIBTORCH", "")
    root = str(Path(place).parent)
    for stage in ("libtorch-cpu", "libtorch-cuda"):
        if not any(root in run for run in dockerfile.stages[stage].all("RUN")):
            problems.append(f"{stage} does not unpack into {root}")
    for target in ("node", "node-cuda"):
        stage = "libtorch-cuda" if target == "node-cuda" else "libtorch-cpu"
        copies = [rest.split()[1:] for rest in dockerfile.stages[target].all("COPY") if f"--from={stage}" in rest]
        if any(source != destination for source, destination in copies):
            problems.append(f"{target} moves libraries")
        for needed in (f"{place}/lib", f"{root}/nvidia"):
            if not any(needed == source or needed.startswith(f"{source}/") for source, _ in copies):
                problems.append(f"{target} lacks {needed}")
    return problems


def check_health(text: str) -> Problems:
    """The coordinator is asked where it listens by default, by the variable that moves that."""
    dockerfile = Dockerfile.parse(text)
    found = re.search(
        r'CMD \["healthy", "(\w+)", "([^"]+)", "(/[^"]+)"\]', dockerfile.last("coordinator", "HEALTHCHECK") or ""
    )
    if not found:
        return ["the coordinator's health is not asked for"]
    variable, default, path = found.groups()
    problems = []
    if program("atelier-coordinator").defaults.get(variable) != default:
        problems.append(f"by default {variable} is not {default}")
    if f'"{path}"' not in (ROOT / "coordinator/src/board.rs").read_text():
        problems.append(f"the board has no {path}")
    return problems


def let_through(patterns: str, path: str) -> bool:
    """Whether a build sees a file, by the rules of a .dockerignore: the last pattern that fits it, or a folder that it is
    in, decides."""
    seen = True
    parents = [path, *map(str, Path(path).parents)]
    for line in patterns.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        wanted = line.startswith("!")
        pattern = line.removeprefix("!")
        # `**/` is any number of folders, none as well; `*` stays within one.
        expression = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(expression, candidate) for candidate in parents):
            seen = wanted
    return seen


def check_context(patterns: str) -> Problems:
    """The build sees its sources, and neither what was built nor what is nobody's business."""
    members = re.findall(r'"([\w-]+)"', re.search(r"^members = \[(.*)\]", (ROOT / "Cargo.toml").read_text(), re.M)[1])
    needed = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", *(f"{member}/Cargo.toml" for member in members)]
    for stage in Dockerfile.parse(DOCKERFILE.read_text()).stages.values():
        for copy in stage.all("COPY"):
            words = [word for word in copy.split() if not word.startswith("--")]
            if "--from=" not in copy and words[:-1] != ["."]:
                needed += words[:-1]
    needed += [str(path.relative_to(ROOT)) for member in members for path in (ROOT / member).glob("src/*.rs")]
    needed += ["coordinator/migrations/sqlite/0001.sql", "gpu-node/build.rs"]
    unwanted = [".git/config", ".libtorch/torch/lib/libc10.so", ".tools/x", "target/release/atelier", "docs/board.jpg"]
    unwanted += [
        "atelier-data/atelier.db",
        "tests/atelier-data/s3-credentials.toml",
        "gpu-node/bench/__pycache__/a.pyc",
        ".env",
    ]
    problems = [f"the build lacks {path}" for path in needed if not let_through(patterns, path)]
    return problems + [f"the build sees {path}" for path in unwanted if let_through(patterns, path)]


def replace(old: str, new: str):
    """A mutation of a text."""
    return lambda text: text.replace(old, new)


class TheDockerfile(unittest.TestCase):
    text = DOCKERFILE.read_text()

    def test_hadolint_finds_nothing(self) -> None:
        ran = subprocess.run([tool("hadolint"), str(DOCKERFILE)], capture_output=True, text=True)
        self.assertEqual((ran.returncode, ran.stdout), (0, ""))

    def test_bases_are_pinned(self) -> None:
        digest = "@sha256:" + "0" * 64
        self.assertEqual(check_bases(self.text.replace("debian:12.11-slim", "debian:12.11-slim" + digest)), [])
        assert_can_fail(
            self,
            check_bases,
            self.text,
            replace("debian:12.11-slim", "debian:latest"),
            replace("debian:12.11-slim", "debian"),
            replace("rust:1.95.0-bookworm", "rust:1"),
            replace("${PYTHON_IMAGE}", "python"),
        )

    def test_images_run_their_program_as_a_user_without_rights_and_carry_no_compiler(self) -> None:
        assert_can_fail(
            self,
            check_final_images,
            self.text,
            replace("USER 10001:10001", "USER root"),
            replace("FROM runtime AS client", "FROM runtime AS client\nUSER 0"),
            replace("STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL"),
            replace('ENTRYPOINT ["atelier-coordinator"]', "ENTRYPOINT atelier-coordinator"),
            replace("FROM runtime AS node-cuda", "FROM node-program AS node-cuda"),
            replace("FROM runtime AS client", "FROM runtime AS client\nRUN apt-get install -y curl"),
            replace("FROM runtime AS client", "FROM runtime AS client\nCOPY . ."),
            replace("AS node-cuda", "AS node-gpu"),
        )

    def test_images_say_what_they_are(self) -> None:
        assert_can_fail(
            self,
            check_labels,
            self.text,
            replace("org.opencontainers.image.licenses", "licenses"),
            replace(f"ARG VERSION={version()}", "ARG VERSION=9.9.9"),
        )

    def test_variables_mean_something_to_their_programs(self) -> None:
        assert_can_fail(
            self,
            check_environment,
            self.text,
            replace("ATELIER_CACHE=", "ATELIER_CASH="),
            replace("ATELIER_DATA=", "ATELIER_CACHE="),
            replace("NVIDIA_DRIVER_CAPABILITIES=compute,utility", "NVIDIA_VISIBLE_DEVICES=all"),
        )

    def test_libtorch_lies_where_the_program_looks(self) -> None:
        assert_can_fail(
            self,
            check_libtorch,
            self.text,
            replace("ENV LIBTORCH=/usr/local/lib/atelier/torch", "ENV LIBTORCH=/opt/torch"),
            replace("--variant cpu --into /usr/local/lib/atelier", "--variant cpu --into /opt"),
            replace("COPY --from=libtorch-cuda /usr/local/lib/atelier /usr/local/lib/atelier", ""),
            replace("COPY --from=libtorch-cpu /usr/local/lib/atelier/nvidia /usr/local/lib/atelier/nvidia", ""),
        )

    def test_the_coordinators_health_is_asked_for(self) -> None:
        assert_can_fail(
            self,
            check_health,
            self.text,
            replace("HEALTHCHECK", "# HEALTHCHECK"),
            replace('"127.0.0.1:7880"', '"127.0.0.1:80"'),
            replace("/healthz", "/healthy"),
        )

    def test_a_build_sees_sources_alone(self) -> None:
        assert_can_fail(
            self,
            check_context,
            (CONTAINERS / "Dockerfile.dockerignore").read_text(),
            replace("!coordinator\n", ""),
            replace("!deploy/containers/healthy.sh\n", ""),
            replace("\n*\n", "\n"),
            lambda text: text.replace("!tests/src", "!tests").replace("**/atelier-data", ""),
        )


class TheBuildScript(unittest.TestCase):
    def run_script(self, *arguments: str, **variables: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Runs it with an engine that only notes how it is called."""
        with tempfile.TemporaryDirectory() as folder:
            calls, engine = Path(folder, "calls"), Path(folder, variables.pop("engine", "docker"))
            engine.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n')
            engine.chmod(0o755)
            environment = {"PATH": os.environ["PATH"], "ENGINE": str(engine), **variables}
            ran = subprocess.run([CONTAINERS / "build.sh", *arguments], env=environment, capture_output=True, text=True)
            return ran, calls.read_text().splitlines() if calls.exists() else []

    def test_shellcheck_finds_nothing(self) -> None:
        ran = subprocess.run([tool("shellcheck"), *map(str, CONTAINERS.glob("*.sh"))], capture_output=True, text=True)
        self.assertEqual((ran.returncode, ran.stdout), (0, ""))

    def test_it_builds_every_target_under_its_name(self) -> None:
        ran, calls = self.run_script("--push", REGISTRY="registry.example/studio/", TAG="7")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        built = [re.search(r"--target (\S+) --tag (\S+)", call).groups() for call in calls if call.startswith("build ")]
        names = {
            "coordinator": "registry.example/studio/atelier-coordinator:7",
            "node": "registry.example/studio/atelier-node:7",
            "node-cuda": "registry.example/studio/atelier-node:7-cuda",
            "client": "registry.example/studio/atelier:7",
        }
        self.assertEqual(dict(built), names)
        self.assertEqual([call.split()[1] for call in calls if call.startswith("push ")], list(names.values()))

    def test_without_a_word_it_builds_the_version_for_this_machine(self) -> None:
        ran, calls = self.run_script("client", BUILD_ARGS="--pull --no-cache", PIP_CONFIG_FILE="/etc/pip.conf")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(len(calls), 1)
        for words in (
            f"--tag atelier:{version()} ",
            f"VERSION={version()}",
            "id=pip,src=/etc/pip.conf",
            "--pull --no-cache .",
        ):
            self.assertIn(words, calls[0])
        self.assertNotIn("--ignorefile", calls[0])

    def test_podman_is_told_what_to_leave_out_and_keeps_health_checks(self) -> None:
        _ran, calls = self.run_script("client", engine="podman")
        self.assertIn("--ignorefile deploy/containers/Dockerfile.dockerignore --format docker", calls[0])

    def test_what_it_cannot_do_is_said_before_anything_is_built(self) -> None:
        for arguments, variables, words in [
            (["--push"], {}, "REGISTRY"),
            (["gpu"], {}, "there is no image 'gpu'"),
            ([], {"TAG": "a b"}, "TAG 'a b'"),
        ]:
            ran, calls = self.run_script(*arguments, **variables)
            self.assertEqual((ran.returncode, calls), (2, []))
            self.assertIn(words, ran.stderr)
            self.assertIn("hint: ", ran.stderr)


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 503)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


class TheHealthScript(unittest.TestCase):
    def ask(self, address: str, path: str = "/healthz") -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "ATELIER_BOARD_LISTEN": address}
        command = [CONTAINERS / "healthy.sh", "ATELIER_BOARD_LISTEN", "127.0.0.1:1", path]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=10)

    @contextmanager
    def server(self) -> Iterator[int]:
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield server.server_address[1]
            server.shutdown()

    def test_it_tells_health_from_illness(self) -> None:
        with self.server() as port:
            self.assertEqual(self.ask(f"127.0.0.1:{port}").returncode, 0)
            self.assertEqual(self.ask(f"0.0.0.0:{port}").returncode, 0)
            ill = self.ask(f"127.0.0.1:{port}", "/ill")
            self.assertEqual(ill.returncode, 1)
            self.assertIn("503", ill.stderr)

    def test_nobody_and_silence_are_illness(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            self.assertIn("does not answer", self.ask(f"127.0.0.1:{port}").stderr)
        gone = self.ask(f"127.0.0.1:{port}")
        self.assertEqual(gone.returncode, 1)
        self.assertIn("nobody listens", gone.stderr)


if __name__ == "__main__":
    unittest.main()
