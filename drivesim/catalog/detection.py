"""Which source reads a folder or a file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from .. import parts
from ..errors import InputError
from ..parts import Part

_LOOKED_AT = 40  # folders around and in a root that a hint is looked for in


def detect(root: str | Path) -> list[str]:
    """Names of the sources that recognise `root`, sorted; several where a folder holds several formats.

    Raises InputError if there is nothing at `root`, or nothing that any source recognises: it names a folder nearby
    that one does.
    """
    path = Path(root).expanduser()
    if not path.exists():
        raise InputError(f"{root}: no such file or folder")
    found = _recognizing(path)
    if found:
        return found
    formats = ", ".join(name for name in parts.choices("scenarios") if "root" in _options(name))
    for near in islice(_nearby(path), _LOOKED_AT):
        names = _recognizing(near)
        if names:
            raise InputError(f"{root}: no scenarios are recognised here, but {near} is {names[0]}; give that")
    raise InputError(f"{root}: no scenarios are recognised here; looked for {formats}")


def part_of(name: str | None = None, root: str | Path | None = None, **options: Any) -> Part:
    """The checked part of a source; without a `name` the one that recognises `root`.

    Raises InputError if none or several do, or an option does not fit.
    """
    if name is None:
        if root is None:
            raise InputError("a source or its root is expected")
        names = detect(root)
        if len(names) > 1:
            raise InputError(f"{root}: {' and '.join(names)} are recognised here; name the one to read")
        name = names[0]
    given = {} if root is None else {"root": str(root)}
    return parts.check("scenarios", {**parts.read("scenarios", name), **given, **options})


def _recognizing(path: Path) -> list[str]:
    found = []
    for name in parts.choices("scenarios"):
        recognizes = getattr(_class(name), "recognizes", None)
        try:
            if recognizes and recognizes(path):
                found.append(name)
        except Exception:  # a look at names of a foreign folder: whoever fails at it does not recognise it
            continue
    return found


def _class(name: str) -> Any:
    return parts.locate(str(parts.read("scenarios", name)["_target_"]), f"scenarios={name}")


def _options(name: str) -> dict:
    return parts.signature(_class(name))


def _nearby(path: Path) -> Iterator[Path]:
    """The folder around it, then those within, two levels deep."""
    yield path.resolve().parent
    folders = [path] if path.is_dir() else []
    for _ in range(2):
        inner = []
        for folder in folders:
            try:
                inner += sorted(entry for entry in islice(folder.iterdir(), 1000) if entry.is_dir())
            except OSError:  # not ours to read
                continue
        yield from inner
        folders = inner
