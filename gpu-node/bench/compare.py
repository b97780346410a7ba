#!/usr/bin/env python3
"""Renders one grid by Atelier and by a PyTorch loop, scores both, and writes the table into BENCHMARKS.md.

The grid is two photos by three paintings at 256 pixels. Both sides get the same files, with nothing left to resize, the
same weights and the same loss. Atelier runs as people run it: `atelier local`, `submit --wait`, `fetch`, from the
start of the first program to the end of the last. The peer (peer.py) runs as such programs do: one process per cell,
one after the other. A scorer of its own (score.py) reads the delivered 8-bit PNG files of both, in float32.

Atelier paints before the peer and again after it, so that a machine that grows slower or faster shows; the slower of
the two counts. Slow times are reported and are no failure.

Without --weights, the untrained network is exported and used by both, and a second one, of another seed, cross-checks.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import machine
import table
from ours import BenchError, Programs

BENCH = Path(__file__).resolve().parent
PROJECT = BENCH.parents[1]

# How Atelier reaches the loss of the peer's 100 evaluations: coarse-to-fine. Everything else is the peer's objective.
SPEED = ["scales=3", "iterations=35"]
OBJECTIVE = [
    "loss=gatys",
    "features=raw",
    "padding=zero",
    "pooling=average",
    "start=photo",
    "content_layers=conv4_2",
    "style_layers=conv1_1,conv2_1,conv3_1,conv4_1,conv5_1",
    "tv_weight=0",
    "format=png",
]
# The features of the untrained network have variance 1, those of trained ones hundreds; with these weights content and
# style end in the same order of size.
TRAINED_WEIGHTS = (1.0, 1.0)
UNTRAINED_WEIGHTS = (1.0, 10_000.0)
# What colours out of range cost ours, so that little is lost when the picture is rounded to 8 bits: of the order of the
# losses at the start.
TRAINED_RANGE, UNTRAINED_RANGE = 3e6, 1e3
# Which untrained network paints, and which cross-checks.
SEEDS = (1, 2)
# Above this share of its first loss the peer's L-BFGS, which searches no lines, threw the picture far away in its first
# steps and never came back. Such a cell takes its time, and its loss compares with nothing.
STALLED = 0.5
# Share of the processors' time that others may take before times say little.
BUSY_MAX = 0.1
# Set once this script runs in the Python that has the packages.
INSIDE = "ATELIER_BENCH_INSIDE"
PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def enter_environment(python):
    """Goes on in a Python that has the peer's packages: the one given, or an environment made for it once."""
    if python is None:
        wanted = (BENCH / "requirements.txt").read_text()
        folder = PROJECT / ".tools/bench"
        # The stamp holds what was asked for, so that a change of it installs anew.
        stamp, python = folder / "installed.txt", folder / "bin/python"
        if not stamp.exists() or stamp.read_text() != wanted:
            say("installing PyTorch for the peer into .tools/bench/, some 5 GB, once")
            shutil.rmtree(folder, ignore_errors=True)
            pip = [python, "-m", "pip", "install", "--quiet", "-r", BENCH / "requirements.txt"]
            for command in ([sys.executable, "-m", "venv", folder], pip):
                if subprocess.run(command).returncode != 0:
                    raise BenchError("cannot install the peer's packages; the message of pip is above")
            stamp.write_text(wanted)
    if os.environ.get(INSIDE) is None:
        os.environ[INSIDE] = "1"
        try:
            # A name without a folder is looked for as a shell does.
            os.execvp(python, [str(python), *sys.argv])
        except OSError as error:
            raise BenchError(f"cannot start {python}: {error.strerror}") from error


def pictures_in(folder, count):
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if len(found) < count:
        raise BenchError(f"{folder} holds {len(found)} pictures, but {count} are wanted")
    return found[:count]


def resized(sources, folder, side):
    """Each picture as a PNG with this long side, so that neither program resamples."""
    from PIL import Image, ImageOps

    folder.mkdir(parents=True)
    for source in sources:
        picture = ImageOps.exif_transpose(Image.open(source)).convert("RGB")
        scale = side / max(picture.size)
        size = [max(1, round(length * scale)) for length in picture.size]
        clean = Image.frombytes("RGB", size, picture.resize(size, Image.Resampling.BICUBIC).tobytes())
        clean.save(folder / f"{source.stem}.png")
    return sorted(folder.iterdir())


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def paint_by_peer(arguments, cells, weights, objective_weights, folder):
    """Seconds of every cell, whether it stalled, and the memory of the largest process."""
    folder.mkdir(parents=True)
    content_weight, style_weight = objective_weights
    seconds, stalled, memory_bytes = [], [], 0
    for photo, painting in cells:
        out = folder / f"{photo.stem}--{painting.stem}.png"
        command = [sys.executable, BENCH / "peer.py", "--weights", weights, "--photo", photo, "--painting", painting]
        command += ["--out", out, "--evaluations", arguments.evaluations, "--device", arguments.peer_device]
        command += ["--content-weight", content_weight, "--style-weight", style_weight]
        started = time.monotonic()
        peer = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        said = peer.stdout.read()
        peer.stdout.close()
        _, status, usage = os.wait4(peer.pid, 0)
        peer.returncode = os.waitstatus_to_exitcode(status)
        seconds.append(time.monotonic() - started)
        memory_bytes = max(memory_bytes, usage.ru_maxrss * 1024)
        if peer.returncode != 0:
            raise BenchError(f"the peer ended with {peer.returncode} at {out.name}")
        losses = json.loads(said)
        # Written so that a loss that is no number counts as stalled.
        stalled.append(not losses["last"] <= STALLED * losses["first"])
        ending = ", and stalled" if stalled[-1] else ""
        say(f"  peer: {photo.stem} by {painting.stem} in {seconds[-1]:.1f} s{ending}")
    return {"seconds": seconds, "stalled": stalled, "memory_bytes": memory_bytes}


def score(pictures, weights, check, objective_weights):
    """What the scorer says of (picture, photo, painting)."""
    command = [sys.executable, BENCH / "score.py", "--weights", weights]
    command += ["--content-weight", objective_weights[0], "--style-weight", objective_weights[1]]
    if check:
        command += ["--check", check]
    cells = json.dumps([dict(zip(("picture", "photo", "painting"), map(str, cell))) for cell in pictures])
    ran = subprocess.run([str(part) for part in command], input=cells, stdout=subprocess.PIPE, text=True)
    if ran.returncode != 0:
        raise BenchError("the scorer failed; its message is above")
    return json.loads(ran.stdout)


def prepare(arguments, programs, work):
    """Photos, paintings and networks, as files."""
    if arguments.photos and arguments.paintings:
        photos, paintings = arguments.photos, arguments.paintings
    else:
        say("drawing the sample pictures")
        photos, paintings = programs.samples(work)
    side = arguments.size
    photos = resized(pictures_in(photos, arguments.photo_count), work / "photos", side)
    paintings = resized(pictures_in(paintings, arguments.painting_count), work / "paintings", side)
    weights, check, network = arguments.weights, arguments.check, None
    if weights is None:
        network = "untrained"
        exported = [work / f"untrained-{seed}.safetensors" for seed in SEEDS]
        for seed, path in zip(SEEDS, exported):
            programs.export_untrained(seed, path)
        weights, check = exported[0], check or exported[1]
    return photos, paintings, weights, check, network


def compare(arguments):
    from importlib.metadata import version

    programs = Programs(arguments.programs)
    busy_before = machine.busy_share()
    if busy_before > BUSY_MAX:
        say(f"other programs keep this machine {100 * busy_before:.0f} % busy: the times will not be worth much")
    work = PROJECT / "target/bench"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    photos, paintings, weights, check, network = prepare(arguments, programs, work)
    default_weights = UNTRAINED_WEIGHTS if network else TRAINED_WEIGHTS
    content_weight = default_weights[0] if arguments.content_weight is None else arguments.content_weight
    style_weight = default_weights[1] if arguments.style_weight is None else arguments.style_weight
    objective_weights = (content_weight, style_weight)
    settings = [f"size={arguments.size}", *OBJECTIVE, *SPEED]
    settings += [f"content_weight={content_weight}", f"style_weight={style_weight}"]
    settings += [f"range_weight={UNTRAINED_RANGE if network else TRAINED_RANGE}", *arguments.settings]
    cells = [(photo, painting) for photo in photos for painting in paintings]

    def by_us(name):
        say(f"Atelier paints {len(cells)} cells ({name})")
        run = programs.paint(work / name, work / "photos", work / "paintings", weights, arguments.device, settings)
        say(f"  {run.seconds:.1f} s, of which optimisation {run.render_seconds:.1f} s")
        return run

    first = by_us("ours-1")
    say(f"the peer paints {len(cells)} cells of {arguments.evaluations} evaluations")
    peer = paint_by_peer(arguments, cells, weights, objective_weights, work / "peer")
    second = by_us("ours-2")

    say("scoring")
    by_run = {"peer": [work / "peer" / f"{photo.stem}--{painting.stem}.png" for photo, painting in cells]}
    for name, run in (("ours-1", first), ("ours-2", second)):
        by_run[name] = [run.pictures[photo.stem, painting.stem] for photo, painting in cells]
    flat = [(picture, *cell) for pictures in by_run.values() for picture, cell in zip(pictures, cells)]
    scored = iter(score(flat, weights, check, objective_weights))
    scores = {name: [next(scored) for _ in cells] for name in by_run}
    digest = sha256_of(weights)
    kind = "gpu" if first.device != "cpu" else " ".join(["cpu", *machine.extensions()[:1]])
    result = {
        "key": f"{network or weights.stem} {arguments.size} {kind}",
        "machine": machine.describe(programs.atelier, version("torch"), busy_before),
        "network": network or f"{first.network.split()[0]} {weights.name}",
        "weights_sha256": digest,
        "check": check.name if check else None,
        "device": first.device,
        "peer_device": arguments.peer_device,
        "settings": settings,
        "size": arguments.size,
        "evaluations": arguments.evaluations,
        "content_weight": content_weight,
        "style_weight": style_weight,
        "cells": [(photo.stem, painting.stem) for photo, painting in cells],
        "ours": [
            {"seconds": run.seconds, "render_seconds": run.render_seconds, "memory_bytes": run.memory_bytes}
            for run in (first, second)
        ],
        "peer": peer,
        "scores": scores,
    }
    (work / "result.json").write_text(json.dumps(result, indent=1))
    section = table.section(result)
    print(section)
    if arguments.out:
        table.put_section(arguments.out, result["key"], section)
        say(f"written into {arguments.out}; pictures and result.json are in {work}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    path = {"type": Path, "metavar": "PATH"}
    parser.add_argument("--weights", **path, help="safetensors with torchvision's names [default: untrained]")
    parser.add_argument("--check", **path, help="a second network that scores too")
    parser.add_argument("--photos", **path, help="folder of photos [default: the project's samples]")
    parser.add_argument("--paintings", **path, help="folder of paintings")
    parser.add_argument("--photo-count", type=int, default=2)
    parser.add_argument("--painting-count", type=int, default=3)
    parser.add_argument("--size", type=int, default=256, help="long side, pixels [default: 256]")
    parser.add_argument("--evaluations", type=int, default=100, help="of the peer [default: 100]")
    parser.add_argument("--content-weight", type=float)
    parser.add_argument("--style-weight", type=float)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="over ours")
    parser.add_argument("--device", default="cpu", help="ours: cpu, cuda:N or auto [default: cpu]")
    parser.add_argument("--peer-device", default="cpu", help="the peer's: cpu or cuda [default: cpu]")
    parser.add_argument("--programs", **path, default=PROJECT / "target/release", help="folder of Atelier's programs")
    parser.add_argument("--python", **path, help="a Python that has the peer's packages [default: one made in .tools/]")
    parser.add_argument("--out", **path, default=PROJECT / "BENCHMARKS.md", help="[default: BENCHMARKS.md]")
    arguments = parser.parse_args()
    if bool(arguments.photos) != bool(arguments.paintings):
        parser.error("--photos and --paintings belong together")
    try:
        enter_environment(arguments.python)
        compare(arguments)
    except (BenchError, OSError, ValueError) as error:
        sys.exit(f"bench: error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
