"""From where was a picture taken? Told by features that it shares with another one whose depth is known.

SIFT (Lowe 2004) matches, then perspective-n-point with RANSAC. OpenCV comes with nuscenes-devkit.
"""

from __future__ import annotations

import numpy as np

from ..camera import rays
from .views import View

RATIO = 0.8  # Lowe's: a match is this much better than the next best
INLIER = 1.5  # [px]
FEWEST = 25  # matches that agree, without which a pose is no pose


def pose_error(drawn: np.ndarray, depth: np.ndarray, view: View, photo: np.ndarray) -> tuple[float, float] | None:
    """Angle [deg] and distance [m] between the pose from which a picture was drawn and the one at which the photo,
    taken from the same place, finds itself in it; None where too few features agree.

    drawn, photo (h, w, 3) uint8; depth (h, w) of the drawn one. Features on moving agents are left out.
    """
    return relative_error(drawn, depth, view, photo, view.world_from_camera)


def relative_error(
    first: np.ndarray, depth: np.ndarray, view: View, second: np.ndarray, world_from_second: np.ndarray
) -> tuple[float, float] | None:
    """As `pose_error`, for a second picture by the same camera from another known pose (4, 4)."""
    import cv2

    one, other = _matches(first, second, view.moving)
    if len(one) < FEWEST:
        return None
    column, row = np.floor(one).astype(int).T
    known = np.isfinite(depth[row, column])
    ray = _ray(view, one)
    points = (ray * depth[row, column][:, None])[known]
    if len(points) < FEWEST:
        return None
    matrix = view.camera.intrinsics.double().numpy()
    bent = np.array(view.camera.distortion or (0.0,) * 4, float)
    cv2.setRNGSeed(0)
    good, turn, shift, inliers = cv2.solvePnPRansac(
        points, other[known], matrix, bent, iterationsCount=1000, reprojectionError=INLIER, flags=cv2.SOLVEPNP_EPNP
    )
    if not good or inliers is None or len(inliers) < FEWEST:
        return None
    inliers = inliers.ravel()
    turn, shift = cv2.solvePnPRefineLM(points[inliers], other[known][inliers], matrix, bent, turn, shift)
    found = np.eye(4)
    found[:3, :3], found[:3, 3] = cv2.Rodrigues(turn)[0], shift[:, 0]
    expected = np.linalg.inv(world_from_second) @ view.world_from_camera
    off = found @ np.linalg.inv(expected)
    angle = np.degrees(np.arccos(np.clip((np.trace(off[:3, :3]) - 1) / 2, -1, 1)))
    return float(angle), float(np.linalg.norm(np.linalg.inv(found)[:3, 3] - np.linalg.inv(expected)[:3, 3]))


def _matches(first: np.ndarray, second: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, 2) of the same features in both pictures, each other's best; pixel centres at +0.5."""
    import cv2

    sift, mask = cv2.SIFT_create(), (~moving).astype(np.uint8)
    found = [sift.detectAndCompute(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), mask) for p in (first, second)]
    (keys_a, words_a), (keys_b, words_b) = found
    if words_a is None or words_b is None or min(len(keys_a), len(keys_b)) < 2:
        return np.zeros((0, 2)), np.zeros((0, 2))
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    there = matcher.knnMatch(words_a, words_b, k=2)
    back = {m.queryIdx: m.trainIdx for m in matcher.match(words_b, words_a)}
    kept = [m for m, n in there if m.distance < RATIO * n.distance and back[m.trainIdx] == m.queryIdx]
    one = np.array([keys_a[m.queryIdx].pt for m in kept]).reshape(-1, 2)
    other = np.array([keys_b[m.trainIdx].pt for m in kept]).reshape(-1, 2)
    h, w = moving.shape
    return (one + 0.5).clip(0, [w - 1e-3, h - 1e-3]), other + 0.5


def _ray(view: View, pixels: np.ndarray) -> np.ndarray:
    """Directions (n, 3) with z = 1 through places between pixel centres, by bilinear weights."""
    from scipy.ndimage import map_coordinates

    plane = rays(view.camera).numpy()
    at = [pixels[:, 1] - 0.5, pixels[:, 0] - 0.5]
    return np.stack([map_coordinates(plane[..., k], at, order=1, mode="nearest") for k in range(3)], -1)
