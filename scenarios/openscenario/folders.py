"""Which scenarios lie under a root, by a look at the beginnings of files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from drivesim import files
from drivesim.errors import InputError

ENDINGS = (".xosc", ".xosc.gz")
HEAD = 65_536
"""Bytes of a file that are looked at: some begin with pages of comments."""

_ROOT = re.compile(rb"<(?:\w+:)?OpenS(?:CENARIO|cenario)[\s>]")
_NO_STORY = re.compile(rb"<(Catalog|ParameterValueDistribution)[\s/>]")
_STORY = re.compile(rb"<(ParameterDeclarations|CatalogLocations|RoadNetwork|Entities|Storyboard)[\s/>]")
LOOKS, ENTRIES = 40, 20_000
"""Files that `recognizes` opens, and folder entries that it looks at, before it says no."""


@dataclass(frozen=True)
class Entry:
    path: Path
    reason: str = ""  # why it cannot be driven, as far as a look tells


def looks_like(root: Path) -> bool:
    try:
        candidates = [root] if root.is_file() else _walk(root, ENTRIES, depth=4)
        return any(_kind(path) == "story" for path, _ in zip(candidates, range(LOOKS), strict=False))
    except OSError:
        return False


def scan(root: Path) -> dict[str, Entry]:
    """All scenarios by id: the path below the root, folders joined with `__`. Catalogues are none."""
    root = root.expanduser()
    if not root.exists():
        raise InputError(f"{root}: no such folder or file; scenarios.root is an .xosc file or a folder of them")
    entries: dict[str, Entry] = {}
    for path in [root] if root.is_file() else _walk(root, 10_000_000, depth=12):
        kind = _kind(path)
        if kind == "story" or (path == root and kind != "Catalog" and path.name.lower().endswith(ENDINGS)):
            entries[_id(path, root, entries)] = Entry(path)
        elif kind == "ParameterValueDistribution":
            entries[_id(path, root, entries)] = Entry(path, "distributions of parameters hold no storyboard")
    if not entries:
        raise InputError(f"{root}: no OpenSCENARIO file (.xosc with a storyboard) in it")
    return entries


def find(root: Path, id: str) -> Entry:
    root = root.expanduser()
    if root.is_dir() and re.fullmatch(r"[\w+=-]{1,200}", id) and "__" not in id:  # the usual case, without a scan
        path = root / f"{id}.xosc"
        if path.is_file() and _kind(path) == "story":
            return Entry(path)
    entries = scan(root)
    if id not in entries:
        raise InputError(f"no OpenSCENARIO scenario '{id[:80]}' under {root}; there are {', '.join(list(entries)[:4])}")
    return entries[id]


def _kind(path: Path) -> str:
    """story, Catalog, ParameterValueDistribution, or "" for what is no OpenSCENARIO file."""
    if not path.name.lower().endswith(ENDINGS):
        return ""
    head = files.first_bytes(path, HEAD)
    root = _ROOT.search(head)
    if root is None:
        return ""
    other, story = _NO_STORY.search(head, root.end()), _STORY.search(head, root.end())
    if other is not None and (story is None or other.start() < story.start()):
        return other[1].decode()
    return "story"


def _walk(root: Path, most: int, depth: int) -> Iterator[Path]:
    seen = 0
    for folder, folders, names in os.walk(root):
        folders.sort()
        if len(Path(folder).relative_to(root).parts) >= depth:
            folders.clear()
        for name in sorted(names):
            seen += 1
            if seen > most:
                return
            if name.lower().endswith(ENDINGS):
                yield Path(folder) / name


def _id(path: Path, root: Path, taken: dict[str, Entry]) -> str:
    parts = [path.name] if path == root else list(path.relative_to(root).parts)
    parts[-1] = re.sub(r"\.xosc(\.gz)?$", "", parts[-1], flags=re.IGNORECASE)
    name = re.sub(r"[^\w.+=-]+", "_", "__".join(parts)).replace("..", "_").strip(".")[:160] or "scenario"
    free, count = name, 1
    while free in taken:
        count += 1
        free = f"{name}~{count}"
    return free
