"""The rollout seen from above: north up, the ego in the middle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from drivesim.geometry import box_corners
from drivesim.roadmap import RoadMap
from drivesim.types import Event, Kind, Light, Rollout, Scenario

from . import style
from .groundplan import GroundPlan, dashes
from .plan import in_world, longest_reach, normals, plan_at, plan_line, resample
from .video import encode, save

FINE = 2  # what moves is drawn this many times finer, then averaged
TRAIL = 25  # steps
SMALLEST = 0.9  # sides are drawn at least this long, or walkers would not be seen [m]
GHOST = 0.3  # the logged ego is shown once it is this far away [m]
ALERT = 8  # steps before and after an event during which its place is ringed


def draw(
    scenario: Scenario, rollout: Rollout, step: int, size: int = 480, *, events: Sequence[Event] = ()
) -> np.ndarray:
    """One picture (size, size, 3) uint8 of a step. `events` are ringed while they happen."""
    return Birdseye(scenario, rollout, size, events).draw(step)


def film(
    scenario: Scenario,
    rollout: Rollout,
    path: str | Path | None = None,
    *,
    size: int = 480,
    steps: Sequence[int] | None = None,
    events: Sequence[Event] = (),
) -> bytes:
    """An mp4 of the whole rollout in real time. Raises InputError if `path` cannot be written."""
    view = Birdseye(scenario, rollout, size, events)
    steps = range(rollout.agents.valid.shape[0]) if steps is None else steps
    video = encode((view.draw(step) for step in steps), 1 / rollout.dt)
    if path is not None:
        save(path, video)
    return video


class Birdseye:
    """Draws steps of one rollout; keeps what stands still."""

    def __init__(self, scenario: Scenario, rollout: Rollout, size: int = 480, events: Sequence[Event] = ()) -> None:
        self.scenario, self.rollout, self.size, self.events = scenario, rollout, size, events
        self.span = min(max(70.0, 2.3 * longest_reach(rollout)), 220.0)  # metres across
        self.ground = GroundPlan(scenario.scene, size / self.span)
        agents = rollout.agents
        self.xy, self.valid = agents.xy.double().numpy(), agents.valid.numpy()
        self.corners = box_corners(agents.xy, agents.yaw, agents.size.clamp_min(SMALLEST)).double().numpy()
        self.logged = scenario.log[:, 0]
        self.stops = _stop_bars(scenario)

    def draw(self, step: int) -> np.ndarray:
        scale = self.ground.scale
        middle = np.nan_to_num(self.xy[step, 0]) * (scale, -scale)
        self.corner = np.round(middle - self.size / 2).astype(int)
        under = self.ground.crop(*self.corner.tolist(), self.size, self.size)
        image = Image.fromarray(under).resize((self.size * FINE,) * 2, Image.Resampling.NEAREST)
        brush = ImageDraw.Draw(image, "RGBA")
        self._signals(brush, step)
        self._trails(brush, step)
        self._plan(image, brush, step)
        self._ghost(brush, step)
        for agent in np.flatnonzero(self.valid[step] & self._nearby(step))[::-1]:
            self._box(brush, step, agent)
        self._alerts(brush, step)
        picture = np.array(image.reduce(FINE))
        self._furniture(picture, step)
        return picture

    def _px(self, xy: np.ndarray) -> list[tuple[float, float]]:
        scale = self.ground.scale
        pixels = (np.asarray(xy).reshape(-1, 2) * (scale, -scale) - self.corner) * FINE
        return [tuple(p) for p in pixels.tolist()]

    def _metres(self, length: float) -> int:
        return max(1, round(length * self.ground.scale * FINE))

    def _signals(self, brush: ImageDraw.ImageDraw, step: int) -> None:
        states = self.scenario.scene.signals.at(step).tolist()
        for bar, state in zip(self.stops, states, strict=True):
            brush.line(self._px(bar), fill=style.LIGHTS[Light(state)], width=self._metres(0.6))

    def _trails(self, brush: ImageDraw.ImageDraw, step: int) -> None:
        first = max(0, step - TRAIL)
        there = self.valid[first : step + 1].all(0) & self._nearby(step)
        for agent in np.flatnonzero(there):
            line = self.xy[first : step + 1, agent]
            if len(line) < 2 or np.hypot(*(line[-1] - line[0])) < 0.5:
                continue
            colour = self._colour(step, agent)
            pixels = self._px(line)
            for i, (a, b) in enumerate(zip(pixels, pixels[1:], strict=False)):
                brush.line((a, b), fill=(*colour, 20 + 130 * (i + 1) // len(line)), width=self._metres(0.35))

    def _plan(self, image: Image.Image, brush: ImageDraw.ImageDraw, step: int) -> None:
        found = plan_at(self.rollout, step)
        if found is None:
            return
        plan, made = found
        for other in plan.proposals if plan.proposals is not None else ():
            xy = in_world(self.rollout, made, other)[:, :2].double().numpy()
            if np.isfinite(xy).all() and len(xy) > 1:
                brush.line(self._px(xy), fill=(*style.LATE, 70), width=self._metres(0.2))
        line = plan_line(self.rollout, step)
        if line is None or np.hypot(*np.diff(line[0], axis=0).T).sum() < 0.3:
            return
        xy, time = resample(*line, 0.5)
        side = normals(xy) * self.rollout.vehicle.width / 2
        self._ribbon(image, xy + side, xy - side, time / max(time[-1], 1e-6))
        brush.line(self._px(xy), fill=(*style.PLAN, 255), width=self._metres(0.25))
        seconds = np.arange(1.0, line[1][-1] + 1e-6)
        for x, y in self._px(np.stack([np.interp(seconds, line[1], line[0][:, i]) for i in (0, 1)], -1)):
            r = self._metres(0.4)
            brush.ellipse((x - r, y - r, x + r, y + r), fill=(*style.TEXT, 230))

    def _ribbon(self, image: Image.Image, left: np.ndarray, right: np.ndarray, late: np.ndarray) -> None:
        """Blend the strip between two lines (n, 2) whose colour follows `late` (n,) from 0 to 1."""
        layer = Image.new("L", image.size, 0)
        brush, left, right = ImageDraw.Draw(layer), self._px(left), self._px(right)
        shades = 1 + np.round(late * 254).astype(int)
        for i in range(len(left) - 1):
            brush.polygon([left[i], left[i + 1], right[i + 1], right[i]], fill=int(shades[i]))
        box = layer.getbbox()
        if box is None:
            return
        index = np.asarray(layer.crop(box))
        share = np.linspace(0, 1, 256)[:, None]
        colours = (np.float32(style.PLAN) * (1 - share) + np.float32(style.LATE) * share).astype(np.uint8)
        opacity = np.where(index > 0, 105, 0).astype(np.uint8)
        image.paste(Image.fromarray(colours[index]), box, Image.fromarray(opacity))

    def _ghost(self, brush: ImageDraw.ImageDraw, step: int) -> None:
        """Where the ego was recorded, once it has left that place."""
        if step >= len(self.logged.valid) or not bool(self.logged.valid[step]):
            return
        ego = self.logged[step]
        if np.hypot(*(ego.xy.double().numpy() - self.xy[step, 0])) < GHOST:
            return
        ring = box_corners(ego.xy, ego.yaw, ego.size).double().numpy()
        for piece in dashes(np.concatenate([ring, ring[:1]]), 0.7, 0.5):
            brush.line(self._px(piece), fill=(*style.LOGGED, 220), width=FINE + 1)

    def _box(self, brush: ImageDraw.ImageDraw, step: int, agent: int) -> None:
        ring, colour = self.corners[step, agent], self._colour(step, agent)
        ego = agent == 0
        edge = style.TEXT if ego else tuple(c // 2 for c in colour)
        pixels = self._px(ring)
        brush.polygon(pixels, fill=colour)
        brush.line([*pixels, pixels[0]], fill=edge, width=FINE)
        front, centre = (ring[0] + ring[1]) / 2, ring.mean(0)
        nose = np.stack([0.85 * front + 0.15 * centre, 0.5 * (ring[0] + centre), 0.5 * (ring[1] + centre)])
        brush.polygon(self._px(nose), fill=style.PANEL if ego else tuple(c // 3 for c in colour))

    def _alerts(self, brush: ImageDraw.ImageDraw, step: int) -> None:
        for event in self.events:
            if abs(event.step - step) <= ALERT and np.isfinite(event.xy).all():
                ((x, y),) = self._px(np.array(event.xy))
                r = self._metres(3.0) + abs(event.step - step) * FINE
                strength = 255 - 24 * abs(event.step - step)
                brush.ellipse((x - r, y - r, x + r, y + r), outline=(*style.ALARM, strength), width=2 * FINE)

    def _furniture(self, picture: np.ndarray, step: int) -> None:
        """Time, north, scale bar, and what is happening, written onto the picture in place."""
        size, scale = self.size, self.ground.scale
        style.paste(picture, style.label(f"{step * self.rollout.dt:.1f} s", 14), 8, 8)
        style.paste(picture, style.label("north up", 12, ink=style.QUIET), size - 68, 8)
        metres = next((m for m in (50, 20, 10, 5) if m * scale < size / 3), 2)
        plate = style.label(f"{metres} m", 12)
        style.paste(picture, plate, 8, size - 34)
        picture[size - 12 : size - 10, 8 : 8 + round(metres * scale)] = style.TEXT
        happening = dict.fromkeys(event.kind for event in self.events if 0 <= step - event.step <= ALERT)
        for i, kind in enumerate(happening):
            plate = style.label(kind.replace("_", " "), 14, ink=style.ALARM)
            style.paste(picture, plate, max(0, (size - plate[0].shape[1]) // 2), 8 + 26 * i)

    def _nearby(self, step: int) -> np.ndarray:
        away = np.abs(self.xy[step] - self.xy[step, 0]).max(-1)
        return away < self.span / 2 + 15  # NaN is not

    def _colour(self, step: int, agent: int) -> tuple[int, int, int]:
        return style.EGO if agent == 0 else style.KINDS[Kind(int(self.rollout.agents.kind[step, agent]))]


def _stop_bars(scenario: Scenario) -> list[np.ndarray]:
    """A line (2, 2) across the lane at each signal's stop."""
    signals, scene_map = scenario.scene.signals, scenario.scene.map
    road, bars = RoadMap.of(scene_map), []
    for lane, stop in zip(signals.lane.tolist(), signals.stop_xy.double().numpy(), strict=True):
        line = road.center(lane)[:, :2].double().numpy()
        side = normals(line)[np.hypot(*(line - stop).T).argmin()]
        half = float(scene_map.lanes.width[lane]) / 2
        half = half if math.isfinite(half) else 1.75
        bars.append(np.stack([stop - half * side, stop + half * side]))
    return bars
