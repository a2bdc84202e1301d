"""Closed-loop simulation for driving planners: a logged drive becomes a world that answers back.

import drivesim
scenario = drivesim.load("synthetic")
rollout = drivesim.simulate(scenario, drivesim.planner("idm"))
for score in drivesim.score(rollout, scenario):
    print(score.name, score.value)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .simulator import simulate as simulate
    from .types import Rollout, Scenario, Score

__version__ = "0.1.0"


def load(source: str | None = None, root: str | None = None, id: str | None = None, **options: Any) -> Scenario:
    """Load one scenario of a source ("synthetic", "pandaset", ...), the first drivable one if no `id` is given.

    `root` is the folder of the log, or a file where a file alone is one; without a `source` the one that recognises
    it is taken, as with "auto": `drivesim.load(root="/data/nuscenes")`. `options` are those of the source. Raises
    errors.InputError in plain words.
    """
    from .catalog import needs_root, part_of
    from .errors import InputError, NotDrivable
    from .parts import build

    if source not in (None, "auto") and root is None and "root" not in options and needs_root(source):
        raise InputError(f'root is missing: drivesim.load("{source}", DIR)')
    reader = build(part_of(source, root, **options))
    if id is not None:
        return reader.load(id)
    reasons = []
    for candidate in reader.ids():
        try:
            return reader.load(candidate)
        except NotDrivable as reason:
            reasons.append(f"{candidate}: {str(reason).removeprefix(f'{candidate}: ')}")
    raise NotDrivable("nothing to drive: " + "; ".join(reasons))


def planner(name: str, **options: Any) -> Any:
    """A planner by its yaml's name, with options of its dataclass."""
    from .config import part

    return part("planner", name, **options)


def score(rollout: Rollout, scenario: Scenario, metrics: Sequence[str] | None = None) -> list[Score]:
    """Scores of one rollout; the metrics of the command line's default unless others are named."""
    from . import drive, parts
    from .manual import defaults

    wanted = [parts.check("metrics", parts.read("metrics", name)) for name in metrics or defaults()["metrics"]]
    return [drive.score(part, rollout, scenario) for part in wanted]


def __getattr__(name: str) -> Any:
    if name == "simulate":  # torch takes seconds to import: only who drives pays for it
        from .simulator import simulate

        return simulate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
