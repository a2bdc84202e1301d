"""Backward rendering: each pixel of the picture looks itself up in the photos that may have seen it.

The pixel is lifted by its depth, carried over its run's frame into each photo, and tested there: the photo's own depth
and owner must agree. The cheapest few of the photos that agree are mixed (after Buehler et al. 2001): less of a dearer
one, of one near its border, of one that disagrees with the others. `reference.py` says the same plainly, in torch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...types import Provenance
from .bank import UNIT
from .compiling import compiled
from .sightings import BORDER, COARSE, EDGE, FAR, STEEP, TILE

MIXED = 4
"""Photos that a pixel is mixed of, at most."""

TOLERANCE = 0.03
"""Share of its distance by which a photo's depth may be off, and TOLERANCE_M [m]; more is something else."""

TOLERANCE_M = 0.12

SHARP = 0.25
"""Costs that differ by this let the dearer photo's weight fall to a third."""

LEAST = 0.12
"""Weights below this share of the largest are not worth a look."""

_WORSE = np.float32(-SHARP * np.log(LEAST))  # what costs so much more than a photo far from its border weighs nothing
HALF_SEEN = 0.35  # so much of the four depths around must agree
BESIDE = 0.7  # of a place without depth just beside one with it, so much counts: a thin thing may reach there
HIDDEN = 1.5  # cost of a place next to something else
ODD = 14.0  # [8-bit steps] what differs more than this from the others' mean counts less

_WIDE = np.float32(np.cos(np.radians(75)))
_OBSERVED, _REPROJECTED = int(Provenance.OBSERVED), int(Provenance.REPROJECTED)


class Target(NamedTuple):
    """The picture to be made; what is known of it before."""

    lens: np.ndarray  # (4,) float32
    depth: np.ndarray  # (h, w) float32, inf: nothing
    run: np.ndarray  # (h, w) int16, -1: nothing
    code: np.ndarray  # (R,) int32 of each run: 1 for the standing world, 2 + agent
    gain: np.ndarray  # (3,) float32


class Album(NamedTuple):
    """The photos, by camera and number."""

    rgb: tuple
    seen: tuple
    camera: np.ndarray  # (N,) int32
    number: np.ndarray  # (N,) int32
    focal: np.ndarray  # (N,) float32
    gain: np.ndarray  # (N, 3) float32


class Best(NamedTuple):
    """The cheapest sightings that agree, of each of a group's pixels."""

    count: np.ndarray  # (n,) int32; -1: the photo of this very view is among them, and needs no other
    cost: np.ndarray  # (n, MIXED) float32
    which: np.ndarray  # (n, MIXED) int32 sightings
    at: np.ndarray  # (n, MIXED, 4) float32: u, v, how many of the photo's pixels make one of the picture, and how far
    # from the photo's border it is, 0..1


class Group(NamedTuple):
    """Pixels of a tile that belong to one run."""

    row: np.ndarray  # (n,) int32
    column: np.ndarray  # (n,) int32
    place: np.ndarray  # (n, 3) float32 in the picture's camera [m]


@compiled
def blend(rows, target, album, photo, matrix, eye, cost, same, near, far, own, spare, rgb, provenance):
    """Write tile rows [a, b) of rgb (h, w, 3) float32 and provenance (h, w), 0 where no photo shows a pixel."""
    most = TILE * TILE
    best = Best(np.empty(most, np.int32), np.empty((most, MIXED), np.float32), np.empty((most, MIXED), np.int32),
                np.empty((most, MIXED, 4), np.float32))  # fmt: skip
    group = Group(np.empty(most, np.int32), np.empty(most, np.int32), np.empty((most, 3), np.float32))
    colour = np.empty((most, MIXED, 3), np.float32)
    waiting, picked = np.empty((TILE, TILE), np.bool_), np.empty(len(photo), np.bool_)
    picked[:] = False
    for tr in range(rows[0], rows[1]):
        for tc in range(near.shape[1]):
            waiting[:] = True
            while True:
                run, n = _gather(target, tr, tc, waiting, group)
                if n == 0:
                    break
                code = 1 if run < 0 else target.code[run]
                choice = far[tr, tc] if run < 0 else (near[tr, tc] if code == 1 else own[run])
                best.count[:n] = 0
                for s in choice:
                    if s < 0:
                        break
                    p = photo[s]
                    _search(group, n, code, run < 0, target.lens[0], album.seen[album.camera[p]], album.number[p],
                            album.focal[p], s, matrix[s], eye[s], cost[s], same[s], False, best)  # fmt: skip
                if code == 1 and _lost(best.count, n):
                    for s in spare:
                        p = photo[s]
                        _search(group, n, code, run < 0, target.lens[0], album.seen[album.camera[p]], album.number[p],
                                album.focal[p], s, matrix[s], eye[s], cost[s], same[s], True, best)  # fmt: skip
                _weigh(n, best)
                _collect(n, target, album, photo, best, picked, colour)
                _finish(group, n, best, colour, rgb, provenance)


@compiled
def _gather(target, tr, tc, waiting, group):
    """The run of the first pixel of a tile that is waiting, and how many of the tile are of it; they wait no more."""
    height, width = target.depth.shape
    fx, fy, cx, cy = target.lens[0], target.lens[1], target.lens[2], target.lens[3]
    run, n = -2, 0
    for r in range(min(TILE, height - tr * TILE)):
        for c in range(min(TILE, width - tc * TILE)):
            row, column = tr * TILE + r, tc * TILE + c
            mine = target.run[row, column]
            if not waiting[r, c] or (n and mine != run):
                continue
            waiting[r, c] = False
            run = mine
            z = target.depth[row, column] if mine >= 0 else np.float32(FAR)
            group.row[n], group.column[n] = row, column
            group.place[n, 0] = (column + np.float32(0.5) - cx) / fx * z
            group.place[n, 1] = (row + np.float32(0.5) - cy) / fy * z
            group.place[n, 2] = z
            n += 1
    return run, n


@compiled
def _lost(count, n):
    return (count[:n] == 0).any()


@compiled
def _search(group, n, code, empty, fx, seen, number, focal, s, m, eye, own_cost, same, spare, best):
    """Put a sighting among the best of the pixels whose point its photo shows; spare: only where there is none.

    A pixel that the photo of this very view shows needs no other.
    """
    high, wide = seen.shape[1], seen.shape[2]
    flat = seen[number].reshape(-1)
    m00, m01, m02, m03 = m[0, 0], m[0, 1], m[0, 2], m[0, 3]
    m10, m11, m12, m13 = m[1, 0], m[1, 1], m[1, 2], m[1, 3]
    m20, m21, m22, m23 = m[2, 0], m[2, 1], m[2, 2], m[2, 3]
    one, two = np.float32(1), np.float32(2)
    for i in range(n):
        count = best.count[i]
        if count < 0 or (spare and count > 0):
            continue
        most = np.float32(np.inf)
        if count > 0 and best.at[i, 0, 3] == one:
            most = best.cost[i, 0] + _WORSE
        if count == MIXED:
            most = min(most, best.cost[i, MIXED - 1])
        if own_cost >= most:
            continue
        x, y, z = group.place[i, 0], group.place[i, 1], group.place[i, 2]
        deep = m20 * x + m21 * y + m22 * z + m23
        if deep < np.float32(0.3):
            continue
        inverse = one / deep
        u, v = (m00 * x + m01 * y + m02 * z + m03) * inverse, (m10 * x + m11 * y + m12 * z + m13) * inverse
        inner = min(min(u, v), min(two * wide - u, two * high - v))
        if not inner > 0:
            continue
        ex, ey, ez = x - eye[0], y - eye[1], z - eye[2]
        cosine = (x * ex + y * ey + z * ez) / np.sqrt((x * x + y * y + z * z) * (ex * ex + ey * ey + ez * ez))
        if cosine < _WIDE:
            continue
        size = focal * z * inverse / fx
        total = own_cost + np.sqrt(max(two - two * cosine, np.float32(0))) / np.float32(STEEP)
        total += np.float32(COARSE) * max(one / size - one, np.float32(0))
        rim = max(one - inner / np.float32(BORDER), np.float32(0))
        total += np.float32(EDGE) * rim * rim
        if total >= most:
            continue
        half_u, half_v = u * np.float32(0.5) - np.float32(0.5), v * np.float32(0.5) - np.float32(0.5)
        part = _agreement(flat, high, wide, half_u, half_v, deep, code, empty)
        if part < np.float32(HALF_SEEN):
            continue
        total += np.float32(HIDDEN) * (one - part)
        if same:
            best.cost[i, 0], best.which[i, 0], best.count[i] = total, s, -1
            best.at[i, 0, 0], best.at[i, 0, 1], best.at[i, 0, 2], best.at[i, 0, 3] = u, v, size, one
            continue
        if total >= most:
            continue
        k = min(count, MIXED - 1)
        while k > 0 and best.cost[i, k - 1] > total:
            best.cost[i, k], best.which[i, k] = best.cost[i, k - 1], best.which[i, k - 1]
            for c in range(4):
                best.at[i, k, c] = best.at[i, k - 1, c]
            k -= 1
        best.cost[i, k], best.which[i, k] = total, s
        best.at[i, k, 0], best.at[i, k, 1], best.at[i, k, 2], best.at[i, k, 3] = u, v, size, one - rim
        best.count[i] = min(count + 1, MIXED)


@compiled
def _weigh(n, best):
    """From costs to weights, in `cost`: less for a dearer one and towards a photo's border, zero for too little."""
    for i in range(n):
        count, most = abs(best.count[i]), np.float32(0)
        cheapest = best.cost[i, 0]
        for k in range(count):
            inner = best.at[i, k, 3]
            soft = inner * inner * (np.float32(3) - np.float32(2) * inner)
            best.cost[i, k] = (soft + np.float32(1e-4)) * np.exp((cheapest - best.cost[i, k]) / np.float32(SHARP))
            most = max(most, best.cost[i, k])
        for k in range(count):
            if best.cost[i, k] < np.float32(LEAST) * most:
                best.cost[i, k] = np.float32(0)


@compiled
def _collect(n, target, album, photo, best, picked, colour):
    """The colours (n, MIXED, 3) that the weighty sightings show, in the picture's exposure; photo by photo."""
    for i in range(n):
        for k in range(abs(best.count[i])):
            picked[best.which[i, k]] = True
    for i in range(n):
        for k in range(abs(best.count[i])):
            s = best.which[i, k]
            if not picked[s]:
                continue
            picked[s] = False
            p = photo[s]
            _sample_all(album.rgb[album.camera[p]], album.number[p], target.gain, album.gain[p], s, i, n, best, colour)


@compiled
def _sample_all(picture, number, target_gain, gain, s, start, n, best, colour):
    high, wide = picture.shape[1], picture.shape[2]
    flat = picture[number].reshape(-1)
    for i in range(start, n):
        for k in range(abs(best.count[i])):
            if best.which[i, k] == s and best.cost[i, k] > 0:
                _sample(flat, high, wide, best.at[i, k, 0], best.at[i, k, 1], best.at[i, k, 2], colour[i, k])
                for c in range(3):
                    colour[i, k, c] *= target_gain[c] / gain[c]


@compiled
def _finish(group, n, best, colour, rgb, provenance):
    """Mix the colours of each pixel; what is odd beside the others counts less."""
    tint = np.empty(3, np.float32)
    for i in range(n):
        row, column = group.row[i], group.column[i]
        count = abs(best.count[i])
        if count == 0:
            provenance[row, column] = 0
            continue
        weight = best.cost[i]
        _mean(colour[i], weight, count, tint)
        several = 0
        for k in range(count):
            several += weight[k] > 0
        if several > 2:
            for k in range(count):
                if weight[k] > 0:
                    off = (abs(colour[i, k, 0] - tint[0]) + abs(colour[i, k, 1] - tint[1])
                           + abs(colour[i, k, 2] - tint[2])) / np.float32(3 * ODD)  # fmt: skip
                    weight[k] /= np.float32(1) + off * off
            _mean(colour[i], weight, count, tint)
        for c in range(3):
            rgb[row, column, c] = min(max(tint[c], np.float32(0)), np.float32(255))
        provenance[row, column] = _OBSERVED if best.count[i] < 0 else _REPROJECTED


@compiled
def _agreement(flat, high, wide, u, v, deep, code, empty):
    """Share of the four half-size pixels around that show the point: of its owner, and at its depth.

    Inverse depth is linear on a plane, so the mean of the owner's own pixels is compared.
    """
    u = min(max(u, np.float32(0)), np.float32(wide - 1) - np.float32(1e-3))
    v = min(max(v, np.float32(0)), np.float32(high - 1) - np.float32(1e-3))
    column, row = int(u), int(v)
    fu, fv = u - column, v - row
    mass, mean = np.float32(0), np.float32(0)
    for dr in range(2):
        for dc in range(2):
            word = flat[np.uint64((row + dr) * wide + column + dc)]
            w = (fu if dc else np.float32(1) - fu) * (fv if dr else np.float32(1) - fv)
            inverse = np.float32(word & np.uint32(0xFFFF))
            if np.int32(word >> np.uint32(16)) == code and (inverse < 2) == empty:
                mass += w if inverse != 1 else np.float32(BESIDE) * w
                mean += w * inverse
    if empty or mass == 0:
        return mass
    off = abs(mean / mass * np.float32(1 / UNIT) * deep - np.float32(1))
    limit = np.float32(TOLERANCE) + np.float32(TOLERANCE_M) / deep
    if off > limit:
        return np.float32(0)
    return mass * min(np.float32(2) - np.float32(2) * off / limit, np.float32(1))


@compiled
def sample(picture, u, v, size, out):
    """A photo (h, w, 3) at pixels u, v (n,) into out (n, 3), each smoothed over `size` px."""
    flat = picture.reshape(-1)
    for i in range(len(u)):
        _sample(flat, picture.shape[0], picture.shape[1], np.float32(u[i]), np.float32(v[i]), np.float32(size), out[i])


@compiled
def _sample(flat, high, wide, u, v, size, out):
    """The photo's bytes (h * w * 3,) around (u, v), smoothed by a tent as wide as the picture's pixel."""
    one = np.float32(1)
    reach = min(max(size, one), np.float32(2))
    narrow = one / reach
    u = min(max(u - np.float32(0.5), np.float32(0)), np.float32(wide - 1))
    v = min(max(v - np.float32(0.5), np.float32(0)), np.float32(high - 1))
    c0, c1 = max(int(np.ceil(u - reach)), 0), min(int(np.floor(u + reach)), wide - 1)
    r0, r1 = max(int(np.ceil(v - reach)), 0), min(int(np.floor(v + reach)), high - 1)
    total, r, g, b = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for row in range(r0, r1 + 1):
        wy = one - abs(np.float32(row) - v) * narrow
        at = np.uint64((row * wide + c0) * 3)  # without a sign nothing is wrapped around
        for column in range(c0, c1 + 1):
            w = wy * (one - abs(np.float32(column) - u) * narrow)
            total += w
            r += w * np.float32(flat[at])
            g += w * np.float32(flat[at + np.uint64(1)])
            b += w * np.float32(flat[at + np.uint64(2)])
            at += np.uint64(3)
    total = one / total
    out[0], out[1], out[2] = r * total, g * total, b * total


@compiled
def _mean(colour, weight, count, out):
    total, r, g, b = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for k in range(count):
        if weight[k] == 0:
            continue
        total += weight[k]
        r += weight[k] * colour[k, 0]
        g += weight[k] * colour[k, 1]
        b += weight[k] * colour[k, 2]
    out[0], out[1], out[2] = r / total, g / total, b / total
