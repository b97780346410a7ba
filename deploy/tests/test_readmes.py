"""What people read: links lead somewhere, variables that are named exist, and every dependency has its reason."""

import re
import unittest
from pathlib import Path

from support import DEPLOY, ROOT, Problems, assert_can_fail, program

#: What users read.
MANUAL = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(DEPLOY.rglob("*.md"))]
#: What developers read besides.
PAGES = [*MANUAL, *(ROOT / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "BENCHMARKS.md"))]


def check_links(text: str) -> Problems:
    """Links to files of the project, and to headings in them. The first line says which page has them."""
    page, _, text = text.partition("\n")
    problems = []
    for link in re.findall(r"\]\(([^)\s]+)", text):
        if link.startswith(("http://", "https://")):
            continue
        target, _, heading = link.partition("#")
        path = Path(page).parent / target if target else Path(page)
        if not path.exists():
            problems.append(f"there is no {target}")
        elif heading and heading not in headings(path.read_text()):
            problems.append(f"{path.name} has no heading {heading}")
    return problems


def headings(text: str) -> set[str]:
    """The headings of a page, as GitHub has them in links."""
    told = re.findall(r"^#+ (.*)$", re.sub(r"(?ms)^```.*?^```", "", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in told}


def check_variables(text: str) -> Problems:
    known = set().union(*(program(name).variables for name in ("atelier-coordinator", "atelier-node", "atelier")))
    # Read without an option of that name.
    known |= {"ATELIER_TOKEN", "ATELIER_SUBMITTER"}
    return [f"no program knows {name}" for name in re.findall(r"\bATELIER_[A-Z0-9_]+\b", text) if name not in known]


def check_dependencies(text: str) -> Problems:
    """The rows of CONTRIBUTING.md against the root Cargo.toml."""
    table = re.search(r"(?s)\n\[workspace\.dependencies\]\n(.*?)\n\[", (ROOT / "Cargo.toml").read_text())
    assert table, "Cargo.toml has no versions"
    wanted = {name for name in re.findall(r"(?m)^([\w-]+) = ", table[1]) if not name.startswith("atelier-")}
    rows = re.findall(r"(?m)^\| (`[^|]*`) \| [^|]+ \|$", text.partition("\n## Libraries\n")[2])
    told = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    return [f"{name} stands in one of CONTRIBUTING.md and Cargo.toml alone" for name in sorted(wanted ^ told)]


class ThePages(unittest.TestCase):
    def test_their_links_lead_somewhere(self) -> None:
        for path in PAGES:
            with self.subTest(page=str(path.relative_to(ROOT))):
                text = f"{path}\n{path.read_text()}"
                gone = ["[gone](gone.md)", f"[gone]({path.name}#no-such-heading)"]
                assert_can_fail(self, check_links, text, *(lambda text, link=link: text + link for link in gone))

    def test_their_variables_exist(self) -> None:
        for path in MANUAL:
            with self.subTest(page=str(path.relative_to(ROOT))):
                assert_can_fail(self, check_variables, path.read_text(), lambda text: text + "`ATELIER_CASH`")

    def test_every_dependency_has_a_reason(self) -> None:
        text = (ROOT / "CONTRIBUTING.md").read_text()
        assert_can_fail(
            self,
            check_dependencies,
            text,
            lambda text: text.replace("| `tch` |", "| `tsch` |"),
            lambda text: text + "\n| `left-pad` | pads |\n",
        )


if __name__ == "__main__":
    unittest.main()
