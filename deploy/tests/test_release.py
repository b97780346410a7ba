"""Releases, packed from stand-ins of the programs: what is in them, with which rights, and that they are the same bytes
each time."""

import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest
from pathlib import Path

from stand_ins import ELF, RELEASE, SECONDS, crates, dist, material
from support import missing, tool, version

import debian


def packed(test: unittest.TestCase) -> Path:
    """A release in a folder that is gone after the test."""
    if shutil.which("dpkg-deb") is None:
        missing("there is no dpkg-deb: apt-get install dpkg")
    folder = tempfile.TemporaryDirectory()
    test.addCleanup(folder.cleanup)
    into = Path(folder.name, "dist")
    dist.pack(material(), SECONDS, into)
    return into


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {info.name.removeprefix("./").rstrip("/"): info for info in archive}


def contents(deb: Path) -> dict[str, tarfile.TarInfo]:
    """What a package installs."""
    return members(subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], capture_output=True, check=True).stdout)


class TheRelease(unittest.TestCase):
    def test_the_same_programs_make_the_same_bytes_elsewhere_and_for_somebody_else(self) -> None:
        sums = (packed(self) / "SHA256SUMS").read_text()
        before, zone = os.umask(0o077), os.environ.get("TZ")
        os.environ["TZ"] = "Asia/Kathmandu"
        try:
            self.assertEqual((packed(self) / "SHA256SUMS").read_text(), sums)
        finally:
            os.umask(before)
            os.environ.pop("TZ") if zone is None else os.environ.update(TZ=zone)
        # It can fail: another time makes others.
        with tempfile.TemporaryDirectory() as folder:
            other = dist.pack(material(), SECONDS + 1, Path(folder)).read_text()
        self.assertEqual(len(set(other.splitlines()) & set(sums.splitlines())), len(crates.PROGRAMS))

    def test_every_file_has_its_digest(self) -> None:
        into = packed(self)
        ran = subprocess.run(
            ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=into, capture_output=True, text=True
        )
        self.assertEqual(ran.returncode, 0, ran.stderr)
        listed = {line.split()[1] for line in (into / "SHA256SUMS").read_text().splitlines()}
        self.assertEqual(listed, {path.name for path in into.iterdir()} - {"SHA256SUMS"})
        self.assertEqual(len(listed), 2 + 3 + 3)

    def test_archives_have_programs_papers_and_services(self) -> None:
        into = packed(self)
        for name, programs in {"atelier": ["atelier", "atelier-coordinator"], "atelier-node": ["atelier-node"]}.items():
            within = f"{name}-{version()}-x86_64-linux"
            found = members((into / f"{within}.tar.gz").read_bytes())
            wanted = ["README.md", "docs/settings.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"]
            wanted += ["systemd/atelier.sysusers.conf"]
            for program in programs:
                wanted += [f"bin/{program}", f"sbom/{program}.cdx.json", f"notices/{program}.txt"]
                wanted += [f"share/man/man1/{program}.1"]
                self.assertEqual(found[f"{within}/bin/{program}"].mode, 0o755)
            if name == "atelier-node":
                wanted += [
                    "INSTALL.md",
                    "lib/atelier/bootstrap.py",
                    "systemd/atelier-node@.service",
                    "systemd/node.env",
                ]
            else:
                wanted += ["systemd/atelier-coordinator.service", "share/man/man1/atelier-cloud-up.1"]
            for path in wanted:
                self.assertIn(f"{within}/{path}", found)
            self.assertEqual({info.mtime for info in found.values()}, {SECONDS})
            self.assertEqual({(info.uid, info.uname) for info in found.values()}, {(0, "root")})
            self.assertLessEqual({info.mode for info in found.values()}, {0o755, 0o644})


class TheDebianPackages(unittest.TestCase):
    def test_files_lie_where_debian_has_them_and_settings_are_for_root_alone(self) -> None:
        into = packed(self)
        wanted = {
            "atelier": ["usr/share/man/man1/atelier-cloud-up.1.gz", "usr/share/bash-completion/completions/atelier"],
            "atelier-coordinator": [
                "usr/lib/systemd/system/atelier-coordinator.service",
                "usr/lib/sysusers.d/atelier-coordinator.conf",
                "usr/share/fish/vendor_completions.d/atelier-coordinator.fish",
            ],
            "atelier-node": [
                "usr/lib/systemd/system/atelier-node@.service",
                "usr/share/atelier-node/bootstrap.py",
                "usr/share/zsh/vendor-completions/_atelier-node",
            ],
        }
        for name, paths in wanted.items():
            found = contents(into / f"{name}_{version()}_amd64.deb")
            for path in [
                f"usr/bin/{name}",
                f"usr/share/doc/{name}/copyright",
                f"usr/share/doc/{name}/changelog.gz",
                f"usr/share/doc/{name}/docs/settings.md.gz",
                *paths,
            ]:
                self.assertIn(path, found)
            settings = {path: info.mode for path, info in found.items() if path.startswith("etc/") and info.isfile()}
            self.assertEqual(set(settings.values()) or {0o600}, {0o600})
            self.assertEqual(bool(settings), name != "atelier")
            self.assertEqual({(info.uid, info.gid) for info in found.values()}, {(0, 0)})
            self.assertEqual({info.mtime for info in found.values()}, {SECONDS})

    def test_no_file_is_in_two_packages(self) -> None:
        into = packed(self)
        seen: dict[str, str] = {}
        for name in dist.PACKAGES:
            for path, info in contents(into / f"{name}_{version()}_amd64.deb").items():
                if info.isfile():
                    self.assertNotIn(path, seen, f"in {name} and {seen.get(path)}")
                    seen[path] = name

    def test_control_says_what_a_package_needs(self) -> None:
        into = packed(self)
        ran = subprocess.run(
            ["dpkg-deb", "--field", str(into / f"atelier-coordinator_{version()}_amd64.deb")],
            capture_output=True,
            text=True,
            check=True,
        )
        fields = dict(re.findall(r"^(\S+): (.*)$", ran.stdout, re.M))
        self.assertEqual(fields["Version"], version())
        self.assertEqual(fields["Architecture"], "amd64")
        self.assertTrue(fields["Depends"].startswith("libc6 (>= 2.34), libgcc-s1, systemd |"), fields["Depends"])
        self.assertGreater(int(fields["Installed-Size"]), 100)

    def test_libraries_are_told_from_the_program(self) -> None:
        self.assertEqual(debian.library_packages(ELF), ["libc6 (>= 2.34)", "libgcc-s1"])
        self.assertEqual(
            debian.library_packages(b"\0libstdc++.so.6\0GLIBC_2.9\0GLIBC_2.17\0"), ["libc6 (>= 2.17)", "libstdc++6"]
        )
        self.assertEqual(debian.library_packages(b"#!/bin/sh\n"), [])

    def test_services_start_the_installed_program(self) -> None:
        for name, package in dist.PACKAGES.items():
            tree = dist.package_tree(package, material())
            for unit in package.units:
                text = tree[f"usr/lib/systemd/system/{unit}"].data.decode()
                self.assertIn(f"\nExecStart=/usr/bin/{name}", text)
                self.assertNotIn("/usr/local/", text)
                documentation = re.search(r"Documentation=file:///(\S+)", text)
                self.assertIn(documentation[1], tree)

    def test_what_is_done_on_the_way_is_sound_and_starts_nothing_by_itself(self) -> None:
        for package in dist.PACKAGES.values():
            for name, text in debian.scripts(package).items():
                with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
                    file.write(text)
                    file.flush()
                    ran = subprocess.run([tool("shellcheck"), file.name], capture_output=True, text=True)
                self.assertEqual((ran.returncode, ran.stdout), (0, ""), name)
                self.assertNotRegex(text, r"systemctl (start|enable|restart)")
        self.assertIn("try-restart 'atelier-node@*.service'", debian.scripts(dist.PACKAGES["atelier-node"])["postinst"])
        self.assertEqual(debian.scripts(dist.PACKAGES["atelier"]), {})

    def test_lintian_finds_no_error(self) -> None:
        lintian = shutil.which("lintian")
        if lintian is None:
            # 80 packages of Debian for one check: where it is there already, it runs.
            self.skipTest("there is no lintian: apt-get install lintian")
        into = packed(self)
        # The stand-ins are no real executables, and nobody has asked Debian for a number of a bug to close.
        suppressed = "unstripped-binary-or-object,binary-without-manpage,initial-upload-closes-no-bugs,elf-error"
        command = [lintian, "--allow-root", "--fail-on", "error", "--suppress-tags", suppressed]
        ran = subprocess.run([*command, *map(str, into.glob("*.deb"))], capture_output=True, text=True)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)


class TheScripts(unittest.TestCase):
    def test_shellcheck_finds_nothing(self) -> None:
        ran = subprocess.run([tool("shellcheck"), *map(str, RELEASE.glob("*.sh"))], capture_output=True, text=True)
        self.assertEqual((ran.returncode, ran.stdout), (0, ""))

    def commit(self, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **variables}
        script = folder / "deploy/release/commit.sh"
        return subprocess.run([script], env=environment, capture_output=True, text=True, cwd="/")

    def test_a_commit_is_told_with_its_date_and_whether_files_differ(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name, "repository")
            (folder / "deploy/release").mkdir(parents=True)
            shutil.copy(RELEASE / "commit.sh", folder / "deploy/release")

            def git(*arguments: str) -> str:
                identity = ["-c", "user.name=a", "-c", "user.email=a@b.invalid"]
                environment = os.environ | {"GIT_COMMITTER_DATE": f"{SECONDS} +0500", "GIT_CONFIG_GLOBAL": "/dev/null"}
                ran = subprocess.run(
                    ["git", *identity, *arguments],
                    cwd=folder,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                return ran.stdout.strip()

            self.assertEqual(self.commit(folder).stdout, "unknown\n")
            git("init", "--quiet")
            self.assertEqual(self.commit(folder).stdout, "unknown\n")
            git("add", ".")
            git("commit", "--quiet", "--message", "one")
            commit = git("rev-parse", "HEAD")[:10]
            self.assertEqual(self.commit(folder).stdout, f"{commit} 2025-11-25\n")
            self.assertEqual(self.commit(folder, SOURCE_DATE_EPOCH="0").stdout, f"{commit} 1970-01-01\n")
            wrong = self.commit(folder, SOURCE_DATE_EPOCH="soon")
            self.assertEqual((wrong.returncode, wrong.stdout), (2, ""))
            self.assertIn("hint: ", wrong.stderr)
            (folder / "new").touch()
            self.assertEqual(self.commit(folder).stdout, f"{commit} 2025-11-25\n")
            with open(folder / "deploy/release/commit.sh", "a") as file:
                file.write("\n")
            self.assertEqual(self.commit(folder).stdout, f"{commit} 2025-11-25 modified\n")


if __name__ == "__main__":
    unittest.main()
