"""Calibrated cameras: points to pixels, pixels to rays. The float64 reference that the rasteriser is held to.

Optical frame: x right, y down, z forward. Pixel (column i, row j) has its centre at (i + 0.5, j + 0.5).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .errors import InputError
from .types import Camera


def project(camera: Camera, points: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels (N, 2) and depth (N,) along the optical axis [m] of points (N, 3) in the camera frame; float64.

    The pixel is NaN where no light path exists: at or behind the camera's plane, and beyond the angle at which the
    distortion polynomial turns back (there it would fold the far outside into the picture).
    """
    points = points.double()
    depth = points[:, 2]
    plane = points[:, :2] / depth.where(depth > 0, torch.nan)[:, None]
    plane = plane.where(plane.norm(dim=-1, keepdim=True) <= valid_radius(camera.distortion), torch.nan)
    plane = distort(plane, camera.distortion)
    homogeneous = torch.cat([plane, torch.ones_like(plane[:, :1])], -1)
    return (homogeneous @ camera.intrinsics.double().T)[:, :2], depth


def rays(camera: Camera) -> Tensor:
    """Directions (h, w, 3) through the pixel centres, camera frame, with z = 1; float64."""
    x = torch.arange(camera.width, dtype=torch.float64) + 0.5
    y = torch.arange(camera.height, dtype=torch.float64) + 0.5
    pixels = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones(camera.height, camera.width)], -1)
    plane = undistort((pixels @ torch.linalg.inv(camera.intrinsics.double()).T)[..., :2], camera.distortion)
    return torch.cat([plane, torch.ones_like(plane[..., :1])], -1)


def world_from_camera(world_from_ego: Tensor, camera: Camera) -> Tensor:
    """Pose (4, 4) of the optical frame in the world; float64."""
    return world_from_ego.double() @ camera.ego_from_camera.double()


def distort(plane: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Ideal image-plane points (..., 2) at z = 1 to distorted ones: Brown-Conrady, as OpenCV writes it."""
    if not any(coefficients):
        return plane
    k1, k2, p1, p2, k3 = _five(coefficients)
    x, y = plane.unbind(-1)
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return torch.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        -1,
    )


def undistort(plane: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Inverse of `distort`, by Newton's method; points that no ray reaches stay at the rim of the valid circle."""
    if not any(coefficients):
        return plane
    k1, k2, p1, p2, k3 = _five(coefficients)
    rim = min(valid_radius(coefficients), _WIDEST)
    guess = _inside(plane, rim)
    for _ in range(30):
        x, y = guess.unbind(-1)
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))
        xx = radial + x * x * slope + 2 * p1 * y + 6 * p2 * x
        yy = radial + y * y * slope + 6 * p1 * y + 2 * p2 * x
        xy = x * y * slope + 2 * p1 * x + 2 * p2 * y
        ex, ey = (distort(guess, coefficients) - plane).unbind(-1)
        det = xx * yy - xy * xy
        det = det.where(det.abs() > 1e-3, torch.full_like(det, 1e-3))
        step = torch.stack([yy * ex - xy * ey, xx * ey - xy * ex], -1) / det[..., None]
        guess = _inside(guess - step, rim)
    return guess


def valid_radius(coefficients: tuple[float, ...]) -> float:
    """Radius on the ideal image plane up to which the radial polynomial grows; inf if it always does."""
    if not any(coefficients):
        return np.inf
    k1, k2, _, _, k3 = _five(coefficients)
    roots = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])
    turning = [r.real for r in roots if abs(r.imag) < 1e-9 * max(1.0, abs(r)) and r.real > 0]
    return float(np.sqrt(min(turning))) if turning else np.inf


_WIDEST = np.tan(np.radians(85))  # no picture on a flat plane is wider


def _inside(plane: Tensor, radius: float) -> Tensor:
    norm = plane.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return plane * (radius / norm).clamp_max(1)


def _five(coefficients: tuple[float, ...]) -> tuple[float, ...]:
    if len(coefficients) > 5:
        raise InputError(
            f"a camera has {len(coefficients)} distortion coefficients; Brown-Conrady takes k1 k2 p1 p2 k3: "
            "drop the others if they are zero, or undistort the images first"
        )
    return tuple(coefficients) + (0.0,) * (5 - len(coefficients))
