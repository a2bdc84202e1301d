"""What happens in a drive, named the same way for every format: computed from tracks, map and lights alone.

Situations are the recorded ego's. Names follow nuPlan's scenario types where one fits (Karnchanachari et al. 2024,
table of scenario types); each definition is one short function with its thresholds and their source beside it.
Weather and light of day are no tags: no track tells them.

for situation in drivesim.tags.situations(scenario):
    print(situation.name, situation.first, situation.last, situation.value, situation.unit)
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import InputError
from ..parts import among
from ..types import Scenario
from .crossings import crossing_pedestrian, stop_sign, unprotected_turn, waiting_at_light
from .manoeuvres import hard_braking, high_speed, intersection, lane_change, stationary, turns
from .scene import Recording, Situation
from .traffic import construction, cut_in, dense_traffic, following, near_miss, stopped_lead

__all__ = ["NAMES", "Situation", "named", "situations", "tags"]

NAMES = {
    "turn_left": "the ego turns left by 30 degrees or more",
    "turn_right": "the ego turns right by 30 degrees or more",
    "u_turn": "the ego turns by 150 degrees or more",
    "unprotected_turn": "the ego turns across the way of oncoming traffic that drives",
    "lane_change": "the ego leaves its lane for the one beside it",
    "intersection": "the ego drives on an intersection's lane",
    "waiting_at_light": "the ego stands before a red light",
    "stop_sign": "the ego comes to a stop sign",
    "stationary": "the ego stands for 3 s",
    "high_speed": "the ego drives faster than 60 km/h",
    "hard_braking": "the ego brakes harder than 4.05 m/s^2",
    "following": "the ego follows another at a time gap below 2.5 s",
    "stopped_lead": "a vehicle stands in the ego's way, within 30 m",
    "cut_in": "a vehicle moves from beside into the ego's way, close ahead",
    "dense_traffic": "more than 6 vehicles of the traffic within 25 m",
    "crossing_pedestrian": "a walker crosses the ego's way, within 30 m ahead",
    "near_miss": "time to collision below 1.5 s and braking of 3.35 m/s^2 needed, or a crossing within 1 s",
    "construction": "3 or more cones or barriers within 10 m",
}
"""Every tag and what it says."""

_FINDERS = (
    turns, unprotected_turn, lane_change, intersection, waiting_at_light, stop_sign, stationary, high_speed,
    hard_braking, following, stopped_lead, cut_in, dense_traffic, crossing_pedestrian, near_miss, construction,
)  # fmt: skip


def situations(scenario: Scenario) -> tuple[Situation, ...]:
    """What the recorded ego of a scenario meets, by first step and name."""
    recording = Recording.of(scenario)
    found = dict.fromkeys(situation for finder in _FINDERS for situation in finder(recording))
    return tuple(sorted(found, key=lambda s: (s.first, s.name, s.last, s.agents)))


def tags(scenario: Scenario) -> tuple[str, ...]:
    """Names of the situations of a scenario, each once, in the order of `NAMES`."""
    found = {situation.name for situation in situations(scenario)}
    return tuple(name for name in NAMES if name in found)


def named(names: Iterable[str]) -> tuple[str, ...]:
    """Tags as a user spells them (`turn left`, `Turn-Left`); InputError for one that does not exist."""
    plain = [name.strip().lower().replace(" ", "_").replace("-", "_") for name in names]
    for name in plain:
        if name not in NAMES:
            raise InputError(f"tag {name}: no such tag; {among(name, list(NAMES))}")
    return tuple(dict.fromkeys(plain))
