"""What the programs are made of: bills of materials, notices, and what may come in at all."""

import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from stand_ins import RELEASE, all_crates, crates, material
from support import ROOT, Problems, assert_can_fail, missing

import notices


class TheBills(unittest.TestCase):
    bills: dict[str, dict]

    @classmethod
    def setUpClass(cls) -> None:
        cls.bills = {name: json.loads(data) for name, data in material().bills.items()}

    def test_their_form_is_that_of_cyclonedx(self) -> None:
        try:
            from cyclonedx.schema import SchemaVersion
            from cyclonedx.validation.json import JsonStrictValidator
        except ImportError:
            missing("there is no cyclonedx-python-lib: pip install -r deploy/tests/requirements.txt")

        def problems(bill: dict) -> Problems:
            found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill))
            return [] if found is None else [str(found)]

        def small(name: str) -> dict:
            """With few parts: comparing each with each, as the form asks, takes seconds where there are hundreds."""
            return self.bills[name] | {"components": self.bills[name]["components"][-5:], "dependencies": []}

        self.assertEqual(problems(self.bills["atelier-node"]), [])
        for name in ("atelier", "atelier-coordinator"):
            self.assertEqual(problems(small(name)), [], name)
        assert_can_fail(
            self,
            problems,
            small("atelier-node"),
            lambda bill: bill.update(bomFormat="Cyclone"),
            lambda bill: bill["components"][0].update(type="crate"),
            lambda bill: bill["components"][0].update(licenses=[{"expression": 1}]),
        )

    def test_they_have_what_the_programs_are_made_of_and_nothing_else(self) -> None:
        names = {
            name: {it["name"] for it in bill["components"] if it["scope"] == "required"}
            for name, bill in self.bills.items()
        }
        for crate in ("tokio", "tonic", "rustls", "atelier-proto"):
            self.assertTrue(all(crate in found for found in names.values()), crate)
        self.assertIn("tch", names["atelier-node"])
        self.assertIn("torch", names["atelier-node"])
        for program in ("atelier", "atelier-coordinator"):
            self.assertFalse({"tch", "torch", "torch-sys"} & names[program])
        # What builds and what tests is not in what runs.
        for found in names.values():
            self.assertFalse({"syn", "protox", "proptest", "insta", "clap_derive"} & found)

    def test_every_part_is_told_with_licence_digest_and_place(self) -> None:
        def problems(bill: dict) -> Problems:
            known = {bill["metadata"]["component"]["bom-ref"]} | {it["bom-ref"] for it in bill["components"]}
            found = []
            for it in bill["components"]:
                own = it["name"].startswith("atelier")
                if not it.get("licenses") or (not own and not it.get("hashes")):
                    found.append(f"{it['name']} is told without licence or digest")
            for edge in bill["dependencies"]:
                found += [f"{ref} is nowhere" for ref in [edge["ref"], *edge["dependsOn"]] if ref not in known]
            if {edge["ref"] for edge in bill["dependencies"]} != known:
                found.append("not every part is in the graph")
            return found

        for name, bill in self.bills.items():
            with self.subTest(program=name):
                assert_can_fail(
                    self,
                    problems,
                    bill,
                    lambda bill: bill["components"][0].pop("licenses"),
                    lambda bill: bill["components"][0].pop("hashes"),
                    lambda bill: bill["components"].pop(),
                    lambda bill: bill["dependencies"].pop(),
                )

    def test_the_weights_are_those_that_a_node_fetches(self) -> None:
        (model,) = (it for it in self.bills["atelier-node"]["components"] if it["type"] == "machine-learning-model")
        self.assertRegex(model["name"], r"^vgg16.*\.h5$")
        self.assertEqual(model["licenses"], [{"license": {"id": "CC-BY-4.0"}}])
        self.assertEqual(len(model["externalReferences"]), 2)

    def test_the_time_is_that_of_the_sources(self) -> None:
        told = {bill["metadata"]["timestamp"] for bill in self.bills.values()}
        self.assertEqual(told, {"2025-11-25T00:00:00Z"})
        environment = os.environ | {"SOURCE_DATE_EPOCH": "soon"}
        ran = subprocess.run([RELEASE / "sbom.py"], env=environment, capture_output=True, text=True)
        self.assertEqual(ran.returncode, 1)
        self.assertIn("SOURCE_DATE_EPOCH is 'soon'\nhint: ", ran.stderr)


class TheNotices(unittest.TestCase):
    def test_they_name_every_crate_and_have_each_text_once(self) -> None:
        for program, data in material().notices.items():
            text = data.decode()
            linked, _builders = crates.reach(all_crates(), crates.program_id(all_crates(), program))
            for crate in linked:
                self.assertEqual(f"\n{crate.name} {crate.version}: " in text, not crate.is_own, crate.name)
            self.assertIn("Copyright (c) Tokio Contributors", text)
            self.assertEqual("libtorch" in text, program == "atelier-node")
            bodies = re.split(rf"^{notices.LINE}$", text, flags=re.M)[2::2]
            self.assertGreater(len(bodies), 20)
            self.assertEqual(len(bodies), len(set(bodies)))


class WhatMayComeIn(unittest.TestCase):
    """deny.toml, by cargo-deny itself, on copies of it that are wrong."""

    def check(self, text: str) -> Problems:
        deny = ROOT / ".tools/deny/bin/cargo-deny"
        if not deny.exists():
            missing("there is no cargo-deny: make deny")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "deny.toml")
            path.write_text(text)
            command = [str(deny), "--locked", "--config", str(path), "check", "bans", "licenses", "sources"]
            ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        return [] if ran.returncode == 0 else ran.stderr.splitlines()

    def test_crates_keep_to_it_and_it_can_fail(self) -> None:
        assert_can_fail(
            self,
            self.check,
            (ROOT / "deny.toml").read_text(),
            lambda text: re.sub(r'^ *"ISC",.*\n', "", text, flags=re.M),
            lambda text: text.replace('"Zlib", ', '"GPL-3.0", "Zlib", '),
            lambda text: text.replace('crate = "native-tls"', 'crate = "rustls"'),
            lambda text: re.sub(r".*option-ext.*\n", "", text),
            lambda text: text.replace('multiple-versions = "warn"', 'multiple-versions = "deny"').replace(
                '"atoi@2"', '"atoi@1"'
            ),
            lambda text: text + 'allow-registry = ["https://registry.example"]\n',
        )


if __name__ == "__main__":
    unittest.main()
