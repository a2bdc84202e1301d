"""Arguments that several sub-commands share: which source, which of its scenarios."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError


def read(options: Sequence[str]) -> dict[str, Any]:
    """`key=value` words as a dictionary."""
    import yaml

    for option in options:
        if "=" not in option:
            raise InputError(f"--arg {option}: key=value is expected")
    try:
        return {key: yaml.safe_load(value) for key, _, value in (option.partition("=") for option in options)}
    except yaml.YAMLError as error:
        raise InputError(f"--arg: {error}") from None


def add_source(parser: argparse.ArgumentParser) -> None:
    """Options of a source and of what is wrapped around it."""
    parser.add_argument("--arg", action="append", default=[], dest="options", metavar="KEY=VALUE",
                        help="a source's option")  # fmt: skip
    parser.add_argument("--window", type=float, metavar="SECONDS", help="cut every scene into stretches this long")
    parser.add_argument("--stride", type=float, metavar="SECONDS", help="a stretch begins this often (the window)")
    parser.add_argument("--ego", metavar="TRACK", help="drive as this agent of the log")


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Which of the source's scenes; see `drivesim.catalog.Filter`."""
    parser.add_argument("--tag", action="append", metavar="TAG", help="only scenes with it; `--tag ?` lists all tags")
    parser.add_argument("--has", "--with", action="append", metavar="WHAT",
                        help="only scenes with pedestrian, bicycle, photos, lights, ...")  # fmt: skip
    for name in ("min-agents", "max-agents"):
        parser.add_argument(f"--{name}", type=int, metavar="N", help="beside the ego")
    for name in ("min-seconds", "max-seconds"):
        parser.add_argument(f"--{name}", type=float, metavar="S")
    parser.add_argument("--map", metavar="NAME", help="only scenes of this city or map")
    parser.add_argument("--near", metavar="LAT,LON[,M]", help="only scenes this close (1000 m)")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="stop after N scenes that pass")


def filter_of(values: dict[str, Any]) -> Any:
    """The filter that those arguments ask for."""
    from ..catalog import Filter

    return Filter.read({**values, "near": _near(values.get("near"))}, "--")


def _near(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise InputError(f"--near {text}: LAT,LON or LAT,LON,METRES is expected") from None


Section = tuple[str, str, Any]
"""Name of a source, the folder or file it reads ("" for one without), and its checked part."""


def sources(
    words: Sequence[str], options: Sequence[str] = (), example: str = "drivesim scenarios {name} {root}"
) -> tuple[list[Section], list[str]]:
    """The sections that `NAME [ROOT]` or `ROOT` asks for, and the words that are left.

    Several where a root holds several formats. The first word is a source's name if there is such a source that takes
    no root or is followed by one, else a folder or file. `example` is how to write the command.
    """
    from .. import parts
    from ..catalog import detect, needs_root, part_of, takes_root

    first, rest = words[0], list(words[1:])
    if first == "auto" and rest:
        first, rest = rest[0], rest[1:]
    if not _is_source(first) or (not rest and Path(first).exists() and takes_root(first)):
        if not Path(first).expanduser().exists():
            names = parts.choices("scenarios")
            raise InputError(f"{first}: neither a folder or file nor a source; {parts.among(first, names)}")
        return [(name, str(at), part_of(name, at, **read(options))) for name, at in detect(first)], rest
    root = rest.pop(0) if rest and takes_root(first) else None
    if root is None and "root" not in read(options) and needs_root(first):
        raise InputError(f"root is missing: {example.format(name=first, root='DIR')}")
    return [(first, root or "", part_of(first, root, **read(options)))], rest


def _is_source(word: str) -> bool:
    from .. import parts

    return word in parts.choices("scenarios") or (":" in word and not Path(word).exists())
