"""What is measured of the pictures that a painter drew of one moment or of two that follow each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..types import Provenance, RecordedSweep
from . import perceptual
from .figures import ROUNDING, Figure, spread
from .flow import carried, disagreement, still
from .painters import Drawn
from .pictures import LEAST, psnr, squared_error, ssim, within
from .poses import pose_error
from .regions import covered_points, moving_agents
from .splats import SWEEPS, projected
from .views import View, moment


@dataclass(frozen=True)
class Under:
    """What all figures of one picture have in common."""

    where: str
    gap: float
    row: str
    camera: str = ""
    time: float = 0.0

    def __call__(self, measure: str, value: float, count: int = 0, region: str = "all") -> Figure:
        return Figure(self.where, self.gap, self.row, self.camera, round(self.time, 3), region, measure, value, count)

    def at(self, view: View) -> Under:
        return replace(self, camera=view.name, time=view.time)


def regions(view: View, full: Drawn | None) -> dict[str, np.ndarray]:
    """(h, w) bool by name: all, standing and moving things, and what the full row says of where its pixels are from."""
    out = {"all": np.ones_like(view.moving), "static": ~view.moving, "moving": view.moving}
    if full is not None and full.provenance is not None:
        remembered = (full.provenance == Provenance.OBSERVED) | (full.provenance == Provenance.REPROJECTED)
        out |= {
            "static reprojected": remembered & ~view.moving,
            "moving reprojected": remembered & view.moving,
            "proxy": full.provenance == Provenance.PROXY,
            "generated": full.provenance == Provenance.GENERATED,
        }
    return out


def likeness(told: Under, view: View, drawn: Drawn, areas: Mapping[str, np.ndarray]) -> Iterator[Figure]:
    """PSNR and SSIM of every region that has enough pixels."""
    square, similar = squared_error(drawn.rgb, view.truth), ssim(drawn.rgb, view.truth)
    for name, area in areas.items():
        if (count := int(area.sum())) >= LEAST:
            yield told("psnr", psnr(max(within(square, area), ROUNDING)), count, name)
            yield told("ssim", within(similar, area), count, name)


def feel(told: Under, view: View, drawn: Drawn) -> Iterator[Figure]:
    if not perceptual.missing():
        yield told("lpips-hedvgg", perceptual.distance(drawn.rgb, view.truth))


def standpoint(told: Under, view: View, drawn: Drawn) -> Iterator[Figure]:
    """From where the drawn picture seems to have been taken, against the photo."""
    error = pose_error(drawn.rgb, drawn.depth, view, view.truth)
    yield told("pose found", float(error is not None))
    if error:
        yield told("pose angle", error[0])
        yield told("pose distance", error[1])


def origins(told: Under, drawn: Drawn) -> Iterator[Figure]:
    """Which share of the pixels is of which provenance, and which of those with depth was remembered."""
    if drawn.provenance is None:
        return
    for kind in Provenance:
        if share := float((drawn.provenance == kind).mean()):
            yield told(f"share {kind.name.lower()}", share)
    deep = np.isfinite(drawn.depth)
    seen = (drawn.provenance == Provenance.OBSERVED) | (drawn.provenance == Provenance.REPROJECTED)
    if deep.any():
        yield told("coverage", float(seen[deep].mean()), int(deep.sum()))


@dataclass(frozen=True, eq=False)
class Cloud:
    """Lidar points of a log that lie on nothing that moves, by sweep, to hold depths against."""

    sweeps: Sequence[tuple[float, np.ndarray]]

    @staticmethod
    def of(scenario, most: int = 40_000) -> Cloud:
        """At most so many points of each sweep, spread evenly."""
        movers = moving_agents(scenario.log)
        sweeps = spread(scenario.sensors.sweeps, SWEEPS)
        return Cloud([(s.time, _standing(scenario, s, movers, most)) for s in sweeps])

    def near(self, time: float) -> np.ndarray | None:
        """Points (n, 3) of the sweep next to a time, if it was within half a second."""
        best = min(self.sweeps, key=lambda sweep: abs(sweep[0] - time), default=None)
        return None if best is None or abs(best[0] - time) > 0.5 else best[1]


def _standing(scenario, sweep: RecordedSweep, movers, most: int) -> np.ndarray:
    xyz = sweep.read().numpy()
    xyz = xyz[np.isfinite(xyz).all(1)].astype(float)
    xyz = xyz[:: max(1, len(xyz) // most)]
    return xyz[~covered_points(xyz, moment(scenario, sweep.time).agents, movers)]


def depths(told: Under, view: View, drawn: Drawn, cloud: Cloud | None) -> Iterator[Figure]:
    """Median distance [m] between the drawn depth and the truth, or the lidar's where there is none."""
    if drawn.depth is None:
        return
    if view.seen is not None:
        exact = view.seen.depth.numpy()
        known = np.isfinite(exact) & ~view.moving
        drawn_deep, deep = drawn.depth[known], exact[known]
    else:
        points = cloud.near(view.time) if cloud else None
        if points is None:
            return
        pixel, deep = projected(view.camera, view.world_from_camera, points)
        known = np.isfinite(pixel).all(1)
        column, row = np.floor(pixel[known]).astype(int).T
        free = ~view.moving[row, column]
        drawn_deep, deep = drawn.depth[row, column][free], deep[known][free]
    if len(deep) < LEAST:
        return
    error = np.abs(drawn_deep - deep)
    yield told("lidar depth", float(np.median(error)), len(deep), "static")
    yield told("depth within 5 %", float((error < 0.05 * deep).mean()), len(deep), "static")


def agreement(
    told: Under, measure: str, a: View, b: View, pictures: tuple[np.ndarray, np.ndarray],
    depth: tuple[np.ndarray, np.ndarray],
) -> Iterator[Figure]:  # fmt: skip
    """How alike two pictures show the same standing places [dB], whatever they should show."""
    found = carried(a, depth[0], b, depth[1])
    same = still(a, b, found)
    if (count := int(same.sum())) >= LEAST:
        yield told.at(a)(measure, psnr(max(disagreement(*pictures, found, same), ROUNDING)), count, "static")
