"""A scenario from above, as it was loaded: to see in one look whether map, tracks, lights and cameras are right."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from drivesim.errors import InputError
from drivesim.geometry import box_corners
from drivesim.roadmap import RoadMap
from drivesim.types import Kind, Light, Scenario, StopKind

from . import style
from .birdseye import SMALLEST, _stop_bars
from .groundplan import GroundPlan
from .plan import normals
from .video import save

MARGIN = 35.0  # around the ego's way [m]
WIDEST = 320.0  # a picture shows this much at most, around the ego [m]
SMALLEST_VIEW = 90.0  # and this much at least [m]
MAP, PANEL = 1000, 400  # [px]
LONGEST_NAME = 14  # of a track; of longer ones, hashes mostly, the beginning is shown
ARROWS = 14.0  # between direction arrows of a lane [m]
CONE = 9.0  # length of a camera's view cone [m]
STOPS = {StopKind.STOP_SIGN: (255, 82, 82), StopKind.YIELD: (250, 200, 70), StopKind.CROSSWALK: (112, 120, 128),
         StopKind.SIGNAL: (176, 184, 190)}  # fmt: skip
GOAL, ARROW, BORDER = (196, 120, 240), (104, 116, 128), (88, 104, 118)


Facts = Sequence[tuple[str, str]]
"""What is known of a scenario, (name, words), to stand beside it: `catalog.Entry.told()`."""


def picture(scenario: Scenario, step: int | None = None, facts: Facts = ()) -> Image.Image:
    """The scenario at a step (the one at which a planner takes over): map, tracks with past and future, and beside it
    `facts` and the licence. Raises InputError for a step that the log does not have.
    """
    step = checked(scenario, step)
    xy = scenario.log.xy[:, 0].double().numpy()
    chart = Chart.around(scenario, xy, MAP, WIDEST, xy[step])
    image = chart.still()
    chart.moving(ImageDraw.Draw(image, "RGBA"), step)
    canvas = Image.new("RGB", (chart.width + PANEL, max(chart.height, 560)), style.PANEL)
    canvas.paste(image, (0, 0))
    _panel(canvas, chart.width + 16, scenario, step, facts)
    return canvas


def write(scenario: Scenario, path: str | Path, step: int | None = None, facts: Facts = ()) -> Path:
    """`picture` as a PNG file, or an HTML page with a slider over time for a name in `.html`.

    Raises InputError for another kind of file and for a place that cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() in (".html", ".htm"):
        from .view_page import page

        return save(path, page(scenario, checked(scenario, step), facts).encode())
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: a name that ends in .png or .html is expected")
    data = io.BytesIO()
    picture(scenario, step, facts).save(data, "PNG")
    return save(path, data.getvalue())


def checked(scenario: Scenario, step: int | None) -> int:
    """The step that is asked for, counted from the end if negative."""
    if step is None:
        return scenario.start
    if not -scenario.steps <= step < scenario.steps:
        raise InputError(f"{scenario.id}: no step {step}; it has 0 to {scenario.steps - 1}")
    return step % scenario.steps


@dataclass(frozen=True, eq=False)
class Chart:
    """A piece of the world on a picture, north up."""

    scenario: Scenario
    west: float  # of the left edge, world [m]
    north: float  # of the upper edge, world [m]
    scale: float  # [px/m]
    width: int  # [px]
    height: int

    @staticmethod
    def around(scenario: Scenario, xy: np.ndarray, pixels: int, widest: float, middle: np.ndarray) -> Chart:
        """Of points (n, 2) with a margin; not more than `widest` metres, then around `middle`."""
        low, high = xy.min(0) - MARGIN, xy.max(0) + MARGIN
        span = np.clip(high - low, SMALLEST_VIEW, widest)
        centre = np.where(high - low > widest, middle, (low + high) / 2)
        span = np.maximum(span, 0.6 * span.max())  # no slivers
        scale = pixels / span.max()
        width, height = (round(s * scale) for s in span)
        return Chart(scenario, centre[0] - span[0] / 2, centre[1] + span[1] / 2, scale, width, height)

    def px(self, xy: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of world points (..., 2)."""
        return (np.asarray(xy, float) - (self.west, self.north)) * (self.scale, -self.scale)

    def line(self, xy: np.ndarray) -> list[tuple[float, float]]:
        return [tuple(p) for p in self.px(xy).tolist()]

    def sees(self, xy: np.ndarray, beyond: float = 20.0) -> np.ndarray:
        """Whether points (..., 2) lie on the picture or within `beyond` pixels of it."""
        p = self.px(xy)
        return (p > -beyond).all(-1) & (p < (self.width + beyond, self.height + beyond)).all(-1)

    @cached_property
    def log(self) -> dict[str, np.ndarray]:
        log = self.scenario.log
        corners = box_corners(log.xy, log.yaw, log.size.clamp_min(SMALLEST)).double().numpy()
        return {"corners": corners, "xy": log.xy.double().numpy(), "valid": log.valid.numpy(), "kind": log.kind.numpy()}

    # what stands still

    def still(self) -> Image.Image:
        """Ground, lanes with their direction, borders, stops, goals, scale and north."""
        plan = GroundPlan(self.scenario.scene, self.scale)
        left, top = round(self.west * self.scale), round(-self.north * self.scale)
        image = Image.fromarray(plan.crop(left, top, self.width, self.height))
        brush = ImageDraw.Draw(image, "RGBA")
        road = self.scenario.scene.map
        for i in range(len(road.drivable)):
            ring = road.drivable.line(i).double().numpy()
            if len(ring) > 1:
                brush.line(self.line(np.vstack([ring, ring[:1]])), fill=(*BORDER, 150), width=1)
        for i in range(len(road.lanes)):
            self._arrows(brush, road.lanes.center.line(i)[:, :2].double().numpy())
        self._stops(brush)
        for goal in self.scenario.scene.briefing.goals:
            area = goal.area.double().numpy()
            if len(area) > 2:
                brush.polygon(self.line(area), fill=(*GOAL, 60), outline=(*GOAL, 255))
        self._furniture(brush, max(1.0, max(self.width, self.height) / MAP))
        return image

    def _arrows(self, brush: ImageDraw.ImageDraw, line: np.ndarray) -> None:
        if not self.sees(line, 0.0).any():
            return
        brush.line(self.line(line), fill=(*ARROW, 90), width=1)
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
        size = max(1.1, 4.0 / self.scale)
        for s in np.arange(min(ARROWS, along[-1]) / 2, along[-1], ARROWS):
            a, b = (np.array([np.interp(x, along, line[:, i]) for i in (0, 1)]) for x in (s - 0.3, s + 0.3))
            forward = (b - a) / max(float(np.hypot(*(b - a))), 1e-9)
            left, tip = np.array([-forward[1], forward[0]]), (a + b) / 2
            head = np.stack([tip - size * forward + 0.6 * size * left, tip, tip - size * forward - 0.6 * size * left])
            brush.line(self.line(head), fill=(*ARROW, 255), width=2)

    def _stops(self, brush: ImageDraw.ImageDraw) -> None:
        road = RoadMap.of(self.scenario.scene.map)
        stops = self.scenario.scene.map.stops
        for lane, xy, kind in zip(stops.lane.tolist(), stops.xy.double().numpy(), stops.kind.tolist(), strict=True):
            colour = STOPS[StopKind(kind)]
            if lane >= 0:
                line = road.center(lane)[:, :2].double().numpy()
                side = normals(line)[np.hypot(*(line - xy).T).argmin()]
                brush.line(self.line(np.stack([xy - 1.5 * side, xy + 1.5 * side])), fill=colour, width=3)
            (x, y), r = self.px(xy), 4
            if kind == StopKind.STOP_SIGN:
                turn = np.pi / 8 + np.arange(8) * np.pi / 4
                brush.polygon([(x + r * math.cos(a), y + r * math.sin(a)) for a in turn], fill=colour)
            elif kind == StopKind.YIELD:
                brush.polygon([(x - r, y - r), (x + r, y - r), (x, y + r)], fill=colour)

    def _furniture(self, brush: ImageDraw.ImageDraw, k: float) -> None:
        """Scale and north, `k` times as large as on a picture that is shown as it is."""
        metres = next((m for m in (100, 50, 20, 10, 5) if m * self.scale < self.width / 4), 2)
        font, pen = style.font(round(13 * k)), round(2 * k)
        x, y = 16 * k, self.height - 16 * k
        brush.line([(x, y), (x + metres * self.scale, y)], fill=style.TEXT, width=pen)
        brush.text((x, y - 6 * k), f"{metres} m", font=font, fill=style.TEXT, anchor="ls")
        x = self.width - 26 * k
        brush.line([(x, 46 * k), (x, 14 * k)], fill=style.TEXT, width=pen)
        brush.line([(x - 5 * k, 22 * k), (x, 14 * k), (x + 5 * k, 22 * k)], fill=style.TEXT, width=pen)
        brush.text((x, 60 * k), "N", font=font, fill=style.TEXT, anchor="ms")

    # what moves

    def moving(self, brush: ImageDraw.ImageDraw, step: int) -> None:
        """Lights, past and future of every track, camera cones, boxes and names at a step."""
        states = self.scenario.scene.signals.at(step).tolist()
        for bar, state in zip(_stop_bars(self.scenario), states, strict=True):
            brush.line(self.line(bar), fill=style.LIGHTS[Light(state)], width=4)
        agents = range(self.log["valid"].shape[1])
        for agent in agents:
            self._track(brush, step, agent)
        for cone in cones(self.scenario, step):
            brush.polygon(self.line(cone), fill=(*style.EGO, 28), outline=(*style.EGO, 110))
        there = [a for a in agents if self.log["valid"][step, a] and self.sees(self.log["xy"][step, a])]
        for agent in there[::-1]:
            self._box(brush, step, agent)
        self._names(brush, step, there)

    def _track(self, brush: ImageDraw.ImageDraw, step: int, agent: int) -> None:
        valid, xy, colour = self.log["valid"][:, agent], self.log["xy"][:, agent], self.colour(agent)
        past, future = xy[: step + 1][valid[: step + 1]], xy[step:][valid[step:]]
        if len(past) > 1 and self.sees(past).any():
            brush.line(self.line(past), fill=(*colour, 170), width=2)
        if len(future) > 1 and self.sees(future).any() and np.hypot(*(future[-1] - future[0])) > 1.0:
            brush.line(self.line(future), fill=(*colour, 70), width=1)
            for x, y in self.px(future[::10][1:]).tolist():  # a dot every second
                brush.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=(*colour, 200))

    def _box(self, brush: ImageDraw.ImageDraw, step: int, agent: int) -> None:
        ring, colour = self.log["corners"][step, agent], self.colour(agent)
        pixels = self.line(ring)
        brush.polygon(pixels, fill=colour, outline=style.TEXT if agent == 0 else tuple(c // 2 for c in colour))
        nose = np.stack([(ring[0] + ring[1]) / 2, 0.5 * (ring[0] + ring.mean(0)), 0.5 * (ring[1] + ring.mean(0))])
        brush.polygon(self.line(nose), fill=tuple(c // 3 for c in colour))

    def _names(self, brush: ImageDraw.ImageDraw, step: int, agents: Sequence[int]) -> None:
        """Of agents, the ego's first; one that would cover another is left out."""
        font, taken = style.font(9), []
        for agent in agents:
            name = self.scenario.track_ids[agent]
            name = name if len(name) <= LONGEST_NAME else name[:8]
            x, y = self.px(self.log["xy"][step, agent]).tolist()
            west, north, east, south = brush.textbbox((x + 5, y - 5), name, font=font, anchor="ls")
            if any(west < e and w < east and north < s and n < south for w, n, e, s in taken):
                continue
            taken.append((west, north, east, south))
            brush.text((x + 5, y - 5), name, font=font, fill=(*style.TEXT, 190), anchor="ls")

    def colour(self, agent: int) -> style.Colour:
        valid = self.log["valid"][:, agent]
        return style.EGO if agent == 0 else style.KINDS[Kind(int(self.log["kind"][valid.argmax(), agent]))]


def cones(scenario: Scenario, step: int) -> list[np.ndarray]:
    """What each camera sees from above at a step, triangles (3, 2), world [m]."""
    briefing = scenario.scene.briefing
    ego = briefing.vehicle.world_from_ego(scenario.log[step, 0]).double()
    found = []
    for camera in briefing.cameras:
        pose = (ego @ camera.ego_from_camera.double()).numpy()
        fx, cx = float(camera.intrinsics[0, 0]), float(camera.intrinsics[0, 2])
        rays = np.array([[(u - cx) / fx, 0.0, 1.0] for u in (0.0, float(camera.width))])
        world = (rays @ pose[:3, :3].T)[:, :2]
        reach = world / np.maximum(np.hypot(*world.T)[:, None], 1e-9) * CONE
        found.append(np.stack([pose[:2, 3], *(pose[:2, 3] + reach)]))
    return found


def _lines(text: str, width: int, most: int) -> list[str]:
    """Lines of so many characters; "..." at the end says that there is more."""
    return textwrap.wrap(text, width, max_lines=most, placeholder=" ...")


def _panel(canvas: Image.Image, x: int, scenario: Scenario, step: int, facts: Facts) -> None:
    y, bottom = 28, canvas.height - 96
    for text in _lines(scenario.id, 38, 3):
        style.write(canvas, (x, y), text, 17)
        y += 24
    y += 8
    now = f"step {step} of {scenario.steps - 1}, {step * scenario.scene.briefing.dt:.1f} s"
    for name, text in [("source", scenario.source), ("time", now), *facts]:
        lines = _lines(text, 44, 6)
        if y + 17 * len(lines) > bottom:
            style.write(canvas, (x, y), "...", 13, style.QUIET)
            break
        style.write(canvas, (x, y), name, 12, style.ALARM if name == "problem" else style.QUIET)
        for line in lines:
            style.write(canvas, (x + 80, y), line, 12)
            y += 17
        y += 5
    for i, text in enumerate(_lines(f"licence: {scenario.licence}", 58, 5)):
        style.write(canvas, (x, bottom + 14 + 17 * i), text, 12, style.QUIET)
