"""Visibility the plain way, one triangle against all pixels at a time: what the rasteriser is held equal to."""

from __future__ import annotations

import numpy as np

from .rasterizer import NEAR, Geometry, Instances, View


def see_plainly(geometry: Geometry, instances: Instances, view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth (h, w) float64 [m] (inf where nothing is), face and instance (h, w), -1 for none.

    A pixel sees the nearest triangle for which its ray, solved for barycentric coordinates, has none below zero.
    """
    fx, fy, cx, cy = view.lens
    x, y = np.meshgrid((np.arange(view.width) + 0.5 - cx) / fx, (np.arange(view.height) + 0.5 - cy) / fy)
    rays = np.stack([x, y, np.ones_like(x)], -1)
    depth = np.full(x.shape, np.inf)
    face, instance = np.full(x.shape, -1), np.full(x.shape, -1)
    for i in range(len(instances.first)):
        to_world, to_camera = instances.matrix[i], view.camera_from_world
        for f in range(instances.first[i], instances.first[i] + instances.count[i]):
            corners = geometry.points[geometry.faces[f]].astype(float) @ to_world[:, :3].T + to_world[:, 3]
            corners = corners @ to_camera[:, :3].T + to_camera[:, 3]
            outside = np.cross(corners[1] - corners[0], corners[2] - corners[0]) @ corners[0] < 0
            if abs(np.linalg.det(corners)) < 1e-12 or not (outside or geometry.both[f]):
                continue
            share = rays @ np.linalg.inv(corners)  # rows: weights of the corners, over depth
            near = share.sum(-1)
            hit = (share >= 0).all(-1) & (near > 0) & (near <= 1 / NEAR)
            z = 1 / np.where(near > 0, near, np.nan)
            closer = hit & (z < depth)
            depth[closer], face[closer], instance[closer] = z[closer], f, i
    return depth, face, instance
