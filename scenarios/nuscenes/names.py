"""Names of scenes: unique, and safe as the names of files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from drivesim.errors import InputError

_SAFE = re.compile(r"(?!\.)[\w.+-]{1,128}")


def check_names(path: Path, names: Sequence[str]) -> None:
    if not names:
        raise InputError(f"{path}: lists no scene")
    for name in names:
        if not _SAFE.fullmatch(name):
            raise InputError(f"{path}: {name!r} is no name of a scene")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: two scenes are named {twice}; download it again")
