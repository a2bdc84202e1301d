"""Backward rendering the plain way, all pixels at once: what the kernel is held equal to. In torch, on any device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...types import Provenance
from .bank import UNIT
from .blend import BESIDE, HALF_SEEN, HIDDEN, LEAST, MIXED, ODD, SHARP, TOLERANCE, TOLERANCE_M, Album, Target
from .sightings import BORDER, COARSE, EDGE, FAR, STEEP, TILE, Choice, Sightings


def blend_plainly(
    target: Target, album: Album, found: Sightings, choice: Choice, device: str = "cpu"
) -> tuple[Tensor, Tensor]:
    """rgb (h, w, 3) float32 and provenance (h, w) uint8, 0 where no photo shows a pixel. All photos of one size."""
    look = _Look(target, album, found, device)
    entries = torch.from_numpy(_entries(target, choice)).to(device)
    cost, u, v, size, rim = look(entries)
    lost = cost.isinf().all(1) & look.standing
    for s in choice.any:  # one after the other, and only where nothing was found
        again = look(torch.full_like(entries[:, :1], int(s)), lost)
        for old, new in zip((cost, u, v, size, rim), again, strict=True):
            old[:, :1] = torch.where(lost[:, None], new, old[:, :1])
        entries[:, 0] = torch.where(lost, int(s), entries[:, 0])
        lost = lost & cost[:, 0].isinf()
    same = torch.from_numpy(found.same).to(device)[entries.clamp_min(0)] & cost.isfinite()
    cost = torch.where(same.any(1, keepdim=True) & ~same, torch.inf, cost)
    best, order = cost.sort(dim=1, stable=True)
    best, order = best[:, :MIXED], order[:, :MIXED]
    u, v, size, rim, entries = (x.gather(1, order) for x in (u, v, size, rim, entries))
    rgb = _mix(best, rim, look.colours(entries, u, v, size))
    h, w = target.depth.shape
    there = best[:, 0].isfinite()
    exact = same.any(1) & there
    provenance = torch.where(exact, int(Provenance.OBSERVED), int(Provenance.REPROJECTED)) * there
    return (rgb * there[:, None]).reshape(h, w, 3), provenance.reshape(h, w).to(torch.uint8)


def _entries(target: Target, choice: Choice) -> np.ndarray:
    """(h * w, MANY) sightings that each pixel chooses from, -1 for no more."""
    h, w = target.depth.shape
    row, column = np.indices((h, w)) // TILE
    run = target.run
    own = choice.run[np.maximum(run, 0)]
    still = (run >= 0) & (target.code[np.maximum(run, 0)] == 1)
    out = np.where(still[..., None], choice.near[row, column], own)
    return np.where((run < 0)[..., None], choice.far[row, column], out).reshape(h * w, -1).astype(np.int64)


class _Look:
    """Pixels (n) looked up in sightings (n, k)."""

    def __init__(self, target: Target, album: Album, found: Sightings, device: str) -> None:
        put = lambda x: torch.from_numpy(np.ascontiguousarray(x)).to(device)  # noqa: E731
        h, w = target.depth.shape
        fx, fy, cx, cy = (float(x) for x in target.lens)
        run = put(target.run.astype(np.int64)).flatten()
        self.empty = run < 0
        z = put(target.depth).flatten().where(~self.empty, FAR)
        row, column = torch.meshgrid(torch.arange(h, device=device), torch.arange(w, device=device), indexing="ij")
        self.place = torch.stack([(column.flatten() + 0.5 - cx) / fx * z, (row.flatten() + 0.5 - cy) / fy * z, z], 1)
        self.code = torch.where(self.empty, 1, put(target.code)[run.clamp_min(0)])
        self.standing, self.fx = self.code == 1, fx
        self.rgb = torch.cat([put(x.astype(np.float32)) for x in album.rgb])
        seen = torch.cat([put(x.astype(np.int64)) for x in album.seen])
        self.inverse, self.owner = (seen & 0xFFFF).float(), seen >> 16
        first = np.cumsum([0, *(len(x) for x in album.rgb)])
        photo = found.photo
        self.number = put((first[album.camera] + album.number)[photo].astype(np.int64))
        self.focal, self.gain = put(album.focal[photo]), put((target.gain / album.gain)[photo])
        self.matrix, self.eye, self.cost = put(found.matrix), put(found.eye), put(found.cost)

    def __call__(self, entries: Tensor, where: Tensor | None = None) -> tuple[Tensor, ...]:
        """Cost, inf where the photo does not show the pixel, u, v, size and distance from the border, all (n, k)."""
        s = entries.clamp_min(0)
        m, ray = self.matrix[s], self.place[:, None]
        x, y, deep = ((m[..., :3] * ray[..., None, :]).sum(-1) + m[..., 3]).unbind(-1)
        u, v = x / deep, y / deep
        high, wide = self.inverse.shape[1:]
        inner = torch.minimum(torch.minimum(u, v), torch.minimum(2 * wide - u, 2 * high - v))
        away = ray - self.eye[s]
        cosine = (ray * away).sum(-1) / (ray.norm(dim=-1) * away.norm(dim=-1))
        size = self.focal[s] * self.place[:, 2:] / deep / self.fx
        rim = (1 - inner / BORDER).clamp_min(0)
        part = self._agreement(s, u / 2 - 0.5, v / 2 - 0.5, deep)
        cost = self.cost[s] + (2 - 2 * cosine).clamp_min(0).sqrt() / STEEP + COARSE * (1 / size - 1).clamp_min(0)
        cost = cost + EDGE * rim**2 + HIDDEN * (1 - part)
        good = (entries >= 0) & (deep >= 0.3) & (inner > 0) & (cosine >= np.cos(np.radians(75))) & (part >= HALF_SEEN)
        good = good if where is None else good & where[:, None]
        return cost.where(good, torch.inf), u, v, size, 1 - rim

    def _agreement(self, s: Tensor, u: Tensor, v: Tensor, deep: Tensor) -> Tensor:
        high, wide = self.inverse.shape[1:]
        u, v = u.nan_to_num(0).clamp(0, wide - 1.001), v.nan_to_num(0).clamp(0, high - 1.001)
        column, row = u.long(), v.long()
        mass, mean = torch.zeros_like(u), torch.zeros_like(u)
        for dr in (0, 1):
            for dc in (0, 1):
                at = (self.number[s], row + dr, column + dc)
                weight = ((u - column) if dc else (1 - u + column)) * ((v - row) if dr else (1 - v + row))
                inverse = self.inverse[at]
                good = (self.owner[at] == self.code[:, None]) & ((inverse < 2) == self.empty[:, None])
                good = good * torch.where(inverse == 1, BESIDE, 1.0)
                mass, mean = mass + weight * good, mean + weight * inverse * good
        off = (mean / mass.clamp_min(1e-9) / UNIT * deep - 1).abs()
        limit = TOLERANCE + TOLERANCE_M / deep
        known = torch.where(off > limit, 0, mass * (2 - 2 * off / limit).clamp(0, 1))
        return torch.where(self.empty[:, None], mass, known)

    def colours(self, entries: Tensor, u: Tensor, v: Tensor, size: Tensor) -> Tensor:
        """(n, k, 3), smoothed by a tent as wide as the picture's pixel, in the picture's exposure."""
        high, wide = self.rgb.shape[1:3]
        s = entries.clamp_min(0)
        reach = size.clamp(1, 2)
        u, v = (u.nan_to_num(0) - 0.5).clamp(0, wide - 1), (v.nan_to_num(0) - 0.5).clamp(0, high - 1)
        column, row = u.floor().long(), v.floor().long()
        total, out = torch.zeros_like(u), torch.zeros(*u.shape, 3, device=u.device)
        for dr in range(-2, 4):
            for dc in range(-2, 4):
                r, c = row + dr, column + dc
                weight = (1 - (r - v).abs() / reach).clamp_min(0) * (1 - (c - u).abs() / reach).clamp_min(0)
                weight = weight * ((r >= 0) & (r < high) & (c >= 0) & (c < wide))
                at = self.rgb[self.number[s], r.clamp(0, high - 1), c.clamp(0, wide - 1)]
                total, out = total + weight, out + weight[..., None] * at
        return out / total[..., None] * self.gain[s]


def _mix(cost: Tensor, rim: Tensor, colour: Tensor) -> Tensor:
    """(n, 3) of colours (n, k, 3): most of cheap ones far from a photo's border, less of one odd beside two others."""
    weight = (rim.clamp(0, 1) ** 2 * (3 - 2 * rim.clamp(0, 1)) + 1e-4) * ((cost[:, :1] - cost) / SHARP).exp()
    weight = weight.where(cost.isfinite(), 0)
    weight = weight.where(weight >= LEAST * weight.amax(1, keepdim=True), 0)
    colour = colour.nan_to_num(0)
    mean = (weight[..., None] * colour).sum(1) / weight.sum(1, keepdim=True)
    off = (colour - mean[:, None]).abs().sum(-1) / (3 * ODD)
    several = (weight > 0).sum(1, keepdim=True) > 2
    weight = torch.where(several, weight / (1 + off**2), weight)
    return ((weight[..., None] * colour).sum(1) / weight.sum(1, keepdim=True)).clamp(0, 255).nan_to_num(0)
