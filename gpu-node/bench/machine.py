"""What a benchmark ran on: the processor, memory, GPU and the versions of what was compared."""

import datetime
import os
import platform
import re
import subprocess
import time
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


def extensions():
    """What of a processor counts for a renderer, the most useful first."""
    text = read("/proc/cpuinfo")
    known = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")
    return [name for name in known if re.search(rf"\b{name}\b", text)]


def processor():
    model = re.search(r"^model name\s*:\s*(.+)$", read("/proc/cpuinfo"), re.MULTILINE)
    name = model.group(1) if model else platform.machine()
    found = extensions()
    return f"{name} ({', '.join(found)})" if found else name


def memory_gib():
    kib = re.search(r"^MemTotal:\s*(\d+) kB", read("/proc/meminfo"), re.MULTILINE)
    return round(int(kib.group(1)) / 2**20) if kib else None


def gpus():
    return output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader").splitlines()


def operating_system():
    release = re.search(r'^PRETTY_NAME="?([^"\n]+)', read("/etc/os-release"), re.MULTILINE)
    return f"{release.group(1) if release else platform.system()}, kernel {platform.release()}"


def busy_share(seconds=2.0):
    """Share of the processors' time that other programs take now, by /proc/stat; the load average would still count
    what was built a minute ago."""

    def times():
        line = read("/proc/stat").split("\n", 1)[0].split()
        counts = [int(count) for count in line[1:9]]
        # Waiting for a disk is idle, as far as others go.
        return sum(counts), counts[3] + counts[4]

    try:
        (before, idle_before), _, (after, idle_after) = times(), time.sleep(seconds), times()
        return 1 - (idle_after - idle_before) / (after - before)
    except (IndexError, ValueError, ZeroDivisionError):
        return 0.0


def describe(atelier, torch_version, busy_before):
    """Names and values for the head of a section."""
    memory = memory_gib()
    described = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "processor": f"{processor()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{memory} GiB" if memory else "unknown",
        "system": f"{operating_system()}; {100 * busy_before:.0f} % busy before the run",
        # With the commit, as the first line has it.
        "Atelier": output(str(atelier), "--version").partition("\n")[0].removeprefix("atelier "),
        "peer": f"torch {torch_version}, Python {platform.python_version()}",
    }
    if found := gpus():
        described["GPU"] = "; ".join(found)
    return described
