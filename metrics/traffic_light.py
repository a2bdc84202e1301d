"""Traffic light compliance."""

from __future__ import annotations

from collections.abc import Sequence

from drivesim.errors import InputError
from drivesim.types import Event, Rollout, Scenario, Score

from .drive import judged_ego, not_judged, only, over_steps, unfit
from .signals import red, red_lane_contacts, red_line_crossings

VERSION = "1"


def traffic_light(rollouts: Sequence[Rollout], scenario: Scenario, form: str = "strict") -> Score:
    """1 if the ego passes no red light, else 0 (NAVSIM 0a380a9, TLC).

    `form`: "strict" is the rule of the road: the middle of the front must not cross the stop line of a lane's light
    while it shows red. "peer" gives NAVSIM's number: at no step may the ego's box meet the area of a lane whose light
    is red; this blames also who is still there when it turns red, or passes beside on green. Flashing red is a stop
    sign, not red. Not valid where no light is ever seen red. Series: how many lights the ego offends.
    """
    rollout = only(rollouts, "traffic_light")
    if form not in ("strict", "peer"):
        raise InputError(f"traffic_light: form={form!r} is not known; say strict or peer")
    signals, map = scenario.scene.signals, scenario.scene.map
    reason = unfit(rollout)
    if not reason and not red(signals, rollout.start, len(rollout.agents.valid) - rollout.start).any():
        reason = "no traffic light is known to be red during the drive"
    if reason:
        return not_judged("traffic_light", reason, VERSION)
    ego = judged_ego(rollout)
    offence = (red_line_crossings if form == "strict" else red_lane_contacts)(ego, map, signals, rollout.start)
    events = []
    for s in offence.any(0).nonzero()[:, 0].tolist():
        first = int(offence[:, s].int().argmax())
        detail = {
            "light": s,
            "lane": int(signals.lane[s]),
            "speed": round(float(ego.speed[first]), 3),  # [m/s]
            "form": form,
            "rule": "no crossing of a stop line on red" if form == "strict" else "no contact with a lane on red",
            "source": "NAVSIM 0a380a9, traffic light compliance",
            "lost": 1.0,
            "kept_by": "standing before the stop line while the light was red",
        }
        place = tuple(round(x, 3) for x in ego.xy[first].tolist())
        events.append(Event("red_light", rollout.start + first, (0,), place, detail))
    events.sort(key=lambda event: event.step)
    return Score(
        "traffic_light", float(not events), better="more", series=over_steps(offence.sum(-1), rollout),
        evidence=tuple(events), shows="red lights offended", version=VERSION,
    )  # fmt: skip
