"""Which disc does each pixel see? A hard z-buffer over small oriented discs, in numba.

A pixel's ray d (with z = 1) meets the plane of a disc with centre c and normal n at depth (n . c) / (n . d), and the
disc where that place is within its radius of c. A disc that falls between the pixels' centres, for it is far or seen
edge-on, still takes the pixel that its own centre lies in; its depth there stays within the disc's own.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

BLOCK = 128
"""Discs that are looked at, or passed over, together."""

NEAR = 0.1  # [m] no disc is drawn that reaches closer to the camera's plane

_THIN = 0.5  # squared distance [px^2] from its centre up to which any disc is seen: half a pixel's diagonal


class Discs(NamedTuple):
    """N discs, each in the frame of what it belongs to. Neighbours in space should be neighbours in the list."""

    xyz: np.ndarray  # (N, 3) float32 [m]
    normal: np.ndarray  # (N, 3) float32, unit; both sides are seen
    radius: np.ndarray  # (N,) float32 [m]
    balls: np.ndarray  # (ceil(N / BLOCK), 4) float64: centre and radius of what each BLOCK of discs covers [m]

    @staticmethod
    def of(xyz: np.ndarray, normal: np.ndarray, radius: np.ndarray) -> Discs:
        starts = np.arange(0, len(xyz), BLOCK)
        if not len(starts):
            return Discs(xyz, normal, radius, np.zeros((0, 4)))
        low = np.minimum.reduceat(xyz - radius[:, None], starts).astype(np.float64)
        high = np.maximum.reduceat(xyz + radius[:, None], starts).astype(np.float64)
        return Discs(xyz, normal, radius, np.column_stack([low + high, np.linalg.norm(high - low, axis=1)]) / 2)


class Placed(NamedTuple):
    """R runs of discs and where each stands; the same discs may be placed more than once."""

    first: np.ndarray  # (R,) int64
    last: np.ndarray  # (R,) int64, excluded
    world_from_run: np.ndarray  # (R, 4, 4) float64


class Seen(NamedTuple):
    """What the pixels of one view show."""

    depth: np.ndarray  # (h, w) float32 along the optical axis [m]; inf: nothing
    disc: np.ndarray  # (h, w) int32, -1: none
    run: np.ndarray  # (h, w) int16, -1: none

    @staticmethod
    def nothing(height: int, width: int) -> Seen:
        shape = (height, width)
        return Seen(np.full(shape, np.inf, np.float32), np.full(shape, -1, np.int32), np.full(shape, -1, np.int16))


def see(discs: Discs, placed: Placed, camera_from_world: np.ndarray, lens: np.ndarray, seen: Seen) -> None:
    """Draw into `seen` what is nearer than what it holds.

    camera_from_world: (4, 4); lens (4,): fx, fy, cx, cy [px] at the buffers' size. Of discs at the same depth the
    first one stays, so that the picture depends on nothing but its input.
    """
    camera_from_run = (camera_from_world @ placed.world_from_run)[:, :3]
    lens = np.asarray(lens, np.float64)
    work = _in_view(discs.balls, placed, camera_from_run, lens, seen.depth.shape)
    _see(discs, *work, camera_from_run.astype(np.float32), lens.astype(np.float32), seen, seen.depth.copy())


def _in_view(balls, placed, camera_from_run, lens, shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which discs to draw, in pieces (M,): run, first, last. Nearest first: what they hide is soon passed over."""
    block = placed.first // BLOCK
    count = np.where(placed.last > placed.first, (placed.last - 1) // BLOCK - block + 1, 0)
    run = np.repeat(np.arange(len(count)), count)
    block = np.arange(len(run)) + np.repeat(block - (np.cumsum(count) - count), count)
    first, last = np.maximum(block * BLOCK, placed.first[run]), np.minimum((block + 1) * BLOCK, placed.last[run])
    center = np.einsum("nij,nj->ni", camera_from_run[run, :, :3], balls[block, :3]) + camera_from_run[run, :, 3]
    radius = balls[block, 3] * np.linalg.norm(camera_from_run[run, 2, :3], axis=1)
    fx, fy, cx, cy = lens
    keep = center[:, 2] > NEAR - radius
    one = 1.0  # [px] by which a disc may be seen beside itself
    sides = ((fx, 0, cx + one), (-fx, 0, shape[1] - cx + one), (0, fy, cy + one), (0, -fy, shape[0] - cy + one))
    for plane in np.array(sides):
        keep &= center @ (plane / np.linalg.norm(plane)) > -radius
    order = np.flatnonzero(keep)
    order = order[np.argsort((np.linalg.norm(center, axis=1) - radius)[order], kind="stable")]
    return run[order], first[order], last[order]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _see(discs, pieces, first, last, camera_from_run, lens, seen, keys):
    depth, disc, run = seen.depth, seen.disc, seen.run
    height, width = depth.shape
    fx, fy, cx, cy = lens
    one, half = np.float32(1), np.float32(0.5)
    near, thin = np.float32(NEAR), np.float32(_THIN)
    per_x, per_y = one / fx, one / fy
    right, bottom = np.float32(width), np.float32(height)
    for piece in range(len(pieces)):
        k = pieces[piece]
        m = camera_from_run[k]
        for i in range(first[piece], last[piece]):
            px, py, pz = discs.xyz[i, 0], discs.xyz[i, 1], discs.xyz[i, 2]
            z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
            if z < near:
                continue
            x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
            y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
            inverse = one / z
            u, v = fx * x * inverse + cx, fy * y * inverse + cy
            r = discs.radius[i]
            if z < near + r:
                continue
            reach = r * (one / (z - r))  # of a ball of this radius, on the plane at z = 1, seen along the axis
            wide = fx * reach * (one + abs(x * inverse)) + one
            high = fy * reach * (one + abs(y * inverse)) + one
            if u + wide < 0 or u - wide > right or v + high < 0 or v - high > bottom:
                continue
            nx, ny, nz = discs.normal[i, 0], discs.normal[i, 1], discs.normal[i, 2]
            a = m[0, 0] * nx + m[0, 1] * ny + m[0, 2] * nz
            b = m[1, 0] * nx + m[1, 1] * ny + m[1, 2] * nz
            c = m[2, 0] * nx + m[2, 1] * ny + m[2, 2] * nz
            deep = r * np.sqrt(max(one - c * c, np.float32(0)))
            front = z - deep
            nearest = one / front
            wide = fx * (r * np.sqrt(max(one - a * a, np.float32(0))) + abs(x) * inverse * deep) * nearest
            high = fy * (r * np.sqrt(max(one - b * b, np.float32(0))) + abs(y) * inverse * deep) * nearest
            wide, high = max(wide, half), max(high, half)
            x0, x1 = int(max(np.ceil(u - wide - half), 0)), int(min(np.floor(u + wide - half), right - one))
            y0, y1 = int(max(np.ceil(v - high - half), 0)), int(min(np.floor(v + high - half), bottom - one))
            along, rr = a * x + b * y + c * z, r * r
            for row in range(y0, y1 + 1):
                middle = np.float32(row) + half
                dv, dy = middle - v, (middle - cy) * per_y
                base = b * dy + c
                for column in range(x0, x1 + 1):
                    held = keys[row, column]
                    if held < front:
                        continue
                    middle = np.float32(column) + half
                    du, dx = middle - u, (middle - cx) * per_x
                    t = along / (a * dx + base)
                    ex, ey, ez = t * dx - x, t * dy - y, t - z
                    off = ex * ex + ey * ey + ez * ez
                    if not off <= rr:  # NaN is not, either
                        if du * du + dv * dv > thin:
                            continue
                        t = min(max(t, z - deep), z + deep) if t > 0 else z
                        off = rr
                    key = t + off / r
                    if key < held or (key == held and (k, i) < (run[row, column], disc[row, column])):
                        keys[row, column] = key
                        depth[row, column] = t
                        disc[row, column] = i
                        run[row, column] = k


def mend(seen: Seen) -> None:
    """Close pinholes: a pixel that looks past at least six of its eight neighbours, which are of one run and of about
    one depth, takes their mean depth, and the disc and run of one of them."""
    _mend(seen, seen.depth.copy(), seen.disc.copy(), seen.run.copy())


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mend(seen, depth, disc, run):
    height, width = depth.shape
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            nearest, r0, c0 = np.float32(np.inf), row, column
            for r in range(row - 1, row + 2):
                for c in range(column - 1, column + 2):
                    if depth[r, c] < nearest:
                        nearest, r0, c0 = depth[r, c], r, c
            limit = np.float32(1.06) * nearest + np.float32(0.05)
            if not nearest < np.inf or depth[row, column] <= limit:
                continue
            count, total = 0, np.float32(0)
            for r in range(row - 1, row + 2):
                for c in range(column - 1, column + 2):
                    if depth[r, c] <= limit and run[r, c] == run[r0, c0]:
                        count, total = count + 1, total + depth[r, c]
            if count >= 6:
                seen.depth[row, column] = total / np.float32(count)
                seen.disc[row, column], seen.run[row, column] = disc[r0, c0], run[r0, c0]
