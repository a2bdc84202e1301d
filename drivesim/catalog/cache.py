"""Entries of scenes that were described before, so that filters over thousands of scenes load nothing twice.

One small JSON file per scene in `$DRIVESIM_CACHE/catalog`, else in `~/.cache/drivesim/catalog` (XDG). Its name is a
hash of the source with its options, the scene's fingerprint and the versions of the code: what has changed is not
found again. A file that cannot be read or written is as good as none.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path

from ..errors import InputError
from ..files import cache_folder
from ..parts import Part
from ..storage import canonical
from ..versions import versions
from .entry import Entry


class Cache:
    """Entries of one source."""

    def __init__(self, part: Part) -> None:
        self._folder, self._part = cache_folder("catalog"), canonical(part)
        self._versions = _versions(self._part)

    def path(self, id: str, fingerprint: str) -> Path | None:
        if self._folder is None:
            return None
        told = "\0".join((self._part, id, fingerprint, self._versions))
        key = hashlib.blake2b(told.encode(errors="surrogatepass"), digest_size=16).hexdigest()
        return self._folder / key[:2] / f"{key[2:]}.json"

    def find(self, id: str, fingerprint: str) -> Entry | None:
        path = self.path(id, fingerprint)
        with suppress(OSError, ValueError, TypeError, RecursionError):
            entry = Entry.read(json.loads(path.read_bytes())) if path else None
            return entry if entry and entry.id == id else None
        return None

    def keep(self, entry: Entry, fingerprint: str) -> None:
        path = self.path(entry.id, fingerprint)
        if path is None:
            return
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            mine = path.with_name(f"{uuid.uuid4().hex}.tmp")
            mine.write_text(json.dumps(entry.plain()))
            mine.replace(path)


@cache
def _versions(part: str) -> str:
    return canonical(versions([json.loads(part)]))


def fingerprint(source: object, id: str) -> str | None:
    """Of a scene; None where the source cannot tell, which loading it will explain."""
    with suppress(InputError):
        return source.fingerprint(id)  # type: ignore[attr-defined]
    return None
