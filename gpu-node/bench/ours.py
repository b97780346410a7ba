"""Atelier's side of the comparison: the real programs, from `atelier local` to the fetched gallery."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

# Seconds that an atelier may take to open: it calibrates or reads a network on the way.
OPEN_SECONDS_MAX = 300


class BenchError(Exception):
    """Something a person can act on; the message says what."""


@dataclass
class Run:
    """One grid, painted."""

    seconds: float
    # Of optimisation alone, as the node counts them, over all cells.
    render_seconds: float
    # Of the largest process.
    memory_bytes: int
    # Path of the picture, by photo and artist.
    pictures: dict
    network: str
    device: str


class Programs:
    """Where the programs are, and the world they run in."""

    def __init__(self, folder):
        self.atelier = folder / "atelier"
        for program in ("atelier", "atelier-node", "atelier-coordinator"):
            if not (folder / program).exists():
                raise BenchError(f"{folder / program} is not there\nhint: cargo build --release --workspace --bins")
        self.node = folder / "atelier-node"
        # None of the caller's settings reach what is measured.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ATELIER_")}
        self.environment["AWS_EC2_METADATA_DISABLED"] = "true"

    def run(self, *command):
        """Runs a program to its end, and answers what it printed."""
        ran = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=self.environment)
        if ran.returncode != 0:
            said = f"{ran.stdout}{ran.stderr}".strip()
            raise BenchError(f"{' '.join(map(str, command))} ended with {ran.returncode}:\n{said}")
        return ran.stdout

    def export_untrained(self, seed, path):
        self.run(self.node, "weights", "export", "--untrained", "--seed", seed, path)

    def samples(self, folder):
        """The project's own photos and paintings, as two folders."""
        # The demo draws them on its way, and a picture of 16 pixels does not keep it long.
        small = [word for setting in ("size=16", "scales=1", "iterations=1") for word in ("--set", setting)]
        out = folder / "demo"
        answer = self.run(self.atelier, "demo", "--out", out, "--keep", "--json", "--weights", "untrained", *small)
        kept = Path(json.loads(answer.splitlines()[-1])["kept"])
        return kept / "samples/photos", kept / "samples/artists"

    @contextlib.contextmanager
    def open_atelier(self, data, weights, device):
        """A coordinator with one node; yields its URL and a list that holds its resource usage once it is closed."""
        command = [self.atelier, "local", "--json", "--data", data, "--weights", weights, "--device", device]
        command += ["--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0"]
        usage = []
        log = data.with_suffix(".log")
        with open(log, "w") as stderr:
            local = subprocess.Popen(
                [str(part) for part in command], stdout=subprocess.PIPE, stderr=stderr, text=True, env=self.environment
            )
            watchdog = threading.Timer(OPEN_SECONDS_MAX, local.kill)
            watchdog.start()
            try:
                line = local.stdout.readline()
                watchdog.cancel()
                if not line:
                    raise BenchError(f"atelier local did not open:\n{log.read_text().strip()}")
                yield json.loads(line)["coordinator"], usage
                local.send_signal(signal.SIGINT)
            except BaseException:
                local.kill()
                raise
            finally:
                watchdog.cancel()
                local.stdout.close()
                _, status, resources = os.wait4(local.pid, 0)
                local.returncode = os.waitstatus_to_exitcode(status)
                usage.append(resources)

    def paint(self, folder, photos, artists, weights, device, settings):
        """Paints a grid; its time is the wall clock from starting the first program to the end of the last."""
        folder.mkdir(parents=True)
        gallery = folder / "gallery"
        started = time.monotonic()
        with self.open_atelier(folder / "data", weights, device) as (url, usage):
            atelier = (self.atelier, "--coordinator", url, "--quiet", "--json")
            assignments = [word for setting in settings for word in ("--set", setting)]
            grid = ("--photos", photos, "--artists", artists)
            answer = self.run(*atelier, "submit", "--wait", "--name", "bench", *assignments, *grid)
            grid_id = json.loads(answer.splitlines()[0])["grid_id"]
            self.run(*atelier, "fetch", grid_id, "--out", gallery)
        seconds = time.monotonic() - started
        manifest = json.loads((gallery / "gallery.json").read_text())
        pictures, made = {}, []
        for cell in manifest["cells"]:
            if cell["state"] != "done":
                raise BenchError(f"a cell is {cell['state']}: {cell.get('failure')}")
            names = (manifest["photos"][cell["photo"]]["name"], manifest["artists"][cell["artist"]]["name"])
            pictures[names] = gallery / cell["picture"]["path"]
            made.append(cell["picture"])
        return Run(
            seconds=seconds,
            render_seconds=sum(picture["seconds"] for picture in made),
            memory_bytes=usage[0].ru_maxrss * 1024,
            pictures=pictures,
            network=made[0]["network"],
            device=made[0]["device"],
        )
