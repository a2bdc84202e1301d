"""The evaluation of a world generator on one scenario: every row of the table, every figure.

No picture of the log is drawn from a photo taken within the stated gap of it, by whatever camera. Beside the log, where
no photo was taken, all photos are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..errors import InputError
from ..protocols import WorldGenerator
from ..types import Camera, Scenario
from . import edits, judge
from .figures import ROUNDING, Figure, spread
from .judge import Cloud, Under
from .painters import Drawn, Generated, Nearest, Painter, nearest
from .pictures import LEAST, psnr, squared_error, ssim, within
from .poses import relative_error
from .splats import Splats
from .views import SHIFTS, View, beside, moment, recorded, resized, shifted

ALL = -1.0
"""As a gap: all photos may be used."""

STANDING = (0.02, 0.1)
"""Two poses of a camera that differ by less than this [m], [deg] show the same picture."""

AWAY = 10
"""Steps between a place and the one from which the ego comes back to it."""

Show = Callable[[str, "Sequence[Shot]"], None]
"""Gets where the ego was and what was drawn there at one step, by camera."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be evaluated."""

    scenario: Scenario
    full: WorldGenerator | None  # None: the baselines alone
    steps: Sequence[int]
    beside: Sequence[int]  # steps at which the ego is put beside its log
    gaps: Sequence[float] = (0.25,)  # [s]; the first one with all rows and measures
    width: int = 400
    height: int = 224
    perceptual: int = 1  # pictures per camera whose perceptual distance is measured


def evaluate(plan: Plan, show: Show | None = None) -> Iterator[Figure]:
    """Figures as they come; `show` gets the pictures of every step.

    Raises InputError if the scenario has no photos or one of them cannot be read.
    """
    if not plan.scenario.sensors or not any(plan.scenario.sensors.images.values()):
        raise InputError(
            f"{plan.scenario.id}: the log has no photos to compare with; choose one that has, or the town with "
            "`synthetic --arg sensors=true`"
        )
    rows = _rows(plan)
    yield from _standing(plan)
    for gap in plan.gaps:
        yield from _on_log(plan, rows, gap, show)
    yield from _off_log(plan, rows, show)
    if plan.full is not None:
        yield from _world(plan, rows["full"])


def _rows(plan: Plan) -> dict[str, Painter]:
    scenario, rows = plan.scenario, {}
    rows["nearest photo"] = Nearest(scenario)
    if scenario.sensors.drawn_by is None:  # elsewhere it is the truth itself
        from ..generation.layout import LayoutRaster

        rows["layout raster"] = Generated("layout raster", scenario, LayoutRaster())
    if scenario.sensors.sweeps:
        rows["lidar splats"] = Splats(scenario)
    if plan.full is not None:
        rows["full"] = Generated("full", scenario, plan.full)
    return rows


def _on_log(plan: Plan, rows: dict[str, Painter], gap: float, show: Show | None) -> Iterator[Figure]:
    """Leave-one-out: the photos of the chosen steps, drawn anew."""
    first = gap == plan.gaps[0]
    used = rows if first else {name: row for name, row in rows.items() if name in ("nearest photo", "full")}
    cloud = Cloud.of(plan.scenario) if first and plan.scenario.sensors.drawn_by is None else None
    felt = set(spread(plan.steps, plan.perceptual)) if plan.perceptual and first else set()
    before: list[Shot] = []
    for step in plan.steps:
        shots = []
        for view in recorded(plan.scenario, step, plan.width, plan.height):
            shot = Shot.of(view, used, gap, step)
            shots.append(shot)
            yield from _judged(shot, "log", gap, cloud, first, step in felt)
        if show:
            show(f"log, gap {gap:g} s", shots)
        if first:
            yield from _real_pose(plan, shots, gap)
            yield from _pairs(shots, before, gap)
        before = shots


@dataclass(frozen=True, eq=False)
class Shot:
    """A view and what every row made of it."""

    view: View
    step: int
    drawn: dict[str, Drawn]

    @staticmethod
    def of(view: View, rows: dict[str, Painter], gap: float, step: int) -> Shot:
        made = {name: row.draw(view, gap) for name, row in rows.items()}
        return Shot(view, step, {name: drawn for name, drawn in made.items() if drawn is not None})

    @property
    def depth(self) -> np.ndarray | None:
        """The best that is known of the geometry, the same for all rows."""
        if self.view.seen is not None:
            return self.view.seen.depth.numpy()
        for name in ("full", "lidar splats"):
            if name in self.drawn:
                return self.drawn[name].depth
        return None


def _judged(shot: Shot, where: str, gap: float, cloud: Cloud | None, fully: bool, felt: bool) -> Iterator[Figure]:
    view = shot.view
    areas = judge.regions(view, shot.drawn.get("full"))
    for name, drawn in shot.drawn.items():
        told = Under(where, gap, name).at(view)
        if view.truth is not None:
            yield from judge.likeness(told, view, drawn, areas)
            if felt:
                yield from judge.feel(told, view, drawn)
        yield from judge.origins(told, drawn)
        if fully and drawn.depth is not None and view.truth is not None:
            yield from judge.standpoint(told, view, drawn)
            yield from judge.depths(told, view, drawn, cloud)


def _pairs(shots: list[Shot], before: list[Shot], gap: float) -> Iterator[Figure]:
    """Agreement between cameras that see the same place, and of each picture with the one a step before."""
    earlier = {s.view.name: s for s in before}
    pairs = [("overlap", a, b) for a, b in combinations(shots, 2)]
    pairs += [("warp", s, earlier[s.view.name]) for s in shots if s.view.name in earlier]
    for measure, a, b in pairs:
        if a.depth is None or b.depth is None or (measure == "warp" and a.step - b.step != 1):
            continue
        depth = (a.depth, b.depth)
        yield from judge.agreement(
            Under("log", gap, "real"), measure, a.view, b.view, (a.view.truth, b.view.truth), depth
        )
        for name in a.drawn.keys() & b.drawn.keys():
            pictures = (a.drawn[name].rgb, b.drawn[name].rgb)
            yield from judge.agreement(Under("log", gap, name), measure, a.view, b.view, pictures, depth)


def _real_pose(plan: Plan, shots: list[Shot], gap: float) -> Iterator[Figure]:
    """What the pose measure itself, and the log's poses, leave of error: one photo found from another."""
    for shot in shots:
        photo = nearest(plan.scenario, shot.view, gap)
        if photo is None or shot.depth is None:
            continue
        other = resized(photo.read().permute(1, 2, 0).numpy(), plan.width, plan.height)
        told = Under("log", gap, "real").at(shot.view)
        pose = photo.world_from_camera.double().numpy()
        error = relative_error(shot.view.truth, shot.depth, shot.view, other, pose)
        yield told("pose found", float(error is not None))
        if error:
            yield told("pose angle", error[0])
            yield told("pose distance", error[1])


def _standing(plan: Plan, most: int = 8) -> Iterator[Figure]:
    """Real against real: two photos of a camera that stood still, the gap apart. Nothing can be better than that."""
    gap, dt = plan.gaps[0], plan.scenario.scene.briefing.dt
    for name, images in plan.scenario.sensors.images.items():
        pairs = []
        for i, image in enumerate(images):
            later = next((k for k in images[i + 1 :] if k.time - image.time > gap), None)
            if later is not None and later.time - image.time < gap + 0.3 and _same_place(image, later):
                pairs.append((round(image.time / dt), round(later.time / dt)))
        for steps in spread(pairs, most):
            found = [recorded(plan.scenario, step, plan.width, plan.height, [name]) for step in steps]
            if not all(found):
                continue
            (one,), (other,) = found
            area = ~one.moving & ~other.moving
            if (count := int(area.sum())) >= LEAST:
                told = Under("log", gap, "real").at(one)
                error = max(within(squared_error(one.truth, other.truth), area), ROUNDING)
                yield told("psnr", psnr(error), count, "static")
                yield told("ssim", within(ssim(one.truth, other.truth), area), count, "static")


def _same_place(a, b) -> bool:
    off = np.linalg.inv(a.world_from_camera.double().numpy()) @ b.world_from_camera.double().numpy()
    angle = np.degrees(np.arccos(np.clip((np.trace(off[:3, :3]) - 1) / 2, -1, 1)))
    return bool(np.linalg.norm(off[:3, 3]) < STANDING[0] and angle < STANDING[1])


def _off_log(plan: Plan, rows: dict[str, Painter], show: Show | None) -> Iterator[Figure]:
    """The ego beside its log: against the truth in the town, on a real log only where pixels are from."""
    truth = plan.scenario.sensors.drawn_by is not None
    used = {name: row for name, row in rows.items() if truth or name == "full"}
    if not used:
        return
    for shift in SHIFTS:
        for step in plan.beside:
            state = shifted(plan.scenario, step, shift)
            if state is None:
                continue
            shots = [Shot.of(view, used, ALL, step) for view in beside(plan.scenario, state, _cameras(plan))]
            for shot in shots:
                yield from _judged(shot, shift.name, ALL, None, True, False)
            if show:
                show(shift.name, shots)


def _world(plan: Plan, full: Generated) -> Iterator[Figure]:
    """What only a generator can be asked: the same place twice, edits."""
    if not plan.beside:
        return
    dt, step = plan.scenario.scene.briefing.dt, plan.beside[0]
    here = moment(plan.scenario, step * dt)
    there = moment(plan.scenario, (step + AWAY if step + AWAY < plan.scenario.steps else step - AWAY) * dt)
    told, cameras = Under("log", ALL, "full"), _cameras(plan)
    yield from edits.revisit(told, full.generator, full.world, beside(plan.scenario, here, cameras), there)
    yield from edits.edits(told, plan.scenario, full.generator, full.world, here, cameras)


def _cameras(plan: Plan) -> list[Camera]:
    return [camera.resized(plan.width, plan.height) for camera in plan.scenario.scene.briefing.cameras]
