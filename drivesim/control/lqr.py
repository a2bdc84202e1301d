"""The two-stage LQR tracker that nuPlan and NAVSIM drive the ego with."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from drivesim.dynamics.bicycle import Bicycle
from drivesim.geometry import wrap_angle
from drivesim.types import Action, State, Trajectory, Vehicle

from .profile import curvature_profile, speed_profile
from .trajectory import pose_at


@dataclass(frozen=True)
class LQR:
    """Longitudinal and lateral one-step LQR over a horizon of `steps`. Defaults are nuPlan's and NAVSIM's.

    Longitudinal: one acceleration for the whole horizon towards the reference speed at its end.
    Lateral: state (lateral error, heading error, steering angle), one steering rate for the whole horizon, error
    dynamics linearised about the predicted speed and the reference curvature.
    """

    steps: int = 10
    speed_cost: float = 10.0
    acceleration_cost: float = 1.0
    lateral_cost: tuple[float, float, float] = (1.0, 10.0, 0.0)
    steering_rate_cost: float = 1.0
    jerk_penalty: float = 1e-4
    curvature_rate_penalty: float = 1e-2
    stop_speed: float = 0.2  # at or below it, with a reference as slow, the stop mode holds [m/s]
    stop_gain: float = 0.5
    body: Bicycle = field(default_factory=Bicycle)

    def track(self, state: State, trajectory: Trajectory, dt: float, vehicle: Vehicle) -> Action:
        ego = state.agents[..., 0]
        pose = vehicle.rear_axle(ego.poses).double()
        speed, steering = ego.speed.double(), state.body.steering[..., 0].double()
        acceleration, rate = self.command(pose, speed, steering, trajectory, dt, vehicle.wheelbase)
        command = torch.full((*state.agents.yaw.shape, 2), torch.nan)
        command[..., 0, :] = torch.stack([acceleration, steering + dt * rate], -1).float()
        valid = torch.zeros_like(state.agents.valid)
        valid[..., 0] = True
        return Action(command, valid)

    def command(
        self, pose: Tensor, speed: Tensor, steering: Tensor, trajectory: Trajectory, dt: float, wheelbase: float
    ) -> tuple[Tensor, Tensor]:
        """Acceleration (...) [m/s^2] and steering rate (...) [rad/s] for a rear axle at `pose` (..., 3); float64."""
        ends = trajectory.time[..., -1]
        if float(ends.max() - ends.min()) > 1e-3:
            raise ValueError("trajectories of a batch end at the same time: the fit covers all of each")
        reach = max(float(ends.max()), 2 * dt)
        grid = torch.arange(0, reach + dt / 2, dt, dtype=torch.float64)
        reference = pose_at(Trajectory(trajectory.poses.double(), trajectory.time.double()), grid)
        speeds = speed_profile(reference, dt, self.jerk_penalty)
        curvatures = curvature_profile(reference, speeds, dt, self.curvature_rate_penalty)

        target = speeds[..., min(self.steps, speeds.shape[-1] - 1)]
        ahead = self.steps * dt
        gain = self.speed_cost * ahead / (self.speed_cost * ahead**2 + self.acceleration_cost)
        acceleration = gain * (target - speed)
        rate = self._steering_rate(pose, speed, steering, acceleration, reference[..., 0, :], curvatures, dt, wheelbase)

        stop = (target <= self.stop_speed) & (speed <= self.stop_speed)
        acceleration = torch.where(stop, -self.stop_gain * (speed - target), acceleration)
        return acceleration, torch.where(stop, torch.zeros_like(rate), rate)

    def _steering_rate(
        self, pose: Tensor, speed: Tensor, steering: Tensor, acceleration: Tensor, reference: Tensor,
        curvatures: Tensor, dt: float, wheelbase: float,
    ) -> Tensor:  # fmt: skip
        delta = pose[..., :2] - reference[..., :2]
        yaw = reference[..., 2]
        lateral = -delta[..., 0] * torch.sin(yaw) + delta[..., 1] * torch.cos(yaw)
        x = torch.stack([lateral, wrap_angle(pose[..., 2] - yaw), steering], -1)
        b = torch.zeros_like(x)
        for k in range(self.steps):
            v = speed + k * dt * acceleration
            kappa = curvatures[..., min(k, curvatures.shape[-1] - 1)]
            x, b = _predict(x, v, kappa, dt, wheelbase), _predict(b, v, torch.zeros_like(v), dt, wheelbase)
            b = b + torch.tensor([0.0, 0.0, dt], dtype=b.dtype)
        error = torch.stack([x[..., 0], wrap_angle(x[..., 1]), x[..., 2]], -1)
        q = torch.tensor(self.lateral_cost, dtype=x.dtype)
        return -(b * q * error).sum(-1) / ((b * q * b).sum(-1) + self.steering_rate_cost)


def _predict(x: Tensor, v: Tensor, curvature: Tensor, dt: float, wheelbase: float) -> Tensor:
    """One step of the linearised error dynamics (..., 3)."""
    lateral, turn, steering = x.unbind(-1)
    return torch.stack([lateral + dt * v * turn, turn + dt * v * (steering / wheelbase - curvature), steering], -1)
