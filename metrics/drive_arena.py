"""DriveArena's scores as compositions (PJLab-ADG/DriveArena 3cefe48, TrafficManager/score_calculator.py).

Its sub-scores per planned frame are inputs: they are those of NAVSIM's PDMS in simpler form, with a reference plan of
DriveArena's own traffic manager, which a rollout does not have. So there is no metric of a rollout here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

WEIGHTS = {"ttc": 5.0, "c": 2.0, "ep": 5.0}
"""Of time to collision, comfort and ego progress; no collision `nc` and drivable area `dac` are factors."""
VERSION = "1"


def frame_score(nc: float, dac: float, ttc: float, c: float, ep: float) -> float:
    """PDMS of one planned frame: NC x DAC x (5 TTC + 2 C + 5 EP) / 12."""
    _finite(nc=nc, dac=dac, ttc=ttc, c=c, ep=ep)
    weighted = WEIGHTS["ttc"] * ttc + WEIGHTS["c"] * c + WEIGHTS["ep"] * ep
    return nc * dac * weighted / sum(WEIGHTS.values())


def pdms(frames: Iterable[Mapping[str, float]]) -> float:
    """The mean over frames with `nc`, `dac`, `ttc`, `c` and `ep`. ValueError without any."""
    scores = [frame_score(**frame) for frame in frames]
    if not scores:
        raise ValueError("pdms: no frame with a plan")
    return sum(scores) / len(scores)


def ads(mean_pdms: float, route_completion: float) -> float:
    """Arena driving score: PDMS x route completion, driven over routed length (closed loop; open loop: PDMS alone)."""
    _finite(pdms=mean_pdms, route_completion=route_completion)
    return mean_pdms * route_completion


def progress(plan: float, reference: float, projected: float) -> float:
    """EP: length of the plan projected on the reference plan over the reference's, all [m]; 1 where both are shorter
    than 5 m or there is no reference. It is not capped: a plan that goes farther scores more than 1."""
    return 1.0 if max(plan, reference) < 5.0 or reference < 1e-6 else projected / reference


def _finite(**values: float) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"drive_arena: {name} is {value}")
