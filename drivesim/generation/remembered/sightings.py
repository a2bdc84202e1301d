"""Where could a pixel's colour come from? Sightings: a photo, and how a point of the picture to be made is found in it.

A point of the picture belongs to a run: the standing world, or an agent. A run's sighting in a photo knows how to get
from the picture's camera over the run's own frame, placed as it was when the photo was taken, to the photo's pixels.
The costs of sightings are in units of STEEP: what looks at a point from another side, or coarser, costs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .bank import Bank
from .compiling import compiled

MANY = 8
"""Sightings that a tile of the picture, or an agent, has to choose from."""

OF_ONE = 3
"""Of them so many are of one camera for each depth looked up: where a photo ends another camera's takes over."""

SPARE = 40
"""Sightings in which a pixel is looked up that none of its tile's shows."""

TILE = 16
"""Edge of a tile [px]."""

FAR = 2000.0
"""Where what has no depth is taken to be [m]."""

STEEP = 0.12
"""Angle between two views of a point [rad] that costs one."""

COARSE = 1.5
"""Cost of a photo that is half as fine as the picture."""

AGE = 0.04
"""Cost of a second between a photo and now: shadows wander, poses drift."""

OTHER = 1.5
"""Cost of a photo of another camera: its lens darkens otherwise towards the rim, its shutter opened at another time."""

_WIDE = np.cos(np.radians(75))  # a photo that looks at a point from farther round shows another side of it
BORDER = 36.0
"""From a photo's border inwards [px], a photo costs up to EDGE more, so that others take over softly."""

EDGE = 2.0

_APART = 0.8  # [s] of two photos from one spot the second must be so much older: who hid a place has moved on
_SHOWN = 6  # half-size pixels of an agent that make a photo worth looking at


class Sightings(NamedTuple):
    """S of them."""

    photo: np.ndarray  # (S,) int32
    matrix: np.ndarray  # (S, 3, 4) float32: from a point in the picture's camera to the photo's pixel times depth
    eye: np.ndarray  # (S, 3) float32: the photo's eye as seen from the picture's camera [m]
    cost: np.ndarray  # (S,) float32, for itself
    same: np.ndarray  # (S,) bool: the recorded photo of this very view


class Choice(NamedTuple):
    """What to look at, best first, -1 for no more."""

    near: np.ndarray  # (rows, columns, MANY) int32 sightings for a tile's standing things
    far: np.ndarray  # (rows, columns, MANY) int32 for what has no depth
    run: np.ndarray  # (R, MANY) int32 for the agents' runs
    any: np.ndarray  # (n,) int32 sightings of the standing world that may help where all of a tile's fail


def standing(bank: Bank, eye, time: float, half: float, allowed: np.ndarray) -> tuple[Sightings, np.ndarray]:
    """All photos as sightings of the standing world, number by number, and which of them the view may use.

    eye: the picture's camera; half: so far from now [s] a photo may be to be the one of this view.
    """
    way = bank.camera_from_world @ eye.world_from_camera
    found = _ways(bank, np.arange(len(bank.time)), way, eye, time, half)
    return found, allowed & _meets(bank, found, eye)


def of_agents(
    bank: Bank, eye, agents: np.ndarray, boxes: np.ndarray, mirrored: np.ndarray, time: float, half: float,
    allowed: np.ndarray,
) -> tuple[Sightings, np.ndarray]:  # fmt: skip
    """The best photos of agents (n,) with boxes (n, 4, 4) now for this view of them, or of their mirror images
    mirrored (n,); and for each which of the sightings are its own (n, MANY), best first, -1 for no more."""
    flip = np.where(mirrored[:, None, None], np.diag([1.0, -1, 1, 1]), np.eye(4))
    box_from_eye = flip @ np.linalg.inv(boxes) @ eye.world_from_camera
    middle = (eye.camera_from_world @ boxes)[:, :3, 3]
    chosen = np.full((len(agents), MANY), -1, np.int32)
    name = eye.camera.name
    number = bank.names.index(name) if name in bank.names else -1
    base = np.where(allowed, AGE * np.abs(bank.time - time) + OTHER * (bank.camera != number), np.inf)
    _rank_agents(agents.astype(np.int64), box_from_eye, middle, base, bank.photo_from_box, bank.shown, bank.lens[:, 0],
                 eye.lens[0], bank.spot, bank.time, chosen)  # fmt: skip
    row, column = np.nonzero(chosen >= 0)
    use = chosen[row, column]
    own = np.full_like(chosen, -1)
    own[row, column] = np.arange(len(row))
    way = bank.photo_from_box[use, agents[row]] @ box_from_eye[row]
    return _ways(bank, use, way, eye, time, half), own


@compiled
def _rank_agents(agents, box_from_eye, middle, base, photo_from_box, shown, focal, fx, spot, time, chosen):
    cost = np.empty(len(base))
    for i in range(len(agents)):
        a, most = agents[i], 1e-9
        mx, my, mz = middle[i]
        away = np.sqrt(mx * mx + my * my + mz * mz)
        for p in range(len(base)):
            cost[p] = np.inf
            if shown[p, a] < _SHOWN or not base[p] < np.inf:
                continue
            m, e = photo_from_box[p, a], box_from_eye[i]
            x, y, z = 0.0, 0.0, 0.0  # the photo's eye as seen from the picture's camera: -(m e)^T times its shift
            for r in range(3):
                t = m[r, 0] * e[0, 3] + m[r, 1] * e[1, 3] + m[r, 2] * e[2, 3] + m[r, 3]
                x -= (m[r, 0] * e[0, 0] + m[r, 1] * e[1, 0] + m[r, 2] * e[2, 0]) * t
                y -= (m[r, 0] * e[0, 1] + m[r, 1] * e[1, 1] + m[r, 2] * e[2, 1]) * t
                z -= (m[r, 0] * e[0, 2] + m[r, 1] * e[1, 2] + m[r, 2] * e[2, 2]) * t
            dx, dy, dz = mx - x, my - y, mz - z
            far = max(np.sqrt(dx * dx + dy * dy + dz * dz), 0.5)
            cosine = (dx * mx + dy * my + dz * mz) / max(far * away, 1e-9)
            fine = focal[p] / far * away / fx
            cost[p] = base[p] + np.sqrt(max(2 - 2 * cosine, 0.0)) / STEEP + COARSE * max(1 / fine - 1, 0.0)
            most = max(most, shown[p, a] * (far / focal[p]) ** 2)
        for p in range(len(base)):  # [m^2] seen of it: little where others hide it
            if cost[p] < np.inf:
                m, e = photo_from_box[p, a], box_from_eye[i]
                deep = 0.0
                for r in range(3):
                    t = m[r, 0] * e[0, 3] + m[r, 1] * e[1, 3] + m[r, 2] * e[2, 3] + m[r, 3]
                    for c in range(3):
                        t += (m[r, 0] * e[0, c] + m[r, 1] * e[1, c] + m[r, 2] * e[2, c]) * middle[i, c]
                    deep += t * t
                cost[p] += 1 - min(shown[p, a] * deep / focal[p] ** 2 / most, 1.0)
        count = 0
        while count < MANY:
            best = -1
            for p in range(len(base)):
                if cost[p] < np.inf and (best < 0 or cost[p] < cost[best]):
                    best = p
            if best < 0:
                break
            cost[best] = np.inf
            twins, ok = 0, True
            for k in range(count):
                if spot[chosen[i, k]] == spot[best]:
                    twins += 1
                    ok = ok and abs(time[chosen[i, k]] - time[best]) >= _APART
            if ok and twins < 2:
                chosen[i, count] = best
                count += 1


def _ways(bank: Bank, use: np.ndarray, way: np.ndarray, eye, time: float, half: float) -> Sightings:
    """Sightings of photos `use` (n,), each with its way (n, 3, 4) from the picture's camera to the photo's."""
    turned = way[:, :3, :3]
    place = -np.einsum("nij,ni->nj", turned, way[:, :3, 3])
    fx, fy, cx, cy = bank.lens[use].T[..., None]
    matrix = np.stack([fx * way[:, 0] + cx * way[:, 2], fy * way[:, 1] + cy * way[:, 2], way[:, 2]], 1)
    age = np.abs(bank.time[use] - time)
    name = eye.camera.name
    own = bank.camera[use] == (bank.names.index(name) if name in bank.names else -1)
    near = own & (age <= half) & (np.linalg.norm(place, axis=1) < 0.02)
    same = near & (np.trace(turned, axis1=1, axis2=2) > 3 - 4e-6)
    return Sightings(
        use.astype(np.int32), matrix.astype(np.float32), place.astype(np.float32),
        (AGE * age + OTHER * ~own).astype(np.float32), same,
    )  # fmt: skip


def _meets(bank: Bank, found: Sightings, eye) -> np.ndarray:
    """Which photos (S,) show something of what the picture will: of points on its rays at a few depths."""
    width, height = eye.camera.width, eye.camera.height
    fx, fy, cx, cy = eye.lens
    u, v = np.meshgrid(np.linspace(0.02, 0.98, 9) * width, np.linspace(0.02, 0.98, 5) * height)
    ray = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones_like(u)], -1).reshape(-1, 3)
    points = np.concatenate([ray * d for d in (2.0, 5.0, 15.0, 60.0, FAR)])
    x, y, z = np.einsum("sij,nj->isn", found.matrix[:, :, :3], points) + found.matrix[:, :, 3].T[:, :, None]
    deep = np.maximum(z, 0.05)
    wide, high = bank.size[found.photo].T[..., None]
    inside = (z > 0.05) & (x > 0) & (x < wide * deep) & (y > 0) & (y < high * deep)
    return inside.any(1)


def choose(bank: Bank, found: Sightings, usable: np.ndarray, depth: np.ndarray, still: np.ndarray, eye, near, far):
    """Fill `near` and `far` (rows, columns, MANY) for the tiles of a picture with depth (h, w); still (h, w) bool:
    pixels of the standing world. What is left to look into where all of these fail (n,)."""
    entries = np.flatnonzero(usable).astype(np.int32)
    _choose(
        entries, found.matrix, found.eye, found.cost, bank.lens[:, 0].astype(np.float32), bank.size, bank.spot,
        bank.camera, bank.time, depth, still, eye.lens, near, far,
    )  # fmt: skip
    return _spare(found.cost, entries, bank.spot)


def _spare(cost: np.ndarray, entries: np.ndarray, spot: np.ndarray) -> np.ndarray:
    """Of each spot the cheapest entry, at most SPARE of them spread over the spots; cheapest first."""
    order = entries[np.argsort(cost[entries], kind="stable")]
    first = order[np.sort(np.unique(spot[order], return_index=True)[1])]
    return first[np.unique(np.linspace(0, len(first) - 1, min(len(first), SPARE)).round().astype(int))]


@compiled
def _choose(entries, matrix, eyes, cost, focal, size, spot, camera, time, depth, still, lens, near, far):
    rows, columns, many = near.shape
    height, width = depth.shape
    fx, fy, cx, cy = np.float32(lens[0]), np.float32(lens[1]), np.float32(lens[2]), np.float32(lens[3])
    score = np.empty(len(entries), np.float32)
    for tr in range(rows):
        for tc in range(columns):
            near[tr, tc, :], far[tr, tc, :] = -1, -1
            first, last = np.float32(np.inf), np.float32(0)
            r0, c0, r1, c1, empty = -1, -1, -1, -1, False
            for row in range(tr * TILE, min(tr * TILE + TILE, height), 3):
                for column in range(tc * TILE, min(tc * TILE + TILE, width), 3):
                    z = depth[row, column]
                    if not z < np.inf:
                        empty = True
                    elif still[row, column]:
                        if z < first:
                            first, r0, c0 = z, row, column
                        if z > last:
                            last, r1, c1 = z, row, column
            if r0 >= 0:
                share = many if last < np.float32(1.3) * first else many // 2
                _rank(entries, matrix, eyes, cost, focal, size, (c0 + 0.5 - cx) / fx * first,
                      (r0 + 0.5 - cy) / fy * first, first, fx, score)  # fmt: skip
                count = _take(entries, score, spot, camera, time, near[tr, tc], 0, share)
                if share < many:
                    _rank(entries, matrix, eyes, cost, focal, size, (c1 + 0.5 - cx) / fx * last,
                          (r1 + 0.5 - cy) / fy * last, last, fx, score)  # fmt: skip
                    _take(entries, score, spot, camera, time, near[tr, tc], count, many)
            if empty:
                x, y = (tc * TILE + TILE // 2 - cx) / fx * FAR, (tr * TILE + TILE // 2 - cy) / fy * FAR
                _rank(entries, matrix, eyes, cost, focal, size, x, y, np.float32(FAR), fx, score)
                _take(entries, score, spot, camera, time, far[tr, tc], 0, many)


@compiled
def _rank(entries, matrix, eyes, cost, focal, size, x, y, z, fx, score):
    """Cost of each entry for a point in the picture's camera; inf where it cannot be seen."""
    x, y = np.float32(x), np.float32(y)
    slack = np.float32(12)  # [px] other pixels of the tile may lie inside where this one does not
    length = np.sqrt(x * x + y * y + z * z)
    for k in range(len(entries)):
        s = entries[k]
        m = matrix[s]
        score[k] = np.inf
        deep = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
        if deep < np.float32(0.3):
            continue
        u = (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]) / deep
        v = (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]) / deep
        if u < -slack or v < -slack or u > size[s, 0] + slack or v > size[s, 1] + slack:
            continue
        ex, ey, ez = x - eyes[s, 0], y - eyes[s, 1], z - eyes[s, 2]
        cosine = (x * ex + y * ey + z * ez) / (length * np.sqrt(ex * ex + ey * ey + ez * ez))
        if cosine < _WIDE:
            continue
        angle = np.sqrt(max(np.float32(2) - np.float32(2) * cosine, np.float32(0)))
        rough = max(fx * deep / (focal[s] * z) - np.float32(1), np.float32(0))
        inner = min(min(u, v), min(size[s, 0] - u, size[s, 1] - v))
        rim = min(max(np.float32(1) - inner / np.float32(BORDER), np.float32(0)), np.float32(1))
        score[k] = cost[s] + angle / np.float32(STEEP) + np.float32(COARSE) * rough + np.float32(EDGE) * rim * rim


@compiled
def _take(entries, score, spot, camera, time, out, start, stop):
    """Put the cheapest entries into out[start:stop] that are not in out yet; where it ended."""
    count = start
    while count < stop:
        best = -1
        for k in range(len(entries)):
            if score[k] < np.inf and (best < 0 or score[k] < score[best]):
                best = k
        if best < 0:
            break
        score[best] = np.inf
        s, twins, siblings, ok = entries[best], 0, 0, True
        for j in range(count):
            other = out[j]
            siblings += camera[other] == camera[s]
            if other == s:
                ok = False
            elif spot[other] == spot[s]:
                twins += 1
                ok = ok and abs(time[other] - time[s]) >= _APART
        if ok and twins < 2 and siblings < start + OF_ONE:
            out[count] = s
            count += 1
    return count
