#!/usr/bin/env python3
"""Unpacks libtorch 2.11.0 into .libtorch/ at the root of the project.

tch 0.24 is written for this version. libtorch comes out of the PyTorch wheel on PyPI (or on the index that pip is
configured for), because that is reachable from more networks than PyTorch's own download site. On a machine without
a GPU only the CPU libraries are kept. A download that was cut off goes on where it stopped, and every file is checked by its
SHA-256. Where an NVIDIA driver is found, pip installs the wheel with its CUDA libraries instead, in pip's own way.

The folder appears under its final name only when it is whole. Running it again does nothing.
"""

import argparse
import base64
import hashlib
import html.parser
import http.client
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

TORCH_VERSION = "2.11.0"

# (project, file, SHA-256). The interpreter version in the name does not matter for the C++ libraries.
# libtorch_cpu.so names the two NVIDIA libraries as its own dependencies, GPU or not.
WHEELS = [
    (
        "torch",
        "torch-2.11.0-cp312-cp312-manylinux_2_28_x86_64.whl",
        "0f68f4ac6d95d12e896c3b7a912b5871619542ec54d3649cf48cc1edd4dd2756",
    ),
    (
        "nvidia-cuda-cupti",
        "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
        "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
    ),
    (
        "nvidia-cuda-runtime",
        "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    ),
]

# What a build and a run need of the wheels; the rest is Python, tests and CUDA code.
WANTED = re.compile(r"^(torch/include/|torch/lib/[^/]+\.so|nvidia/cu13/lib/[^/]+\.so)")
CUDA_ONLY = re.compile(
    r"^torch/lib/(libtorch_cuda|libc10_cuda|libcaffe2_nvrtc|libtorch_nvshmem|libtorch_python)"
)

CHUNK_BYTES = 1 << 20
ATTEMPTS_MAX = 5


class BootstrapError(Exception):
    """Something a person can act on; the message says what."""


def say(text):
    print(f"libtorch: {text}", file=sys.stderr, flush=True)


def pip(*arguments):
    return [sys.executable, "-m", "pip", *arguments]


def index_url():
    """The package index that pip is configured for."""
    if url := os.environ.get("PIP_INDEX_URL"):
        return url
    asked = subprocess.run(pip("config", "get", "global.index-url"), capture_output=True, text=True)
    return asked.stdout.strip() or "https://pypi.org/simple"


def request(url, **headers):
    """A request whose user name and password, if the URL has them, travel in a header."""
    parts = urllib.parse.urlsplit(url)
    if parts.username:
        password = urllib.parse.unquote(parts.password or "")
        pair = f"{urllib.parse.unquote(parts.username)}:{password}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        netloc = parts.hostname + (f":{parts.port}" if parts.port else "")
        url = urllib.parse.urlunsplit(parts._replace(netloc=netloc))
    return urllib.request.Request(url, headers=headers)


class Links(html.parser.HTMLParser):
    """The href of every link of a page of the simple repository API."""

    def __init__(self):
        super().__init__()
        self.hrefs = []

    def handle_starttag(self, tag, attributes):
        if tag == "a":
            self.hrefs += [value for name, value in attributes if name == "href" and value]


def wheel_url(project, file_name):
    """Finds a file on the index (PEP 503)."""
    page_url = f"{index_url().rstrip('/')}/{project}/"
    with urllib.request.urlopen(request(page_url, Accept="text/html"), timeout=60) as page:
        base, links = page.geturl(), Links()
        links.feed(page.read().decode("utf-8", "replace"))
    for href in links.hrefs:
        url = urllib.parse.urldefrag(urllib.parse.urljoin(base, href)).url
        if urllib.parse.unquote(url).endswith("/" + file_name):
            return url
    raise BootstrapError(f"{file_name} is not on the package index")


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def fetch(url, part):
    """Downloads to `part`, from where an earlier try stopped."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        response = urllib.request.urlopen(request(url, **headers), timeout=60)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # The part is whole already, or longer than the file: its digest decides.
            return
        raise
    with response:
        resumed = response.status == 206
        total = (have if resumed else 0) + int(response.headers.get("Content-Length") or 0)
        done, shown = (have if resumed else 0), time.monotonic()
        with open(part, "ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                if time.monotonic() - shown > 5:
                    shown = time.monotonic()
                    say(f"  {done >> 20} of {total >> 20} MiB")
    # A connection that is closed early looks like an end; what has come must then be kept, not compared.
    if total and done < total:
        raise OSError(f"the connection ended after {done >> 20} of {total >> 20} MiB")


def download(project, file_name, sha256, folder):
    """A wheel in `folder`, whole and checked."""
    wheel, part = folder / file_name, folder / (file_name + ".part")
    if wheel.exists() and sha256_of(wheel) == sha256:
        return wheel
    say(f"getting {file_name}")
    failure = None
    for attempt in range(ATTEMPTS_MAX):
        time.sleep(2 * attempt)
        try:
            fetch(wheel_url(project, file_name), part)
        except (OSError, http.client.HTTPException) as error:
            failure = error
            say(f"  interrupted: {error}")
            continue
        if sha256_of(part) == sha256:
            part.replace(wheel)
            return wheel
        failure = "its SHA-256 is not the pinned one"
        part.unlink()
    raise BootstrapError(
        f"cannot get {file_name}: {failure}\n"
        "hint: check the network and `pip config list`; running this again goes on where it stopped"
    )


def unpack(wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            if WANTED.match(member) and not CUDA_ONLY.match(member):
                archive.extract(member, folder)


def gpu_is_there():
    return Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None


def install_with_cuda(folder):
    """The wheel with every CUDA library it asks for; some 5 GB."""
    say("an NVIDIA driver is here: getting PyTorch with its CUDA libraries, some 5 GB")
    command = pip(
        *("install", "--quiet", "--target", str(folder), "--only-binary=:all:"),
        # No platform is named: that would leave out libraries that were built for an older glibc.
        *("--python-version", "3.12"),
        f"torch=={TORCH_VERSION}",
    )
    if subprocess.run(command).returncode != 0:
        raise BootstrapError("pip could not install PyTorch; its own message is above")


def libraries_are_whole(root):
    return (root / "torch/lib/libtorch_cpu.so").exists() and (root / "torch/include").is_dir()


def bootstrap(root, variant):
    stamp = root / "installed.json"
    wanted = {"torch": TORCH_VERSION, "variant": variant}
    if stamp.exists() and json.loads(stamp.read_text()) == wanted and libraries_are_whole(root):
        return
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise BootstrapError(
            f"no libtorch {TORCH_VERSION} is known for {platform.system()} {platform.machine()}\n"
            "hint: set LIBTORCH to one of your own"
        )
    root.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    downloads, unpacked = root / "downloads", root / "unpacking"
    downloads.mkdir(exist_ok=True)
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    if variant == "cuda":
        install_with_cuda(unpacked)
    else:
        for project, file_name, sha256 in WHEELS:
            unpack(download(project, file_name, sha256, downloads), unpacked)
    if not libraries_are_whole(unpacked):
        raise BootstrapError("the wheel does not hold the expected libraries")
    for name in ("torch", "nvidia"):
        shutil.rmtree(root / name, ignore_errors=True)
        (unpacked / name).rename(root / name)
    shutil.rmtree(unpacked)
    shutil.rmtree(downloads)
    stamp.write_text(json.dumps(wanted))
    say(f"{TORCH_VERSION} ({variant}) is in {root}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    project_root = Path(__file__).resolve().parents[2]
    parser.add_argument("--into", type=Path, default=project_root / ".libtorch", help="default: .libtorch of the project")
    parser.add_argument("--variant", choices=["auto", "cpu", "cuda"], default="auto", help="default: cuda where an NVIDIA driver is found")
    arguments = parser.parse_args()
    variant = arguments.variant
    if variant == "auto":
        variant = "cuda" if gpu_is_there() else "cpu"
    try:
        bootstrap(arguments.into, variant)
    except BootstrapError as error:
        sys.exit(f"libtorch: error: {error}")
    except OSError as error:
        sys.exit(f"libtorch: error: {error}\nhint: the libraries take 2 GB while they are unpacked")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
