"""Identity of what was loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def fingerprint(files: Iterable[Path], *more: str) -> str:
    """blake2b (hex) of the files' names and contents, and of any `more` that shapes the load; order matters."""
    digest = hashlib.blake2b(digest_size=16)
    for path in files:
        digest.update(path.name.encode() + b"\0")
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    for text in more:
        digest.update(b"\1" + text.encode())
    return digest.hexdigest()
