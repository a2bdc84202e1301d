"""NeuroNCAP's scenario files (neuro-ncap 00a3574): which actors stand or drive where, and what is drawn at random."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivesim.errors import InputError

LARGEST = 1_000_000
"""Of a file [bytes]: NeuroNCAP's have about a thousand."""
FRAME = 0.5
"""Between the key frames of nuScenes, by which NeuroNCAP counts [s]."""


@dataclass(frozen=True)
class Jitter:
    """What is drawn per run: an offset [m] along and across `angle` [rad] and a turn [rad], evenly within +-, or
    normal with that deviation. Without an angle there is no offset (as in NeuroNCAP)."""

    longitudinal: float | None = None
    lateral: float | None = None
    angle: float | None = None
    yaw: float | None = None
    uniform: bool = True


@dataclass(frozen=True)
class Actor:
    """A road user of the log that is moved elsewhere (`override`) or keeps its own way (`optimized`)."""

    ids: tuple[str, ...]  # one is drawn if there are several
    drawn: bool  # whether the file gives a list, even of one
    override: bool
    times: tuple[float, ...] = ()  # [s] since the log's first frame
    positions: tuple[tuple[float, float, float], ...] = ()  # [m] in the data set's coordinates
    yaw: float = 0.0  # [rad] while it stands
    flipped: tuple[str, ...] = ()  # ids that are turned round
    size: tuple[float, float, float] | None = None  # width, length, height [m]; None: as logged
    target: bool = False
    group: str = ""  # of actors of one group only the first is there
    jitter: Jitter | None = None


@dataclass(frozen=True)
class Spec:
    """A test."""

    actors: tuple[Actor, ...]
    start_frame: int = 0
    priming_steps: int = 1
    time_step: float = 0.5  # [s] of a priming step, a key frame's
    duration: float = 20.0  # [s]
    dim_jitter: float = 0.0  # share of the sizes
    start_jitter: int = 0  # key frames
    unknown: tuple[str, ...] = field(default=())  # keys that mean nothing to us


def read(path: Path) -> Spec:
    """The test in a yaml file; InputError says what is wrong with it."""
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: larger than {LARGEST} bytes; a NeuroNCAP scenario is expected")
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def parse(text: str, where: str) -> Spec:
    """The test in a yaml text. Every scalar is read as text and made a number where one belongs: an id such as 0103
    or 12e5 would else become one."""
    import yaml

    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.BaseLoader)):
            raise InputError(f"{where}: aliases (*name) are not read; write the values out")
        node = yaml.load(text, yaml.BaseLoader)  # noqa: S506 (text alone; nothing is built)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{where}: no yaml ({str(error).splitlines()[0]})") from None
    if not isinstance(node, Mapping) or not isinstance(node.get("actors"), list):
        raise InputError(f"{where}: a NeuroNCAP scenario with `general` and a list of `actors` is expected")
    general = _Node(node.get("general") or {}, f"{where}: general")
    values = {
        "start_frame": general.integer("start-frame", 0), "priming_steps": general.integer("priming-steps", 1),
        "time_step": general.number("time-step", 0.5), "duration": general.number("duration", 20.0),
        "dim_jitter": general.number("dim-jitter", 0.0), "start_jitter": general.integer("start-jitter", 0),
    }  # fmt: skip
    for key, value in values.items():
        if value < 0 or (key in ("time_step", "duration") and value == 0):
            raise InputError(f"{where}: general: {key.replace('_', '-')}: {value} is out of range")
    for key in ("start-pose", "start-velo"):
        if general.text(key, "original") != "original":
            raise InputError(f"{where}: general: {key}: original is expected (NeuroNCAP knows no other yet)")
    general.text("smooth-actors"), general.text("actor-framerate")  # of NeuroNCAP's sampling: we interpolate
    nodes = [_Node(actor, f"{where}: actor {i + 1}") for i, actor in enumerate(node["actors"])]
    actors = tuple(_actor(actor) for actor in nodes)
    unknown = tuple(f"{n.where}: {key}" for n in (general, *nodes) for key in n.left)
    return Spec(actors, **values, unknown=unknown)


def _actor(node: _Node) -> Actor:
    mode, listed = node.text("mode"), node.texts("uuids")
    ids = listed or (node.text("uuid"),)
    if not all(ids):
        raise InputError(f"{node.where}: uuid or uuids of logged tracks are expected")
    if mode not in ("override", "optimized"):
        raise InputError(f"{node.where}: mode: {mode or 'nothing'} is given, override or optimized is expected")
    times, positions = node.numbers("times"), node.points("positions")
    if mode == "override":
        if len(times) < 2 or len(times) != len(positions):
            raise InputError(f"{node.where}: as many times as positions are expected, two or more")
        if any(b <= a for a, b in zip(times, times[1:], strict=False)):
            raise InputError(f"{node.where}: times: increasing ones are expected")
    dims = node.numbers("dims")
    if dims and (len(dims) != 3 or min(dims) <= 0):
        raise InputError(f"{node.where}: dims: width, length and height in metres are expected")
    return Actor(
        ids, bool(listed), mode == "override", times, positions, node.number("initial-yaw", 0.0),
        node.texts("flip-uuids"), dims or None, node.flag("is-target-actor", False), node.text("exclusive-group"),
        _jitter(node.inner("jitter")),
    )  # fmt: skip


def _jitter(node: _Node | None) -> Jitter | None:
    if node is None:
        return None
    lengths = {key: node.number(key, None) for key in ("longitudinal", "lateral")}
    return Jitter(
        **lengths, angle=node.number("long-lat-angle", None), yaw=node.number("yaw-jitter", None),
        uniform=node.flag("uniform", True),
    )  # fmt: skip


class _Node:
    """A mapping of texts. Keys may be written with - or _."""

    def __init__(self, values: Any, where: str) -> None:
        if not isinstance(values, Mapping):
            raise InputError(f"{where}: key: value pairs are expected")
        self.where = where
        self._values = {str(key).replace("_", "-"): value for key, value in values.items()}
        self._asked: set[str] = set()

    @property
    def left(self) -> list[str]:
        """Keys that nobody asked for."""
        return [key for key in self._values if key not in self._asked]

    def text(self, key: str, default: str = "") -> str:
        self._asked.add(key)
        value = self._values.get(key, default)
        if not isinstance(value, str):
            raise InputError(f"{self.where}: {key}: a text is expected")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        self._asked.add(key)
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise InputError(f"{self.where}: {key}: a list of texts is expected")
        return tuple(value)

    def number(self, key: str, default: Any) -> Any:
        text = self.text(key, "")
        return default if text == "" else self._float(key, text)

    def integer(self, key: str, default: int) -> int:
        value = self.number(key, default)
        if value != int(value):
            raise InputError(f"{self.where}: {key}: a whole number is expected")
        return int(value)

    def numbers(self, key: str) -> tuple[float, ...]:
        return tuple(self._float(key, text) for text in self.texts(key))

    def points(self, key: str) -> tuple[tuple[float, float, float], ...]:
        self._asked.add(key)
        rows = self._values.get(key, [])
        if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 3 for row in rows):
            raise InputError(f"{self.where}: {key}: a list of [x, y, z] is expected")
        return tuple(tuple(self._float(key, item) for item in row) for row in rows)  # type: ignore[misc]

    def flag(self, key: str, default: bool) -> bool:
        text = self.text(key, str(default)).lower()
        if text not in ("true", "false", "yes", "no", "on", "off"):
            raise InputError(f"{self.where}: {key}: true or false is expected")
        return text in ("true", "yes", "on")

    def inner(self, key: str) -> _Node | None:
        self._asked.add(key)
        return _Node(self._values[key], f"{self.where}: {key}") if self._values.get(key) else None

    def _float(self, key: str, text: Any) -> float:
        try:
            value = float(text)
        except (TypeError, ValueError):
            raise InputError(f"{self.where}: {key}: {text} is no number") from None
        if not math.isfinite(value):
            raise InputError(f"{self.where}: {key}: {text} is not finite")
        return value
