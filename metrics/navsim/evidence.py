"""Why a judged plan lost points: an event for each sub-score that lost any, and what would have kept them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from drivesim.geometry import boxes_overlap, heading
from drivesim.proposals.comfort import ALIKE, ALIKE_UNITS, BOUNDS, UNITS
from drivesim.proposals.judge import Judgement, Rules
from drivesim.proposals.states import SPEED, YAW, boxes, centers
from drivesim.roadmap import RoadMap
from drivesim.types import OBJECTS, Agents, Event, Kind, is_kind

from ..collision import RULES, ways_out
from ..contacts import Contact, corners, impact_speed
from ..drivable_area import CORNERS, kept_by
from ..drive import precise, track_name
from .frame import Frame


@dataclass(frozen=True, eq=False)
class Judged:
    """One plan of a judgement with the frame that it was made in."""

    frame: Frame
    states: np.ndarray  # (41, 7)
    judgement: Judgement
    row: int  # of the judgement
    parts: Mapping[str, float]  # sub-scores, NaN for one that does not apply
    rules: Rules
    reference: float  # progress of PDM-Closed times its multipliers [m]
    source: str
    motion: Mapping[str, np.ndarray]  # (n,) what comfort was judged on
    before: int  # steps of the past at its front
    difference: Mapping[str, float] | None = None  # to a second plan

    def event(self, part: str, kind: str, step: int, detail: Mapping[str, Any], other: int | None = None) -> Event:
        """An event `step` steps after the frame's, with what the part lost and its source."""
        step = int(min(max(step, 0), len(self.states) - 1))
        place = tuple(round(float(x), 3) for x in centers(self.states[step], self.frame.vehicle))
        agents = (0,) if other is None else (0, other)
        full = {"part": part, "lost": round(1 - self.parts[part], 6), **detail, "source": self.source}
        return Event(kind, self.frame.step + step, agents, place, full)


NOTHING = 5e-7
"""A loss that rounding makes: plans are single precision."""


def why(judged: Judged) -> list[Event]:
    """Events of all sub-scores below 1, in the order of the parts."""
    tell = {
        "NC": _contacts, "DAC": _off_road, "DDC": _direction, "TLC": _lights, "TTC": _ahead, "EP": _progress,
        "LK": _lane, "C": _comfort, "HC": _comfort, "EC": _difference,
    }  # fmt: skip
    return [event for name, value in judged.parts.items() if value < 1 - NOTHING for event in tell[name](judged, name)]


def _ego(judged: Judged, step: int) -> Agents:
    """The ego's box (), `step` steps into the roll-out."""
    state, vehicle = judged.states[step], judged.frame.vehicle
    box = precise(judged.frame.agents[judged.frame.step, 0])
    yaw = torch.tensor(state[YAW])
    size = torch.tensor([vehicle.length, vehicle.width, vehicle.height], dtype=torch.float64)
    return box.replace(
        xy=torch.from_numpy(centers(state, vehicle)), yaw=yaw, velocity=float(state[SPEED]) * heading(yaw), size=size,
        valid=torch.tensor(True),
    )  # fmt: skip


def _track(judged: Judged, column: int, step: int) -> tuple[int, Agents]:
    """A track's number in the scene, and its box () `step` steps after the frame's."""
    index = int(judged.frame.tracks.index[column])
    return index, precise(judged.frame.agents[judged.frame.step + step, index])


def _named(judged: Judged, index: int, track: Agents) -> dict[str, str]:
    name = track_name(judged.frame.scenario.track_ids, index)
    return {"track": name, "kind": Kind(int(track.kind)).name.lower()}


def _contacts(judged: Judged, part: str) -> list[Event]:
    steps, fault = judged.judgement.contact[judged.row], judged.judgement.contact_fault[judged.row]
    events = []
    for column in sorted(np.flatnonzero(fault), key=lambda a: steps[a]):
        step, kind = int(steps[column]), Contact(int(judged.judgement.contact_kind[judged.row, column]))
        index, track = _track(judged, column, step)
        ego = _ego(judged, step)
        apart = " or ".join(f"{way:.2f} m further {side}" for side, way in ways_out(ego, track).items())
        lanes = ", or all of it in one lane and on the drivable area" if kind == Contact.LATERAL else ""
        detail = {
            "type": kind.name.lower(), **_named(judged, index, track),
            "impact_speed": round(float(impact_speed(ego, track)), 3),
            "rule": RULES[kind].format(stopped=judged.rules.stopped), "kept_by": f"the ego {apart} at this step{lanes}",
            "lost": 0.5 if bool(is_kind(track.kind, OBJECTS)) else 1.0,
        }  # fmt: skip
        events.append(judged.event(part, "collision", step, detail, index))
    return events


def _off_road(judged: Judged, part: str) -> list[Event]:
    map, step = judged.frame.scenario.scene.map, int(judged.judgement.off_road_step[judged.row])
    box = torch.from_numpy(boxes(judged.states, judged.frame.vehicle))
    worst = RoadMap.of(map).border_distance(box).amin(-1)
    detail = {
        "corner": CORNERS[int(judged.judgement.off_road_corner[judged.row])],
        "worst_outside_by": round(-float(worst.min()), 3),
        "rule": "all four corners on the drivable area at every step",
        "kept_by": kept_by(map, box, worst, judged.frame.step),
    }
    return [judged.event(part, "off_road", step, detail)]


def _direction(judged: Judged, part: str) -> list[Event]:
    moved, step = float(judged.judgement.oncoming[judged.row]), int(judged.judgement.oncoming_step[judged.row])
    least, most = judged.rules.oncoming
    detail = {
        "value": round(moved, 3),
        "rule": f"less than {least:g} m in 1 s outside the lanes of the route; 0.5 below {most:g} m, then 0",
        "kept_by": f"{moved - least:.2f} m less outside them, or the middle of the ego in one of them",
    }
    return [judged.event(part, "off_route_lanes", step, detail)]


def _lights(judged: Judged, part: str) -> list[Event]:
    step = int(judged.judgement.light_step[judged.row])
    column = int(judged.judgement.light[judged.row])
    detail = {
        "signal": int(judged.frame.red[2][column]), "lane": int(judged.frame.red[1][column]),
        "rule": "the box meets no lane of the route while its light is red",
        "kept_by": "the ego before that lane, or all of it out of it, while its light is red",
    }  # fmt: skip
    return [judged.event(part, "red_light", step, detail)]


def _ahead(judged: Judged, part: str) -> list[Event]:
    row, step = judged.row, int(judged.judgement.ahead_step[judged.row])
    later = int(judged.judgement.ahead_later[row])
    index, track = _track(judged, int(judged.judgement.ahead_track[row]), step + later)
    dt, ego = judged.frame.scenario.scene.briefing.dt, _ego(judged, step)
    detail = {
        **_named(judged, index, track), "value": round(later * dt, 1),
        "speed": round(float(judged.states[step, SPEED]), 3),
        "rule": "an ego that keeps its motion meets nobody ahead within 0.9 s (looked at after 0, 0.3, 0.6 and 0.9 s)",
        "kept_by": _slower(ego, track, later * dt),
    }  # fmt: skip
    return [judged.event(part, "time_to_collision", step, detail, index)]


def _slower(ego: Agents, track: Agents, seconds: float) -> str:
    """The speed at which the ego would just not meet the track `seconds` later, or the way to where it does not."""
    speeds = torch.linspace(0, float(ego.speed.abs()), 401, dtype=torch.float64)
    moved = corners(ego) + (speeds * seconds)[:, None, None] * heading(ego.yaw)
    free = ~boxes_overlap(moved, corners(track).expand_as(moved))
    if seconds > 0 and bool(free[0]):
        most = float(speeds[int((~free).int().argmax()) - 1])
        return f"a speed of {most:.2f} m/s or less at this step"
    apart = " or ".join(f"{way:.2f} m further {side}" for side, way in ways_out(ego, track).items())
    return f"the ego {apart} at this step"


def _progress(judged: Judged, part: str) -> list[Event]:
    made = float(judged.judgement.progress[judged.row])
    times = " times its factors" if "LK" in judged.parts else ", both times their factors"  # v2, v1
    detail = {
        "value": round(made, 3), "reference": round(judged.reference, 3),
        "rule": "progress of the middle along the route in 4 s over that of PDM-Closed" + times,
        "kept_by": f"{max(judged.reference - made, 0):.2f} m more along the route"
        if judged.reference > made else "what the factors lost",
    }  # fmt: skip
    return [judged.event(part, "progress", len(judged.states) - 1, detail)]


def _lane(judged: Judged, part: str) -> list[Event]:
    step, rules = int(judged.judgement.lane_step[judged.row]), judged.rules
    aside = float(judged.judgement.aside[judged.row, step])
    way = f"{abs(aside) - rules.aside:.2f} m further {'right' if aside > 0 else 'left'}"
    detail = {
        "value": round(aside, 3), "rule": f"not more than {rules.aside:g} m beside the route for 2 s in a row, "
        "intersections left out", "kept_by": f"the ego {way} by this step",
    }  # fmt: skip
    return [judged.event(part, "lane_keeping", step, detail)]


def _comfort(judged: Judged, part: str) -> list[Event]:
    events = []
    for name, values in judged.motion.items():
        least, most = BOUNDS[name]
        beyond = np.maximum(values - most, least - values)
        worst = int(beyond.argmax())
        if beyond[worst] < 0:
            continue
        value, words, unit = float(values[worst]), name.replace("_", " "), UNITS[name]
        high = value >= most
        detail = {
            "value": round(value, 3), "limit": most if high else least, "in_the_past": worst < judged.before,
            "rule": f"{words} strictly between {least} and {most} {unit}",
            "kept_by": f"{words} {'below' if high else 'above'} {most if high else least} {unit}: "
            f"{float(beyond[worst]):.2f} {unit} {'less' if high else 'more'} at this step",
        }  # fmt: skip
        events.append(judged.event(part, name, worst - judged.before, detail))
    return events


def _difference(judged: Judged, part: str) -> list[Event]:
    events = []
    for name, value in (judged.difference or {}).items():
        if value > (limit := ALIKE[name]):
            words, unit = name.replace("_", " "), ALIKE_UNITS[name]
            detail = {
                "value": round(value, 4), "limit": limit,
                "rule": f"{words} of two plans 0.5 s apart differs by at most {limit:g} {unit} (root mean square)",
                "kept_by": f"{value - limit:.3f} {unit} less difference to the next plan",
            }  # fmt: skip
            events.append(judged.event(part, f"other_{name}", 0, detail))
    return events
