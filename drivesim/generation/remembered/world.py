"""WorldGenerator `memory`: the recorded street, seen by cameras wherever the ego goes."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numba
import numpy as np

from ...memory import shelf
from ...memory.build import Settings
from ...memory.discs import Seen, mend, see
from ...memory.remembered import STANDING, Remembered
from ...types import Agents, Camera, Frame, Frames, Provenance, Scenario, Semantic, State
from ..layout import LayoutRaster, LayoutWorld, each
from . import sightings as look
from .bank import Bank
from .blend import Album, Target, blend
from .compose import Draft, compose
from .eye import Eye
from .own_car import own_pixels, show
from .owners import Owners
from .shadow import uncover
from .sightings import MANY, TILE, Choice, Sightings

Told = Callable[[str, float], None]
"""Gets the name of a stage and how long it took [s]."""


@dataclass(frozen=True, eq=False)
class World:
    """What is remembered of a scenario."""

    layout: LayoutWorld
    bank: Bank
    owners: Owners
    album: Album
    own: tuple[np.ndarray | None, ...]  # by camera (h/2, w/2) bool: where it sees the car that carries it
    allowed: np.ndarray  # (N,) bool: photos that may be used

    @staticmethod
    def of(scenario: Scenario, memory: Remembered) -> World:
        bank = Bank.of(memory)
        album = Album(bank.rgb, bank.seen, bank.camera, bank.number, bank.lens[:, 0].astype(np.float32), bank.gain)
        own = tuple(own_pixels(bank, i) for i in range(len(memory.photos)))
        layout = LayoutRaster().remember(scenario)
        return World(layout, bank, Owners.of(memory, scenario), album, own, np.ones(len(bank.time), bool))

    def without(self, time: float, gap: float) -> World:
        """The same world without the photos, of any camera, that were taken within `gap` [s] of a time."""
        return replace(self, allowed=self.allowed & (np.abs(self.bank.time - time) > gap))


@dataclass(frozen=True)
class MemoryWorld:
    """WorldGenerator that reprojects a log's photos by its lidar. Frames do not depend on `threads`.

    The first `remember` of a log builds its memory and keeps it on disk (see `drivesim.memory.shelf`).
    """

    threads: int = 0  # 0: as many as numba may use
    width: int = Settings.width  # of the remembered photos [px]
    megabytes: int = Settings.megabytes  # of them on disk, at most

    def remember(self, scenario: Scenario) -> World:
        settings = Settings(width=self.width, megabytes=self.megabytes)
        return World.of(scenario, shelf.remember(scenario, settings))

    def render(
        self, state: State, world: World, cameras: Sequence[Camera], told: Told | None = None
    ) -> tuple[Frames, World]:
        """Frames by camera name; provenance says of each pixel where it is from.

        OBSERVED is the photo that was taken from here and now, REPROJECTED are photos from elsewhere; PROXY is what
        the layout draws and what is smoothed over. Where no photo may be used, all is as the layout draws it.
        """
        agents = state.agents.map(lambda x: x.double() if x.is_floating_point() else x)
        lap = _Laps(told)
        vehicle = world.layout.scene.briefing.vehicle
        ego = vehicle.world_from_ego(agents[..., 0])
        eyes = [Eye.of(camera, ego) for camera in cameras]
        now = int(state.step) * world.layout.scene.briefing.dt
        drawn, _ = LayoutRaster(self.threads).render(state, world.layout, [eye.camera for eye in eyes])
        lap("layout")
        if not world.allowed.any():
            return {eye.camera.name: _as_drawn(eye, drawn[eye.camera.name], now) for eye in eyes}, world
        views = [_View.of(world, agents, eye, now) for eye in eyes]
        pool = each(self.threads or numba.get_num_threads())
        pool(_View.place, views)
        lap("depth")
        pool(_View.choose, views)
        lap("choose")
        pool(lambda job: job[0].blend(job[1]), [(v, k) for v in views for k in range(BANDS)])
        lap("blend")
        frames = dict(pool(lambda v: (v.eye.camera.name, v.frame(drawn[v.eye.camera.name])), views))
        lap("compose")
        return frames, world


BANDS = 2  # parts of a picture that are blended on their own


def _as_drawn(eye: Eye, frame, time: float):
    rgb = frame.rgb.permute(1, 2, 0).numpy()
    rest = (frame.depth, frame.semantics, frame.instance, frame.provenance)
    return eye.frame(time, rgb, *(x.numpy() for x in rest))


class _Laps:
    def __init__(self, told: Told | None) -> None:
        self.told, self.last = told, clock.perf_counter()

    def __call__(self, stage: str) -> None:
        now = clock.perf_counter()
        if self.told:
            self.told(stage, now - self.last)
        self.last = now


@dataclass(eq=False)
class _View:
    """One picture in the making."""

    world: World
    eye: Eye
    time: float
    boxes: np.ndarray  # (A, 4, 4) world_from_box now
    half_step: float  # [s] so far from now a photo may be to be the one of this view
    size: np.ndarray  # (A, 3) of the agents [m]
    valid: np.ndarray  # (A,) bool
    known: np.ndarray  # (A,) bool: who is remembered
    gain: np.ndarray  # (3,) exposure of the picture
    seen: Seen
    rgb: np.ndarray
    provenance: np.ndarray
    run: np.ndarray | None = None  # (R,) which of the owners' runs are placed
    sightings: Sightings | None = None
    choice: Choice | None = None

    @staticmethod
    def of(world: World, agents: Agents, eye: Eye, time: float) -> _View:
        h, w = eye.camera.height, eye.camera.width
        return _View(
            world, eye, time, agents.world_from_box.numpy(), world.layout.scene.briefing.dt / 2 + 1e-6,
            agents.size.numpy(), agents.valid.numpy(), world.owners.known(agents),
            world.bank.exposure(eye.camera.name, time, world.allowed), Seen.nothing(h, w),
            np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.uint8),
        )  # fmt: skip

    def place(self) -> None:
        """Depth, disc and run of each pixel."""
        placed, self.run = self.world.owners.placed(self.boxes, self.known)
        see(self.world.owners.discs, placed, self.eye.camera_from_world, self.eye.lens, self.seen)
        mend(self.seen)

    def choose(self) -> None:
        """Which photos each tile and each agent may look itself up in."""
        bank, owners = self.world.bank, self.world.owners
        standing, usable = look.standing(bank, self.eye, self.time, self.half_step, self.world.allowed)
        h, w = self.seen.depth.shape
        shape = (-(-h // TILE), -(-w // TILE), MANY)
        near, far = np.empty(shape, np.int32), np.empty(shape, np.int32)
        still = np.append(owners.owner[self.run] == STANDING, False)[self.seen.run]
        entries = look.choose(bank, standing, usable, self.seen.depth, still, self.eye, near, far)
        runs = np.flatnonzero(np.bincount(self.seen.run.ravel() + 1, minlength=len(self.run) + 1)[1:])
        runs = runs[owners.owner[self.run[runs]] != STANDING]
        agents = owners.owner[self.run[runs]]
        others, which = look.of_agents(bank, self.eye, agents, self.boxes[agents], owners.mirrored[self.run[runs]],
                                       self.time, self.half_step, self.world.allowed)  # fmt: skip
        own = np.full((len(self.run), MANY), -1, np.int32)
        own[runs] = np.where(which < 0, -1, which + len(standing.photo))
        self.sightings = Sightings(*(np.concatenate(pair) for pair in zip(standing, others, strict=True)))
        self.choice = Choice(near, far, own, entries)

    def blend(self, band: int) -> None:
        world, s, c = self.world, self.sightings, self.choice
        tiles = len(c.near)
        code = (world.owners.owner[self.run] + 2).astype(np.int32)
        target = Target(self.eye.lens.astype(np.float32), self.seen.depth, self.seen.run, code, self.gain)
        blend(
            (tiles * band // BANDS, tiles * (band + 1) // BANDS), target, world.album, s.photo, s.matrix, s.eye, s.cost,
            s.same, c.near, c.far, c.run, c.any, self.rgb, self.provenance,
        )  # fmt: skip

    def frame(self, drawn: Frame) -> Frame:
        """The picture; drawn: the layout's."""
        owners, seen, bank = self.world.owners, self.seen, self.world.bank
        owner = np.append(owners.owner[self.run], np.int32(-1)).astype(np.int16)[seen.run]
        semantics = np.append(owners.semantic, np.uint8(Semantic.SKY))[seen.disc]
        there = self.valid & owners.there(self.boxes, bank.memory, self.time)
        self._uncover(there, (seen.run >= 0) & (owner == STANDING))
        tint = np.full((len(self.valid), 3), np.nan, np.float32)
        tint[self.known] = (bank.tint(self.world.allowed) * self.gain)[np.flatnonzero(self.known)]
        draft = Draft(self.rgb, seen.depth, semantics, owner, self.provenance)
        d = compose(draft, drawn, self.known, tint, self._shadows(~there), self.eye.lens)
        if owners.mirrored.any():
            mirrored = np.append(owners.mirrored[self.run], False)[seen.run]
            d.provenance[mirrored & (d.instance >= 0)] = int(Provenance.PROXY)
        show(self, d, self.world.layout.scene.briefing.cameras)
        rgb = np.clip(d.rgb + 0.5, 0, 255).astype(np.uint8)
        return self.eye.frame(self.time, rgb, d.depth, d.semantics, d.instance, d.provenance)

    def _uncover(self, there: np.ndarray, still: np.ndarray) -> None:
        """Make holes where agents that have left stood: photos show nothing else there."""
        gone, boxes = self.world.owners.left(there, self.world.bank.memory, self.time)
        if len(gone):
            size, box_from_camera = self.world.owners.size[gone], np.linalg.inv(boxes) @ self.eye.world_from_camera
            uncover(
                self.provenance, self.seen.depth, still, self.eye.lens, box_from_camera, size[:, :2] / 2, size[:, 2]
            )

    def _shadows(self, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """box_from_camera (n, 4, 4) and half sizes (n, 2) of the agents whose shadow no photo shows where it is."""
        who = np.flatnonzero(self.valid & moved & np.isfinite(self.boxes).all((1, 2)))
        return np.linalg.inv(self.boxes[who]) @ self.eye.world_from_camera, self.size[who, :2] / 2
