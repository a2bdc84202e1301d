"""Which scenarios lie under a root: benchmark ids and planning problems, without parsing the files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from drivesim import files
from drivesim.errors import InputError

ENDINGS = (".xml", ".xml.gz")
_HEADER = re.compile(rb"<commonRoad[\s>][^>]*>?")
_BENCHMARK = re.compile(rb"""benchmarkID\s*=\s*["']([^"']*)["']""")
_TASK = re.compile(rb"""<planningProblem\b[^>]*\bid\s*=\s*["']\s*([^"']*?)\s*["']""")
LOOKS = 40
"""Files that `recognizes` opens before it says no."""
ENTRIES = 20_000
"""Folder entries that it looks at."""


@dataclass(frozen=True)
class Entry:
    path: Path
    task: str  # id of the planning problem; "" for a file without any
    reason: str = ""  # why it cannot be driven, as far as a look tells


def looks_like(root: Path) -> bool:
    try:
        if root.is_file():
            return _is_commonroad(root)
        candidates = files.walk(root, ENDINGS, depth=6, most=ENTRIES)
        return any(_is_commonroad(path) for path, _ in zip(candidates, range(LOOKS), strict=False))
    except OSError:
        return False


def _is_commonroad(path: Path) -> bool:
    return path.name.lower().endswith(ENDINGS) and bool(_HEADER.search(files.first_bytes(path, 16384)))


def scan(root: Path) -> dict[str, Entry]:
    """All scenarios by id; raises InputError where there is none."""
    root = root.expanduser()
    if not root.exists():
        raise InputError(f"{root}: no such folder or file; scenarios.root is a CommonRoad file or a folder of them")
    paths = {root: None} if root.is_file() else dict.fromkeys(files.walk(root, ENDINGS))
    named: dict[str, list[tuple[Path, tuple[str, ...]]]] = {}
    for path in paths:
        unzipped = path.with_suffix("") if path.suffix.lower() == ".gz" else None
        if unzipped not in paths and (root.is_file() or _is_commonroad(path)):
            benchmark, tasks = _look(path, path.stat().st_mtime_ns, path.stat().st_size)
            if benchmark:
                named.setdefault(benchmark, []).append((path, tasks))
    entries: dict[str, Entry] = {}
    for benchmark, found in named.items():
        for path, tasks in found:
            # the same benchmark in several files: their places tell them apart
            where = "" if len(found) == 1 else "@" + _clean("-".join(path.relative_to(root).parts))
            entries.update(_entries(benchmark + where, path, tasks))
    if not entries:
        raise InputError(f"{root}: no CommonRoad file (.xml or .xml.gz with a commonRoad root) in it")
    return entries


def _entries(name: str, path: Path, tasks: tuple[str, ...]) -> dict[str, Entry]:
    if not tasks:
        return {name: Entry(path, "", "it has no planning problem, so nobody to drive")}
    if len(tasks) == 1:
        return {name: Entry(path, tasks[0])}
    return {f"{name}-{_clean(task)}": Entry(path, task) for task in tasks}


def find(root: Path, id: str) -> Entry:
    """The scenario of an id: in the file that is named like it, else wherever `scan` finds it."""
    root = root.expanduser()
    if root.is_dir() and id == _clean(id):
        for stem in (id, id.rpartition("-")[0]):
            for path in (root / f"{stem}{ending}" for ending in ENDINGS if stem):
                if path.is_file():
                    benchmark, tasks = _look(path, path.stat().st_mtime_ns, path.stat().st_size)
                    found = _entries(benchmark, path, tasks) if benchmark else {}
                    if id in found:
                        return found[id]
    entries = scan(root)
    if id not in entries:
        some = ", ".join(sorted(entries)[:4])
        raise InputError(f"no CommonRoad scenario '{id[:80]}' under {root}; there are {some} ...")
    return entries[id]


@lru_cache(maxsize=100_000)
def _look(path: Path, changed: int, size: int) -> tuple[str, tuple[str, ...]]:
    """Benchmark id, or the file's name for want of one, and the ids of the planning problems; ("", ()) for others."""
    try:
        data = files.read_bytes(path)
    except InputError:  # `load` will say what is wrong with it
        return _clean(path.name.partition(".")[0]), ("",)
    header = _HEADER.search(data[:65536])
    if not header:
        return "", ()
    stated = _BENCHMARK.search(header.group())
    name = stated.group(1).decode("utf-8", "replace").strip() if stated else ""
    name = name if len(name) > 2 else path.name.partition(".")[0]
    tasks = dict.fromkeys(m.decode("utf-8", "replace") for m in _TASK.findall(data))
    whole = b"</commonRoad" in data[-4096:] or header.group().endswith(b"/>")
    return _clean(name), tuple(tasks) if tasks or whole else ("",)  # cut short: `load` will say so


def _clean(name: str) -> str:
    """A name that is safe as a file's name."""
    return re.sub(r"[^A-Za-z0-9_.:+=-]+", "_", name).replace("..", "_").strip(".")[:160] or "scenario"
