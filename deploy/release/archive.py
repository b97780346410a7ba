"""Files of a release as they lie in archives and packages: the same files always make the same bytes."""

import gzip
import io
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Entry:
    """A file of an archive."""

    data: bytes
    mode: int = 0o644


#: By path within the archive, without a slash in front.
Tree = dict[str, Entry]


def folders(tree: Tree) -> list[str]:
    """All folders that the files of a tree lie in, those above first."""
    found = {str(parent) for path in tree for parent in PurePosixPath(path).parents}
    return sorted(found - {"."})


def compressed(data: bytes) -> bytes:
    """By gzip, without a time or a name in its head."""
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=out, mtime=0) as file:
        file.write(data)
    return out.getvalue()


def tar_gz(tree: Tree, within: str, seconds: int) -> bytes:
    """An archive of a tree in a folder: by name, owned by root, all files as old as `seconds` since 1970."""
    out = io.BytesIO()
    with tarfile.open(mode="w", fileobj=out, format=tarfile.PAX_FORMAT) as archive:

        def add(name: str, mode: int, data: bytes | None) -> None:
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = mode, seconds
            info.uname = info.gname = "root"
            if data is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(data)
            archive.addfile(info, None if data is None else io.BytesIO(data))

        add(within, 0o755, None)
        for folder in folders(tree):
            add(f"{within}/{folder}", 0o755, None)
        for path, entry in sorted(tree.items()):
            add(f"{within}/{path}", entry.mode, entry.data)
    return compressed(out.getvalue())


def lay_out(tree: Tree, root: Path, seconds: int) -> None:
    """Writes a tree into a new folder, with modes and times as they are to be, whatever this user's umask is."""
    root.mkdir()
    for folder in folders(tree):
        (root / folder).mkdir()
    for path, entry in tree.items():
        (root / path).write_bytes(entry.data)
        (root / path).chmod(entry.mode)
    for place in [root, *(root / folder for folder in folders(tree))]:
        place.chmod(0o755)
    # Last of all the folders, whose times change with what is in them.
    for path in [*tree, *reversed(folders(tree)), "."]:
        os.utime(root / path, (seconds, seconds))
