"""Which source reads a folder or a file."""

from __future__ import annotations

from inspect import Parameter
from itertools import islice
from pathlib import Path
from typing import Any

from .. import parts
from ..errors import InputError
from ..parts import Part

_LOOKED_AT = 40  # folders in a root that may make it a collection, or that a hint is looked for in
_LISTED = 1000  # entries of a folder that are looked at by name

Found = tuple[str, Path]
"""Name of a source and the folder or file to give it as `root`."""


def detect(root: str | Path) -> list[Found]:
    """Sources that read `root`, each with the folder to give it, sorted.

    Mostly that is `root` itself. Where sub-folders hold formats that do not recognise `root`, it is a collection: every
    sub-folder then stands for itself, and `root` only for what lies in it beside them. Raises InputError if there is
    nothing at `root`, or nothing that any source recognises: it names a folder in it that one does, or the folder
    around it that it is a part of.
    """
    path = Path(root).expanduser()
    if not path.exists():
        raise InputError(f"{root}: no such file or folder")
    found = _pairs(path)
    if found:
        return found
    formats = ", ".join(name for name in parts.choices("scenarios") if "root" in _options(name))
    near = _nearby(path)
    if near:
        raise InputError(f"{root}: no scenarios are recognised here, but {near[1]} is {near[0]}; give that")
    raise InputError(f"{root}: no scenarios are recognised here; looked for {formats}")


def detect_one(root: str | Path, told: str) -> Found:
    """The only source that reads `root`, with the folder to give it. Where there are several the InputError says what
    to write instead: `told` with `{name}` and `{root}`.
    """
    found = detect(root)
    if len(found) > 1:
        listed = ", ".join(f"{name} in {folder}" for name, folder in found)
        told = told.format(name=found[0][0], root=found[0][1])
        raise InputError(f"{root}: several formats are here, {listed}; choose one: {told}")
    return found[0]


def part_of(name: str | None = None, root: str | Path | None = None, **options: Any) -> Part:
    """The checked part of a source; without a `name`, or with "auto", the one that recognises `root`.

    Raises InputError if none or several do, or an option does not fit.
    """
    if name in (None, "auto"):
        if root is None:
            raise InputError("a source or its root is expected")
        name, root = detect_one(root, 'drivesim.load("{name}", "{root}")')
    given = {} if root is None else {"root": str(root)}
    return parts.check("scenarios", {**parts.read("scenarios", name), **given, **options})


def takes_root(name: str) -> bool:
    """Whether a source is told where its logs lie."""
    return "root" in _options(name)


def needs_root(name: str) -> bool:
    """Whether a source can do nothing without being told where its logs lie."""
    return takes_root(name) and _options(name)["root"][1] is Parameter.empty


def _pairs(path: Path) -> list[Found]:
    here = _recognizing(path)
    inner = _inner(path)
    strangers = any(name not in here for names in inner.values() for name in names)
    if not strangers:
        return [(name, path) for name in here]
    loose = {name for name in here if not any(name in names for names in inner.values()) or _loose(path, name)}
    pairs = [(name, path) for name in loose]
    pairs += [(name, folder) for folder, names in inner.items() for name in names if name not in loose]
    return sorted(pairs)


def _inner(path: Path) -> dict[Path, list[str]]:
    """Sources by immediate sub-folder, but for those of a root with many: it is one big log, or a list of them."""
    folders = _folders(path)
    return {folder: _recognizing(folder) for folder in folders} if len(folders) <= _LOOKED_AT else {}


def _loose(path: Path, name: str) -> bool:
    """Whether scenarios of a format lie directly in a folder, as files."""
    files = (entry for entry in islice(path.iterdir(), _LISTED) if entry.is_file())
    return any(_recognizes(name, file) for file in islice(files, _LOOKED_AT))


def _recognizing(path: Path) -> list[str]:
    return [name for name in parts.choices("scenarios") if _recognizes(name, path)]


def _recognizes(name: str, path: Path) -> bool:
    recognizes = getattr(_class(name), "recognizes", None)
    try:
        return bool(recognizes and recognizes(path))
    except Exception:  # a look at names of a foreign folder: whoever fails at it does not recognise it
        return False


def _class(name: str) -> Any:
    return parts.locate(str(parts.read("scenarios", name)["_target_"]), f"scenarios={name}")


def _options(name: str) -> dict:
    return parts.signature(_class(name))


def _nearby(path: Path) -> Found | None:
    """A folder two levels down that some source reads, else the folder around `path` if that is one log or data set
    (and no collection, of which `path` may be anything).
    """
    deeper = (inner for folder in _folders(path)[:_LOOKED_AT] for inner in (folder, *_folders(folder)))
    for folder in islice(deeper, _LOOKED_AT):
        names = _recognizing(folder)
        if names:
            return names[0], folder
    around = path.resolve().parent
    pairs = _pairs(around)
    return pairs[0] if [folder for _, folder in pairs] == [around] else None


def _folders(path: Path) -> list[Path]:
    """Immediate sub-folders but hidden ones, sorted."""
    try:
        return sorted(e for e in islice(path.iterdir(), _LISTED) if e.is_dir() and not e.name.startswith("."))
    except OSError:  # a file, or not ours to read
        return []
