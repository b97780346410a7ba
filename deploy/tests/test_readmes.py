"""What people read of deploy/: links lead somewhere, and variables and options that are named exist."""

import re
import unittest
from pathlib import Path

from support import DEPLOY, Problems, assert_can_fail, program

READMES = sorted(DEPLOY.rglob("README.md"))


def check_links(text: str) -> Problems:
    """Links to files of the project. The first line says from where they lead."""
    folder, _, text = text.partition("\n")
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    return [
        f"there is no {target}"
        for target in targets
        if not target.startswith(("http://", "https://")) and not (Path(folder) / target).exists()
    ]


def check_variables(text: str) -> Problems:
    known = set().union(*(program(name).variables for name in ("atelier-coordinator", "atelier-node", "atelier")))
    return [f"no program knows {name}" for name in re.findall(r"\bATELIER_[A-Z0-9_]+\b", text) if name not in known]


class TheReadmes(unittest.TestCase):
    def test_their_links_lead_somewhere(self) -> None:
        for path in READMES:
            with self.subTest(readme=str(path.relative_to(DEPLOY))):
                text = f"{path.parent}\n{path.read_text()}"
                assert_can_fail(self, check_links, text, lambda text: text + "[gone](gone.md)")

    def test_their_variables_exist(self) -> None:
        for path in READMES:
            with self.subTest(readme=str(path.relative_to(DEPLOY))):
                assert_can_fail(self, check_variables, path.read_text(), lambda text: text + "`ATELIER_CASH`")


if __name__ == "__main__":
    unittest.main()
