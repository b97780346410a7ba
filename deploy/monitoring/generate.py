#!/usr/bin/env python3
"""Writes what follows from the list of metrics (proto/src/metrics.toml) and from alerts.yaml: the dashboard for Grafana, and
docs/metrics.md. A test holds both up to date: `deploy/monitoring/generate.py` writes them anew."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LIST = ROOT / "proto/src/metrics.toml"
ALERTS = HERE / "alerts.yaml"
DASHBOARD = HERE / "dashboard.json"
DOCUMENT = ROOT / "docs/metrics.md"

#: What Prometheus adds to the name of a histogram.
PARTS = ("_bucket", "_sum", "_count")
#: Panels beside each other, and how high each is, in Grafana's units.
COLUMNS, WIDTH, HEIGHT = 3, 8, 8
#: Grafana's names of units.
UNITS = {"seconds": "s", "bytes": "bytes", "dollars": "currencyUSD"}

Metric = dict[str, Any]


def metrics() -> dict[str, list[Metric]]:
    """The list: the metrics of each program."""
    return tomllib.loads(LIST.read_text())


def exposed(metric: Metric) -> list[str]:
    """The names under which Prometheus has it."""
    name = metric["name"]
    if metric["type"] == "counter":
        return [f"{name}_total"]
    if metric["type"] == "histogram":
        return [f"{name}{part}" for part in PARTS]
    return [name]


def query(metric: Metric) -> str:
    """What a panel draws of it."""
    if "query" in metric:
        return metric["query"]
    name, labels = exposed(metric)[0], metric.get("labels", [])
    by = f" by ({', '.join(labels)}) " if labels else ""
    if metric["type"] == "counter":
        return f"sum{by}(rate({name}[$__rate_interval]))"
    return name


def legend(metric: Metric, alone: bool) -> str:
    """How its lines are called."""
    wanted = re.search(r"by \(([^)]*)\)", query(metric))
    labels = [label for label in re.split(r",\s*", wanted[1]) if label != "le"] if wanted else []
    if not wanted and query(metric) == metric["name"]:
        labels = ["instance"]
    words = [] if alone and labels else [metric["name"].removeprefix("atelier_")]
    return " ".join(words + [f"{{{{{label}}}}}" for label in labels])


def panels(listed: dict[str, list[Metric]]) -> list[Metric]:
    """The panels in the order of the list, row by row."""
    rows: dict[str, dict[str, list[Metric]]] = {}
    for metric in (metric for of_program in listed.values() for metric in of_program):
        row, title = metric["panel"].split(" / ")
        rows.setdefault(row, {}).setdefault(title, []).append(metric)
    drawn: list[Metric] = []
    top = 0
    for row, titles in rows.items():
        drawn.append({"type": "row", "title": row, "collapsed": False, "gridPos": place(0, top, 3 * WIDTH, 1)})
        top += 1
        for number, (title, shown) in enumerate(titles.items()):
            left = number % COLUMNS * WIDTH
            drawn.append(panel(title, shown, place(left, top + number // COLUMNS * HEIGHT, WIDTH, HEIGHT)))
        top += -(-len(titles) // COLUMNS) * HEIGHT
    for number, each in enumerate(drawn, start=1):
        each["id"] = number
    return drawn


def place(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": width, "h": height}


def panel(title: str, shown: list[Metric], where: dict[str, int]) -> Metric:
    unit = next((UNITS[metric["unit"]] for metric in shown if metric.get("unit") in UNITS), "short")
    # A rate of seconds is a share of the time.
    if any(metric["type"] == "counter" for metric in shown):
        unit = "short"
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "expr": query(metric),
            "legendFormat": legend(metric, len(shown) == 1),
        }
        for number, metric in enumerate(shown)
    ]
    return {
        "type": "timeseries",
        "title": title,
        "description": "\n\n".join(f"{metric['help']}." for metric in shown),
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": where,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": targets,
    }


def dashboard(listed: dict[str, list[Metric]]) -> str:
    """For Grafana, which asks on import which Prometheus it is to read."""
    return (
        json.dumps(
            {
                "title": "Atelier",
                "uid": "atelier",
                "tags": ["atelier"],
                "schemaVersion": 39,
                "version": 1,
                "editable": True,
                "refresh": "30s",
                "time": {"from": "now-6h", "to": "now"},
                "templating": {"list": [{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]},
                "panels": panels(listed),
            },
            indent=1,
            ensure_ascii=False,
        )
        + "\n"
    )


def alerts(text: str) -> dict[str, str]:
    """The alerts with their texts, without a parser of YAML."""
    parts = re.split(r"^ *- alert: (\w+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def names_in(text: str) -> set[str]:
    """What looks like a metric of ours."""
    return set(re.findall(r"\batelier_(?:coordinator|fleet|node|webhook)_\w+", text))


def document(listed: dict[str, list[Metric]], rules: dict[str, str]) -> str:
    lines = [
        "# Metrics",
        "",
        "Written by [generate.py](../deploy/monitoring/generate.py) from [metrics.toml](../proto/src/metrics.toml), which the",
        "programs register their metrics from.",
        "",
        "They are at `/metrics` of a coordinator's board and of where `--metrics-listen` of a coordinator or a node says, as OpenMetrics.",
        "[dashboard.json](../deploy/monitoring/dashboard.json) shows all of them in Grafana;",
        "[alerts.yaml](../deploy/monitoring/alerts.yaml) has rules for Prometheus.",
    ]
    titles = {"coordinator": "Coordinators", "node": "Nodes"}
    for program, of_program in listed.items():
        lines += ["", f"## {titles[program]}", "", "| metric | type | labels | | panel | alerts |", "|---|---|---|---|---|---|"]
        for metric in of_program:
            names = exposed(metric)
            using = [alert for alert, text in rules.items() if names_in(text) & set(names)]
            name = names[0] if len(names) == 1 else metric["name"]
            labels = ", ".join(f"`{label}`" for label in metric.get("labels", []))
            help_text = metric["help"].replace("|", "\\|")
            lines.append(
                f"| `{name}` | {metric['type']} | {labels} | {help_text} | {metric['panel']} | {', '.join(using)} |"
            )
    return "\n".join(lines) + "\n"


def written() -> dict[Path, str]:
    """Every file that is written, with what it is to hold."""
    listed = metrics()
    return {DASHBOARD: dashboard(listed), DOCUMENT: document(listed, alerts(ALERTS.read_text()))}


if __name__ == "__main__":
    for path, text in written().items():
        path.write_text(text)
        print(path.relative_to(ROOT))
