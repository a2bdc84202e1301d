"""One picture out of what the photos gave, what the layout draws, and what has to be made up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ...types import Frame, Provenance, Semantic
from .fill import push_pull
from .shadow import darken

GROUND = tuple(int(s) for s in (Semantic.ROAD, Semantic.MARKING, Semantic.CROSSWALK, Semantic.SIDEWALK,
                                Semantic.TERRAIN))  # fmt: skip

_IS_GROUND = np.isin(np.arange(256), GROUND)

POOR = 0.4
"""An agent of whose silhouette the photos know less than this share is drawn as a mesh."""


@dataclass(frozen=True, eq=False)
class Draft:
    """A picture that may have holes."""

    rgb: np.ndarray  # (h, w, 3) float32
    depth: np.ndarray  # (h, w) float32 [m]; inf: nothing
    semantics: np.ndarray  # (h, w) uint8
    instance: np.ndarray  # (h, w) int16
    provenance: np.ndarray  # (h, w) uint8, NONE in a hole


def compose(
    draft: Draft, drawn: Frame, known: np.ndarray, tint: np.ndarray, shadows: tuple[np.ndarray, np.ndarray],
    lens: np.ndarray,
) -> Draft:  # fmt: skip
    """A draft without holes. drawn: the layout's frame of the same view; known (A,) bool: agents that the draft is to
    show from its memory, of mean colours tint (A, 3), NaN where nobody saw them; shadows: box_from_camera (n, 4, 4)
    and half sizes (n, 2) of who casts one; lens (4,).
    """
    d = Draft(*(x.copy() for x in (draft.rgb, draft.depth, draft.semantics, draft.instance, draft.provenance)))
    raster = drawn.rgb.permute(1, 2, 0).numpy().astype(np.float32)
    deep, what, who = (x.numpy() for x in (drawn.depth, drawn.semantics, drawn.instance))
    found = d.provenance != int(Provenance.NONE)
    flat = _IS_GROUND[d.semantics] & np.isfinite(d.depth) & (d.instance < 0)
    drawn_flat = _IS_GROUND[what] & (who < 0)
    d.semantics[flat & drawn_flat] = what[flat & drawn_flat]
    both = found & flat & drawn_flat
    scale = _brightness(d.rgb, raster, both)
    mesh = _meshes(d, deep, who, found, known)
    poor = ~mesh & (d.instance >= 0) & _listed(d.instance, _poor(d, who, found, known))
    found &= ~mesh & ~poor
    d.rgb[mesh] = np.clip(raster[mesh] * scale, 0, 255)
    _paint(d.rgb, raster, who, mesh, found & (d.instance == who), tint)
    for own, theirs in ((d.depth, deep), (d.semantics, what), (d.instance, who)):
        own[mesh] = theirs[mesh]
    hole = ~found & ~mesh
    empty = hole & ~np.isfinite(d.depth) & (who < 0)
    d.depth[empty], d.semantics[empty] = deep[empty], what[empty]
    _fill(d.rgb, raster, found & (d.instance < 0), both & found, hole, hole & drawn_flat & (flat | empty), scale)
    d.provenance[~found] = int(Provenance.PROXY)
    ground = _IS_GROUND[d.semantics] & (d.instance < 0) & np.isfinite(d.depth)
    darken(d.rgb, d.depth, ground, lens, *shadows)
    return d


def _brightness(rgb: np.ndarray, raster: np.ndarray, both: np.ndarray) -> np.ndarray:
    """(3,) by which the layout's colours are to be multiplied to look like the photos', by the ground of both."""
    if both.sum() < 100:
        return np.ones(3, np.float32)
    return np.clip(rgb[both].mean(0) / np.maximum(raster[both].mean(0), 1), 0.4, 2.5)


def _poor(d: Draft, who: np.ndarray, found: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(A,) bool: agents of which the photos show too little in this view."""
    count = len(known)
    seen = np.bincount(d.instance[(d.instance >= 0) & found], minlength=count)[:count]
    drawn = np.bincount(who[who >= 0], minlength=count)[:count]
    return ~known | (seen < POOR * drawn)


def _meshes(d: Draft, deep: np.ndarray, who: np.ndarray, found: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Pixels that the layout's mesh of an agent takes: of those who are not remembered, where nothing hides them."""
    agent = who >= 0
    poor = _listed(who, _poor(d, who, found, known)) & agent
    in_front = (deep < d.depth) | (d.instance == who)
    hole = agent & ~found & (d.instance == who)  # a hole in what is remembered of the agent
    return (poor & in_front) | hole


def _paint(rgb, raster, who, mesh, seen, tint) -> None:
    """Give mesh pixels of an agent the colours that the photos show beside them on the same agent, else its mean."""
    for agent, part in enumerate(ndimage.find_objects(np.where(mesh | seen, who + 1, 0))):
        missing = mesh[part] & (who[part] == agent) if part else np.zeros(1, bool)
        if not missing.any():
            continue
        own = seen[part] & (who[part] == agent)
        if own.sum() < 0.1 * missing.sum() + 4:
            if np.isfinite(tint[agent]).all():
                shade = raster[part][missing]
                rgb[part][missing] = np.clip(shade * (tint[agent] / np.maximum(shade.mean(0), 8)), 0, 255)
            continue
        rest = rgb[part] - raster[part]
        push_pull(rest, own.astype(np.float32))
        rgb[part][missing] = np.clip(raster[part] + rest, 0, 255)[missing]


def _listed(who: np.ndarray, which: np.ndarray) -> np.ndarray:
    return np.append(which, False)[np.where(who >= 0, who, len(which))]


def _fill(rgb, raster, known, ground, hole, floor, scale) -> None:
    """Fill holes (h, w) of rgb: on the floor by the layout, shifted to the colours of the known ground around; else by
    whatever is known around."""
    if not hole.any():
        return
    if floor.any() and ground.any():
        rest = rgb - raster
        push_pull(rest, ground.astype(np.float32))
        rgb[floor] = np.clip(raster[floor] + rest[floor], 0, 255)
        known, hole = known | floor, hole & ~floor
    if not known.any():
        rgb[hole] = np.clip(raster[hole] * scale, 0, 255)
        return
    whole = rgb.copy()
    push_pull(whole, known.astype(np.float32))
    rgb[hole] = whole[hole]
