"""Writes the notices that must travel with a program: the licences of all crates that it is linked with, each text once.

Most licences ask for that with a copy in any form, and cargo does not do it.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from crates import Crate  # noqa: E402

NOTICE = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense|third.?party)", re.I)
TEXT_BYTES_MAX = 1 << 20
LINE = "-" * 80


def texts(crate: Crate) -> list[str]:
    """The licences and notices at the root of a crate, and in a folder that is named for them."""
    found = []
    for path in sorted(crate.folder.iterdir()):
        if NOTICE.match(path.name):
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            found += [file for file in files if file.is_file() and file.stat().st_size < TEXT_BYTES_MAX]
    return [normal(file.read_text("utf-8", "replace")) for file in found if file.suffix not in (".rs", ".py", ".toml")]


def normal(text: str) -> str:
    """Without what differs between copies of one text: kinds of line ends, blanks at ends."""
    lines = (line.rstrip() for line in text.replace("\r\n", "\n").strip("\n").split("\n"))
    return "\n".join(lines)


def notices(program: str, crates: Iterable[Crate], more: Iterable[str] = ()) -> str:
    """The whole text. `more` are paragraphs about what is no crate."""
    of_others = [crate for crate in crates if not crate.is_own]
    by_text: dict[str, list[Crate]] = {}
    for crate in of_others:
        for text in dict.fromkeys(texts(crate)):
            if text:
                by_text.setdefault(text, []).append(crate)
    parts = [
        f"{program} is licensed under MIT or Apache-2.0, at your option. It is linked with these crates,\n"
        "whose licences follow, each text once:",
        "\n".join(f"{crate.name} {crate.version}: {crate.licence or 'see its licence below'}" for crate in of_others),
        *more,
    ]
    for text, users in by_text.items():
        names = ", ".join(f"{crate.name} {crate.version}" for crate in users)
        parts.append(f"{LINE}\n{names}\n{LINE}\n\n{text}")
    return "\n\n".join(parts) + "\n"
