#!/usr/bin/env python3
"""Writes of each program what it is made of, as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/): the crates of the lock
file, and of the node libtorch and the weights that it fetches.

The same sources make the same bytes: the time is that of SOURCE_DATE_EPOCH, or of the commit.
"""

import argparse
import datetime
import importlib.util
import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from crates import PROGRAMS, ROOT, Crate, crates, metadata, program_id, reach  # noqa: E402

#: The licences of what comes from PyPI, which its index tells in words alone.
WHEEL_LICENCES = {
    "torch": {"expression": "BSD-3-Clause"},
    "nvidia-cuda-cupti": {"license": {"name": "NVIDIA Proprietary Software"}},
    "nvidia-cuda-runtime": {"license": {"name": "NVIDIA Proprietary Software"}},
}


def component(crate: Crate, scope: str) -> dict[str, Any]:
    """A crate."""
    described: dict[str, Any] = {
        "type": "library",
        "bom-ref": crate.purl,
        "name": crate.name,
        "version": crate.version,
        "scope": scope,
        "purl": crate.purl,
    }
    if crate.description:
        described["description"] = " ".join(crate.description.split())
    if crate.licence:
        described["licenses"] = [{"expression": crate.licence}]
    if crate.sha256:
        described["hashes"] = [{"alg": "SHA-256", "content": crate.sha256}]
    if crate.repository.startswith("https://"):
        described["externalReferences"] = [{"type": "vcs", "url": crate.repository}]
    return described


def libtorch() -> list[dict[str, Any]]:
    """What a node loads when it starts: the wheels that bootstrap.py pins."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "deploy/libtorch/bootstrap.py")
    bootstrap = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bootstrap)
    found = []
    for project, file, sha256 in bootstrap.WHEELS:
        version = file.split("-")[1]
        purl = f"pkg:pypi/{project}@{version}"
        found.append(
            {
                "type": "library",
                "bom-ref": purl,
                "name": project,
                "version": version,
                "scope": "required",
                "purl": purl,
                "description": f"Of its wheel {file} the libraries alone",
                "licenses": [WHEEL_LICENCES[project]],
                "hashes": [{"alg": "SHA-256", "content": sha256}],
            }
        )
    return found


def weights(source: str) -> dict[str, Any]:
    """The network that `atelier-node weights fetch` gets, as fetch.rs pins it."""
    found = re.search(r"fn keras_vgg16\(\).*?\n    }\n", source, re.S)
    assert found, "gpu-node/src/weights/fetch.rs has no keras_vgg16()"
    file = re.search(r'"([\w.]+\.h5)"', found[0])
    md5 = re.search(r'md5: "([0-9a-f]{32})"', found[0])
    urls = re.findall(r'"(https://[^"]+)"', found[0])
    assert file and md5 and urls, "gpu-node/src/weights/fetch.rs pins no file by its digest"
    return {
        "type": "machine-learning-model",
        "bom-ref": f"weights/{file[1]}",
        "name": file[1],
        "version": "1",
        "scope": "optional",
        "description": "Keras' VGG16 without its classifier; a node paints without it, too",
        "licenses": [{"license": {"id": "CC-BY-4.0"}}],
        "hashes": [{"alg": "MD5", "content": md5[1]}],
        "externalReferences": [{"type": "distribution", "url": f"{url}/{file[1]}"} for url in urls],
    }


def bill(program: str, all_crates: dict[str, Crate], seconds: int, fetch_source: str) -> dict[str, Any]:
    """The bill of materials of one program."""
    own = all_crates[program_id(all_crates, program)]
    linked, builders = reach(all_crates, own.id)
    described = {crate.id for crate in [own, *linked, *builders]}
    components = [component(crate, "required") for crate in linked]
    components += [component(crate, "excluded") for crate in builders]
    edges: dict[str, set[str]] = {}
    for one in described:
        crate = all_crates[one]
        # What merely builds a crate is no part of what the crate brings; it is listed, beneath whoever runs it.
        below = crate.linked | crate.builders
        edges[crate.purl] = {all_crates[it].purl for it in below if it in described}
    if program == "atelier-node":
        loaded = libtorch()
        model = weights(fetch_source)
        components += [*loaded, model]
        edges[own.purl] |= {it["bom-ref"] for it in loaded} | {model["bom-ref"]}
        edges |= {it["bom-ref"]: set() for it in [*loaded, model]}
        edges["pkg:pypi/torch@" + loaded[0]["version"]] = {it["bom-ref"] for it in loaded[1:]}
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    subject = component(own, "required") | {"type": "application"}
    subject.pop("scope")
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lifecycles": [{"phase": "build"}],
            "component": subject,
        },
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": sorted(below)} for ref, below in sorted(edges.items())],
    }
    # By what it says, so that the same bill has the same number.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document, sort_keys=True))
    return document | {"serialNumber": f"urn:uuid:{serial}"}


def source_date() -> int:
    """Seconds since 1970 that count as the time of what is made."""
    if told := os.environ.get("SOURCE_DATE_EPOCH"):
        if not told.isdigit():
            sys.exit(f"error: SOURCE_DATE_EPOCH is {told!r}\nhint: set it to seconds since 1970, or unset it")
        return int(told)
    asked = subprocess.run(
        ["git", "show", "--no-patch", "--format=%ct", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    if asked.returncode != 0:
        sys.exit(
            "error: there is no commit whose time could be told\nhint: set SOURCE_DATE_EPOCH to seconds since 1970"
        )
    return int(asked.stdout)


def write(folder: Path, seconds: int) -> list[Path]:
    """Writes PROGRAM.cdx.json of each program into a folder."""
    all_crates = crates(metadata(), (ROOT / "Cargo.lock").read_text())
    fetch_source = (ROOT / "gpu-node/src/weights/fetch.rs").read_text()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for program in PROGRAMS:
        path = folder / f"{program}.cdx.json"
        path.write_text(json.dumps(bill(program, all_crates, seconds, fetch_source), indent=2) + "\n")
        written.append(path)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=ROOT / "dist/sbom", help="default: dist/sbom of the project")
    for path in write(parser.parse_args().into, source_date()):
        print(path)


if __name__ == "__main__":
    main()
