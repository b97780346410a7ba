"""The Markdown of a comparison, and its place in BENCHMARKS.md."""

import math
import re

MIB = 2**20
INTRODUCTION = """\
# Benchmarks

What stands between the markers below is written by the command that is named there, each run over the last one of its
kind; commit what you want to keep.

`make bench` renders one grid by Atelier and by a loop in PyTorch that was written for the purpose
(`gpu-node/bench/peer.py`: one process per cell, `torch.optim.LBFGS`, float32, all cores), and scores the delivered
8-bit pictures of both by a third program (`gpu-node/bench/score.py`, float32) under the same loss and weights. It needs
no weights: without `WEIGHTS=vgg19.safetensors` both sides paint with the untrained network.

`atelier-node bench` measures one device: cells per hour, time per evaluation, arithmetic and memory, batch by batch.
"""


def ratio(value):
    return f"{value:.2f}×"


def seconds_of(value):
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else math.nan


def table(headings, rows, left=1):
    """A table whose first columns are words and whose others are numbers."""
    rules = [":--" if column < left else "--:" for column in range(len(headings))]
    lines = [headings, rules, *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def speeds(result):
    """The rows of who was how fast."""
    cells = len(result["cells"])
    peer = sum(result["peer"]["seconds"])
    rows = []
    for name, seconds, memory in [
        ("peer", peer, result["peer"]["memory_bytes"]),
        *(
            (f"Atelier, {when} the peer", run["seconds"], run["memory_bytes"])
            for when, run in zip(("before", "after"), result["ours"])
        ),
    ]:
        per_cell, per_hour = seconds / cells, 3600 * cells / seconds
        row = (name, seconds_of(seconds), f"{per_cell:.2f}", f"{per_hour:.0f}", ratio(peer / seconds))
        rows.append((*row, f"{memory / MIB:.0f}"))
    headings = ("", "seconds", "s per cell", "cells per hour", "against the peer", "peak memory, MiB")
    return table(headings, rows)


def compared(result):
    """Positions of the cells whose losses are compared: those in which the peer did not stall."""
    return [position for position, stalled in enumerate(result["peer"]["stalled"]) if not stalled]


def losses(result):
    """Each cell's scored loss, and the mean of the ratios over the cells that are compared."""
    scores = result["scores"]
    counting = compared(result)
    rows, ratios = [], {"ours-1": [], "ours-2": []}
    for position, (photo, painting) in enumerate(result["cells"]):
        peer = scores["peer"][position]
        stalled = "" if position in counting else " (stalled)"
        row = [f"{photo} × {painting}", number(peer["total"]) + stalled]
        for name, found in ratios.items():
            ours = scores[name][position]
            of_peer = ours["total"] / peer["total"]
            row += [number(ours["total"]), "" if stalled else f"{of_peer:.3f}"]
            if not stalled:
                found.append(of_peer)
        rows.append(row)
    means = [mean(found) for found in ratios.values()]
    rows.append(["mean of the ratios", "", "", f"**{means[0]:.3f}**", "", f"**{means[1]:.3f}**"])
    headings = ("cell", "peer", "Atelier, before", "ratio", "Atelier, after", "ratio")
    return table(headings, rows), means


def balance(result, network):
    """Weight of style that gives the peer's pictures the same balance under another network."""
    sums = {
        (name, part): sum(result["scores"]["peer"][position][name][part] for position in compared(result))
        for name in ("first", network)
        for part in ("content", "style")
    }
    if not compared(result):
        return math.nan
    share = result["style_weight"] * sums["first", "style"] / (result["content_weight"] * sums["first", "content"])
    return share * sums[network, "content"] / sums[network, "style"]


def parts(result):
    """Content and style apart, and what the second network says: means over the cells of ours to the peer's."""
    scores = result["scores"]
    networks = ["first", "check"] if result["check"] else ["first"]
    rows = []
    for network in networks:
        style_weight = balance(result, network)
        measures = {
            "content": lambda cell: cell[network]["content"],
            "style": lambda cell: cell[network]["style"],
            "total": lambda cell: cell[network]["content"] + style_weight * cell[network]["style"],
        }
        title = "the network that painted" if network == "first" else f"another network ({result['check']})"
        row = [title]
        for name in ("ours-1", "ours-2"):
            pairs = [(scores[name][position], scores["peer"][position]) for position in compared(result)]
            ratios = [mean(of(ours) / of(peer) for ours, peer in pairs) for of in measures.values()]
            row += [f"{found:.3f}" for found in ratios]
        rows.append(row)
    headings = [f"{part}, {when}" for when in ("before", "after") for part in ("content", "style", "total")]
    return table(("ratio of", *headings), rows)


def section(result):
    """Everything about one comparison."""
    machine = result["machine"]
    count = len(result["cells"])
    loss_table, loss_ratios = losses(result)
    stalled = len(result["cells"]) - len(compared(result))
    slower = max(run["seconds"] for run in result["ours"])
    speed = sum(result["peer"]["seconds"]) / slower
    on = result["device"]
    if result["peer_device"] != on:
        on = f"{on}, peer {result['peer_device']}"
    lines = [
        f"## {result['network']}, {count} cells at {result['size']} px on {on}",
        "",
        f"**{ratio(speed)} the peer's cells per hour** (the slower of two runs) "
        f"at **{max(loss_ratios):.3f} of its loss**.",
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
        f"- weights: sha256 {result['weights_sha256'][:16]}…",
        f"- peer: {result['evaluations']} evaluations from the photo, a process per cell",
        f"- Atelier: `{' '.join(result['settings'])}`, one `atelier local` from its start to its end",
        "",
        speeds(result),
        "",
        "Loss of the delivered pictures: "
        f"{result['content_weight']:g} × content + {result['style_weight']:g} × style.",
        "",
        loss_table,
        "",
        parts(result),
    ]
    if stalled:
        note = f"Cells in which the peer stalled near its first loss, and whose losses are not compared: {stalled}."
        lines += ["", note]
    return "\n".join(lines) + "\n"


def put_section(path, key, section):
    """Writes a section between its markers, over the one of an earlier run if there is one."""
    text = path.read_text() if path.exists() else INTRODUCTION
    begin, end = f"<!-- begin: make bench, {key} -->", f"<!-- end: make bench, {key} -->"
    block = f"{begin}\n{section}{end}"
    found = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if found.search(text):
        text = found.sub(lambda _: block, text)
    else:
        text = f"{text.rstrip()}\n\n{block}\n"
    partial = path.with_name(path.name + ".part")
    partial.write_text(text)
    partial.replace(path)
