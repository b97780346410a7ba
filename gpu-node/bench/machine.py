"""What a benchmark ran on: the processor, memory, GPU and the versions of what was compared."""

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path


def read(path):
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def output(*command, **options):
    """What a command says, or nothing where there is no such command."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, **options)
    except OSError:
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""


def processor():
    text = read("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = set(re.findall(r"\b(avx2|avx512f|avx512_bf16|amx_bf16)\b", text))
    name = model.group(1) if model else platform.machine()
    return f"{name} ({', '.join(sorted(flags))})" if flags else name


def memory_gib():
    kib = re.search(r"^MemTotal:\s*(\d+) kB", read("/proc/meminfo"), re.MULTILINE)
    return round(int(kib.group(1)) / 2**20) if kib else None


def gpus():
    return output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader").splitlines()


def operating_system():
    release = re.search(r'^PRETTY_NAME="?([^"\n]+)', read("/etc/os-release"), re.MULTILINE)
    return f"{release.group(1) if release else platform.system()}, kernel {platform.release()}"


def load():
    """Programs that ran or waited to run over the last minute: what else keeps the machine busy."""
    return os.getloadavg()[0]


def describe(project, atelier, torch_version, load_before):
    """Names and values for the head of a section."""
    memory = memory_gib()
    described = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "processor": f"{processor()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{memory} GiB" if memory else "unknown",
        "system": f"{operating_system()}; load before the run {load_before:.2f}",
        "Atelier": " ".join(
            part
            for part in (
                output(str(atelier), "--version").removeprefix("atelier "),
                output("git", "describe", "--always", "--dirty", "--abbrev=12", cwd=project),
            )
            if part
        ),
        "peer": f"torch {torch_version}, Python {platform.python_version()}",
    }
    if found := gpus():
        described["GPU"] = "; ".join(found)
    return described
