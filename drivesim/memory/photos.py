"""The photo bank: every photo at one working size, without distortion, with what each of its pixels shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from .. import camera as lens
from ..errors import InputError
from ..types import Camera, RecordedImage
from .discs import Discs, Placed, Seen, mend, see
from .remembered import STANDING, Photos, Surfels, between

New = Callable[[str, tuple[int, ...], type], np.ndarray]
"""Makes the array of this name, shape and dtype, on disk or not."""

BYTES = 4.25
"""Of a photo, for each pixel: rgb, and at half size depth, owner and what is usable."""


@dataclass(frozen=True, eq=False)
class Album:
    """The photos of one camera that are to be kept, and the pinhole they are brought to."""

    camera: Camera
    images: tuple[RecordedImage, ...]


def albums(images: dict[str, Sequence[RecordedImage]], width: int, most_bytes: float) -> tuple[list[Album], list[str]]:
    """What to keep of a log's photos: `width` pixels wide (or as wide as they are), within `most_bytes` in all."""
    found = [
        Album(_pinhole(log[0].camera, width), tuple(sorted(log, key=lambda i: i.time)))
        for _, log in sorted(images.items())
        if len(log)
    ]
    total = sum(len(a.images) * a.camera.width * a.camera.height * BYTES for a in found)
    if total <= most_bytes:
        return found, []
    share = most_bytes / total
    thin = [Album(a.camera, _thinned(a.images, max(int(len(a.images) * share), 1))) for a in found]
    kept, of = (sum(len(a.images) for a in group) for group in (thin, found))
    return thin, [f"{kept} of {of} photos are remembered: all of them would take {total / 2**20:.0f} MiB"]


def _pinhole(camera: Camera, width: int) -> Camera:
    width = 2 * (min(width, camera.width) // 2)
    height = 2 * max(round(camera.height * width / camera.width / 2), 1)
    small = camera.resized(width, height)
    return Camera(small.name, width, height, small.intrinsics, small.ego_from_camera, (), small.rate)


def _thinned(images: tuple[RecordedImage, ...], count: int) -> tuple[RecordedImage, ...]:
    """Photos spread evenly over the way and the time that passed between them: a metre counts like a second."""
    place = np.array([image.world_from_camera[:3, 3].tolist() for image in images])
    step = np.linalg.norm(np.diff(place, axis=0), axis=1) + np.diff([image.time for image in images])
    passed = np.append(0, np.cumsum(step))
    wanted = np.linspace(0, passed[-1], count)
    return tuple(images[i] for i in np.unique(np.abs(passed[:, None] - wanted).argmin(0)))


def develop(album: Album, new: New) -> tuple[Photos, list[str]]:
    """Read an album's photos; those that cannot be read are left out and told. Nothing is known of their pixels yet."""
    pin, problems, taken = album.camera, [], []
    height, width = pin.height, pin.width
    rgb = new("rgb", (len(album.images), height, width, 3), np.uint8)
    reached = np.ones((len(album.images), height // 2, width // 2), bool)
    for image in album.images:
        try:
            picture = image.read().permute(1, 2, 0).numpy()
        except InputError as error:
            problems.append(f"a photo of {pin.name} is left out: {error}")
            continue
        rgb[len(taken)], reached[len(taken)] = _brought(picture, image.camera, pin)
        taken.append(image)
    n, half = len(taken), (len(taken), height // 2, width // 2)
    depth, owner, usable = (
        new(name, half, kind) for name, kind in (("depth", np.float16), ("owner", np.int16), ("usable", np.bool_))
    )
    depth[:], owner[:], usable[:] = np.inf, STANDING, reached[:n]
    return Photos(
        pin.name, pin.intrinsics.numpy(), np.array([i.time for i in taken]),
        np.array([i.world_from_camera.double().numpy() for i in taken]).reshape(-1, 4, 4),
        rgb[:n], np.ones((n, 3), np.float32), depth, owner, usable,
    ), problems  # fmt: skip


def _brought(picture: np.ndarray, camera: Camera, pin: Camera) -> tuple[np.ndarray, np.ndarray]:
    """A photo (h0, w0, 3) as the pinhole would have taken it (h, w, 3), and where light reached it (h/2, w/2)."""
    camera = camera.resized(picture.shape[1], picture.shape[0])
    small = Image.fromarray(picture).resize((pin.width, pin.height), Image.Resampling.BICUBIC)
    scaled = camera.resized(pin.width, pin.height)
    all_of_it = np.ones((pin.height // 2, pin.width // 2), bool)
    if not any(camera.distortion) and torch.allclose(scaled.intrinsics, pin.intrinsics, atol=1e-6):
        return np.asarray(small), all_of_it
    pixels, _ = lens.project(scaled, lens.rays(pin).reshape(-1, 3))
    return _sampled(np.asarray(small), pixels.numpy().reshape(pin.height, pin.width, 2))


def _sampled(picture: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bilinear at pixels (h, w, 2); black, and not reached, where they are NaN or outside."""
    height, width = picture.shape[:2]
    x, y = pixels[..., 0] - 0.5, pixels[..., 1] - 0.5
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    x, y = np.clip(np.nan_to_num(x), 0, width - 1.001), np.clip(np.nan_to_num(y), 0, height - 1.001)
    column, row = x.astype(int), y.astype(int)
    fx, fy = (x - column)[..., None], (y - row)[..., None]
    flat = picture.reshape(-1, 3).astype(np.float32)
    at = row * width + column
    top = flat[at] * (1 - fx) + flat[at + 1] * fx
    low = flat[at + width] * (1 - fx) + flat[at + width + 1] * fx
    out = np.rint(top * (1 - fy) + low * fy) * inside[..., None]
    return out.astype(np.uint8), inside.reshape(height // 2, 2, width // 2, 2).all((1, 3))


def placed(surfels: Surfels, boxes: np.ndarray) -> tuple[Placed, np.ndarray]:
    """All owners where boxes (A, 4, 4) put them, and who each run is (R,); who is nowhere is left out."""
    owner, first = np.unique(surfels.owner, return_index=True)
    last = np.append(first[1:], len(surfels.owner))
    poses = np.concatenate([boxes, np.eye(4)[None]])[owner]  # STANDING is -1: the last
    there = np.isfinite(poses).all((1, 2))
    return Placed(first[there].astype(np.int64), last[there].astype(np.int64), poses[there]), owner[there]


def look(photos: Photos, surfels: Surfels, world_from_box: np.ndarray, dt: float) -> None:
    """Fill in depth and owner of the photos: what each half-size pixel shows, by all surfels as they were then."""
    k = photos.intrinsics
    optics = np.array([k[0, 0], k[1, 1], k[0, 2], k[1, 2]]) / 2
    discs = Discs.of(surfels.xyz, surfels.normal, surfels.radius)
    for i, time in enumerate(photos.time):
        runs, owner = placed(surfels, between(world_from_box, time / dt))
        seen = Seen.nothing(*photos.depth.shape[1:])
        see(discs, runs, np.linalg.inv(photos.world_from_camera[i]), optics, seen)
        mend(seen)
        photos.depth[i] = seen.depth
        photos.owner[i] = np.append(owner, STANDING)[seen.run]
