"""Who is on the road: distributions of driving styles by class of road user, from which each agent's is drawn.

`Population.read("ngsim")` is shipped: cars of US-101 and Lankershim Boulevard. `drivesim fit-traffic` makes others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from scipy.special import ndtr
from torch import Tensor

from drivesim import parts
from drivesim.errors import InputError
from drivesim.traffic.fitting.distributions import Distribution, correlation
from drivesim.types import CYCLES, WALKERS, Kind, is_kind
from drivesim.versions import release

from .following import IDM
from .styles import Styles

FORMAT = 1

CLASSES: dict[str, tuple[Kind, ...]] = {
    "car": (Kind.CAR,),
    "truck": (Kind.TRUCK, Kind.BUS, Kind.TRAILER, Kind.CONSTRUCTION),
    "motorcycle": (Kind.MOTORCYCLE,),
    "bicycle": CYCLES,
    "pedestrian": WALKERS,
}
PARAMETERS = {
    "pace": ("normal", ""),
    "headway": ("lognormal", "s"),
    "gap": ("lognormal", "m"),
    "acceleration": ("lognormal", "m/s^2"),
    "braking": ("lognormal", "m/s^2"),
    "lateral": ("lognormal", "m/s^2"),
    "speed": ("normal", "m/s"),
}
"""Family and unit. The order is that of the draws: changing it changes every drawn style."""

FEWEST = 20
"""Tracks below which a parameter of a class is not fitted."""


@dataclass(frozen=True)
class Source:
    """Logs that a population was fitted to."""

    name: str  # of the source
    scenes: int
    tracks: int  # that move, each counted once however many scenes it is in
    licence: str


@dataclass(frozen=True)
class Class:
    """One class of road users: laws by parameter, and correlations by pairs of parameters."""

    tracks: int  # that were looked at
    laws: Mapping[str, Distribution]
    correlations: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def mixing(self) -> np.ndarray:
        """Lower triangle (7, 7) that turns independent normal numbers into those of the Gaussian copula; InputError
        where the correlations contradict each other."""
        order, matrix = list(PARAMETERS), np.eye(len(PARAMETERS))
        for (a, b), value in self.correlations.items():
            matrix[order.index(a), order.index(b)] = matrix[order.index(b), order.index(a)] = value
        try:
            return np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            raise InputError("the correlations contradict each other: their matrix is not positive definite") from None

    def drawn(self, shares: np.ndarray, walks: bool) -> dict[str, np.ndarray]:
        """Parameters of N road users, each (N,), at shares (N, 7) of their laws, columns as in PARAMETERS."""
        values = {key: self.laws[key].quantile(shares[:, k]) for k, key in enumerate(PARAMETERS) if key in self.laws}
        speed = values.pop("speed", None)
        if speed is not None and walks:
            values["pace"] = speed / self.laws["speed"].quantile(0.5)
        return values


@dataclass(frozen=True)
class Population:
    """Styles by class. What no law tells is as `driver` has it; pace and headway then vary by `variation`."""

    classes: Mapping[str, Class] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    driver: IDM = field(default_factory=IDM)
    variation: float = 0.1  # standard deviation over mean, cut off at twice that
    made_by: str = ""

    @staticmethod
    def clones(driver: IDM, variation: float) -> Population:
        """Everybody is `driver` but for a pace and a headway that vary by `variation` (normal, clipped at 2 sigma)."""
        return Population(driver=driver, variation=variation)

    def draw(self, kinds: Tensor, seed: int) -> Styles:
        """A style (A,) for each agent of `kinds` (A,) int64, float32.

        Row i comes from the seed and i alone, whoever else is there. Row 0, the ego, has a planner: it is the plain
        driver. Objects too draw as if no law told of them. The `pace` of cyclists and walkers, whom no limit rules, is
        their speed over the median of their class.
        """
        normal = np.zeros((len(kinds), len(PARAMETERS)))
        for i in range(1, len(kinds)):
            normal[i] = np.random.default_rng([seed, i]).standard_normal(len(PARAMETERS))
        pace, headway = (1 + self.variation * torch.from_numpy(normal[:, :2].clip(-2, 2)).float()).unbind(1)
        own = self.driver
        columns = {
            name: torch.full_like(pace, getattr(own, name)) for name in ("acceleration", "braking", "gap", "lateral")
        }
        columns |= {"pace": pace, "headway": own.headway * headway}
        for name, people in self.classes.items():
            rows = torch.nonzero(is_kind(kinds[1:], CLASSES[name]))[:, 0] + 1
            mixed = (normal[rows.numpy(), None] * people.mixing()).sum(-1)  # row by row: no sum depends on the others
            for key, values in people.drawn(ndtr(mixed), walks=CLASSES[name] in (CYCLES, WALKERS)).items():
                columns[key][rows] = torch.from_numpy(values).float()
        return Styles(**columns)

    @staticmethod
    def fit(
        values: Mapping[str, Sequence[Mapping[str, float]]], sources: Sequence[Source] = (), fewest: int = FEWEST
    ) -> Population:
        """From what the tracks of each class tell, one mapping from parameter to value per track.

        A parameter with fewer than `fewest` tracks is left out, and a correlation with fewer than that in common.
        """
        classes = {}
        for name, tracks in values.items():
            laws = {}
            for parameter, (family, _) in PARAMETERS.items():
                seen = np.array([track[parameter] for track in tracks if parameter in track])
                if len(seen) >= fewest and seen.max() > seen.min() * (1 + 1e-6):
                    laws[parameter] = Distribution.fit(seen, family)
            if laws:
                classes[name] = Class(len(tracks), laws, _correlations(tracks, list(laws), fewest))
        return Population(classes, tuple(sources), made_by=f"drivesim {release()}")

    @staticmethod
    def read(path: str | Path) -> Population:
        """A file, or a shipped one by name; InputError says what in it is wrong."""
        file = Path(path).expanduser()
        if not file.is_file():
            file = parts.CONF / "traffic" / f"{path}.yaml"
        if not file.is_file():
            shipped = parts.among(str(path), parts.choices("traffic"))
            raise InputError(f"{path}: neither a file that `drivesim fit-traffic` wrote nor a shipped one; {shipped}")
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
        return _population(content, str(path))

    def write(self, path: str | Path) -> None:
        """As yaml that `read` reads; InputError where nothing can be written."""
        content = {
            "format": FORMAT,
            "made_by": self.made_by,
            "sources": [vars(source) for source in self.sources],
            "classes": {
                name: {
                    "tracks": own.tracks,
                    "parameters": {key: _plainly(law) for key, law in own.laws.items()},
                    "correlations": [[*pair, round(value, 4)] for pair, value in own.correlations.items()],
                }
                for name, own in self.classes.items()
            },
        }
        try:
            text = yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True)
            Path(path).expanduser().write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}; choose another place") from None


def _plainly(law: Distribution) -> dict[str, Any]:
    return {key: float(f"{x:.4g}") if isinstance(x, float) else x for key, x in vars(law).items()}


def _correlations(tracks: Sequence[Mapping[str, float]], names: list[str], fewest: int) -> dict[tuple[str, str], float]:
    """Of all pairs that enough tracks tell both of; weakened together where they contradict each other.

    The speed is left out: it is the pace times a limit.
    """
    found, names = {}, [name for name in names if name != "speed"]
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            both = np.array([(track[a], track[b]) for track in tracks if a in track and b in track])
            if len(both) >= fewest and (value := correlation(*both.T)):
                found[a, b] = float(value)
    while found:
        matrix = np.eye(len(names))
        for (a, b), value in found.items():
            matrix[names.index(a), names.index(b)] = matrix[names.index(b), names.index(a)] = value
        if np.linalg.eigvalsh(matrix)[0] > 0.05:
            break
        found = {pair: 0.9 * value for pair, value in found.items()}
    return found


def _population(content: Any, where: str) -> Population:
    told = _mapping(content, where, {"format", "made_by", "sources", "classes"})
    if told.get("format") != FORMAT:
        raise InputError(f"{where}: format {told.get('format')} is not known, {FORMAT} is; fit it again")
    listed = told.get("sources") or []
    if not isinstance(listed, list):
        raise InputError(f"{where}: sources: a list is expected")
    sources = tuple(_record(Source, x, f"{where}: sources") for x in listed)
    classes = {}
    for name, node in _mapping(told.get("classes"), f"{where}: classes", set(CLASSES)).items():
        at = f"{where}: {name}"
        own = _mapping(node, at, {"tracks", "parameters", "correlations"})
        laws = _mapping(own.get("parameters"), f"{at}.parameters", set(PARAMETERS))
        laws = {key: _record(Distribution, law, f"{at}.{key}") for key, law in laws.items()}
        tracks = own.get("tracks", 0)
        if not isinstance(tracks, int) or isinstance(tracks, bool) or tracks < 0:
            raise InputError(f"{at}.tracks: a count is expected")
        classes[name] = Class(tracks, laws, _pairs(own.get("correlations") or [], laws, f"{at}.correlations"))
        try:
            classes[name].mixing()
        except InputError as error:
            raise InputError(f"{at}: {error}") from None
    return Population(classes, sources, made_by=str(told.get("made_by", "")))


def _mapping(node: Any, where: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(node, dict):
        raise InputError(f"{where}: keys with values are expected; `drivesim fit-traffic` writes such a file")
    extra = [str(key) for key in node if key not in known]
    if extra:
        raise InputError(f"{where}: {extra[0]} is not known; {parts.among(extra[0], sorted(known))}")
    return node


def _record(kind: Any, node: Any, where: str) -> Any:
    """A dataclass of numbers and words from keys with values."""
    types = {"int": int, "float": (int, float), "str": str}
    hints = {key: str(hint) for key, hint in kind.__annotations__.items()}
    given = _mapping(node, where, set(hints))
    for key, value in given.items():
        if not isinstance(value, types[hints[key]]) or isinstance(value, bool):
            raise InputError(f"{where}.{key}: {value!r} is not {'a word' if hints[key] == 'str' else 'a number'}")
    try:
        return kind(**{key: float(x) if hints[key] == "float" else x for key, x in given.items()})
    except TypeError:
        missing = next(key for key in hints if key not in given)
        raise InputError(f"{where}: {missing} is missing") from None
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _pairs(node: Any, laws: Mapping[str, Distribution], where: str) -> dict[tuple[str, str], float]:
    found = {}
    for entry in node if isinstance(node, list) else [node]:
        good = isinstance(entry, list) and len(entry) == 3 and all(x in laws for x in entry[:2])
        if not good or entry[0] == entry[1] or not isinstance(entry[2], int | float) or not -1 < entry[2] < 1:
            raise InputError(f"{where}: {entry}: two of its parameters and a number within (-1, 1) are expected")
        found[entry[0], entry[1]] = float(entry[2])
    return found
