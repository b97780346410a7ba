"""Alerts, dashboard and the list of metrics: they name what there is, and each alert fires when it is to."""

import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from support import DEPLOY, ROOT, Problems, assert_can_fail, tool

MONITORING = DEPLOY / "monitoring"
sys.path.insert(0, str(MONITORING))

import generate  # noqa: E402

LISTED = generate.metrics()
EXPOSED = {name for of_program in LISTED.values() for metric in of_program for name in generate.exposed(metric)}
RULES = (MONITORING / "alerts.yaml").read_text()
TESTS = (MONITORING / "alerts_test.yaml").read_text()


def check_queries(text: str) -> Problems:
    """Only metrics that there are."""
    return [f"there is no metric {name}" for name in sorted(generate.names_in(text) - EXPOSED)]


def queries(dashboard: str) -> str:
    """What the panels of the dashboard ask for, a line each."""
    panels = json.loads(dashboard)["panels"]
    return "\n".join(target["expr"] for panel in panels for target in panel.get("targets", []))


def expressions(rules: str) -> str:
    """What the alerts ask for: prose may name metrics by their base."""
    return "\n".join(re.sub(r"annotations:.*", "", text, flags=re.DOTALL) for text in generate.alerts(rules).values())


def check_rules(rules: str) -> Problems:
    return check_queries(expressions(rules))


def check_alerts(rules: str) -> Problems:
    """Each says how bad it is, what is the matter and what to do, and is tried out both ways."""
    problems = []
    for alert, text in generate.alerts(rules).items():
        if not re.search(r"severity: (page|ticket)\b", text):
            problems.append(f"{alert} has no severity")
        for what in ("summary", "action"):
            if f"{what}: " not in text:
                problems.append(f"{alert} has no {what}")
        named = re.findall(rf"alertname: {alert}\b(.*?)(?=alertname:|\Z)", TESTS, flags=re.DOTALL)
        if not any("exp_labels" in case for case in named):
            problems.append(f"nothing makes {alert} fire")
        if not any(re.match(r", exp_alerts: \[\]", case) for case in named):
            problems.append(f"nothing shows {alert} silent")
    return problems


def promtool(rules: str) -> Problems:
    """What the unit tests of the alerts have to say."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "alerts.yaml").write_text(rules)
        (Path(folder) / "alerts_test.yaml").write_text(TESTS)
        ran = subprocess.run(
            [tool("promtool"), "test", "rules", "alerts_test.yaml"], cwd=folder, capture_output=True, text=True
        )
    return [] if ran.returncode == 0 else [ran.stdout + ran.stderr]


class TheMonitoring(unittest.TestCase):
    def test_what_is_generated_is_up_to_date(self) -> None:
        for path, text in generate.written().items():
            with self.subTest(file=str(path.relative_to(ROOT))):
                self.assertEqual(path.read_text(), text, "run deploy/monitoring/generate.py")

    def test_the_dashboard_asks_for_what_there_is_and_shows_all_of_it(self) -> None:
        asked = queries(generate.DASHBOARD.read_text())
        assert_can_fail(self, check_queries, asked, lambda text: text + "\natelier_node_guesses")
        for of_program in LISTED.values():
            for metric in of_program:
                shown = generate.names_in(asked) & set(generate.exposed(metric))
                self.assertTrue(shown, f"no panel shows {metric['name']}")

    def test_the_alerts_ask_for_what_there_is(self) -> None:
        replaced = "atelier_coordinator_leads", "atelier_coordinator_lead"
        assert_can_fail(self, check_rules, RULES, lambda text: text.replace(*replaced))

    def test_each_alert_says_what_to_do_and_is_tried_out(self) -> None:
        assert_can_fail(
            self,
            check_alerts,
            RULES,
            lambda text: text.replace("severity: ticket", "severity: whatever", 1),
            lambda text: text.replace("action: ", "deed: ", 1),
            lambda text: text.replace("- alert: AtelierNoLeader", "- alert: AtelierNobodyLeads"),
        )

    def test_each_alert_fires_when_it_is_to(self) -> None:
        assert_can_fail(
            self,
            promtool,
            RULES,
            lambda text: text.replace("sum(atelier_coordinator_leads) == 0", "sum(atelier_coordinator_leads) == 1"),
            lambda text: text.replace("for: 15m", "for: 45m", 1),
            lambda text: text.replace("> 0.05", "> 0.5"),
            lambda text: text.replace("method!~", "method=~"),
        )


if __name__ == "__main__":
    unittest.main()
