"""Pure pursuit with a PID on speed: the plainest tracker that follows a road."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from drivesim.dynamics.bicycle import Bicycle
from drivesim.geometry import heading, rotate
from drivesim.types import Action, State, Trajectory, Vehicle

from .trajectory import pose_at


@dataclass(frozen=True)
class PurePursuit:
    """Steers the rear axle on the circle to a point of the trajectory that lies `reach` ahead (Coulter 1992).

    The reach grows with speed. Speed: PID on its error, without memory: the integral of the speed's error is how far
    the ego is behind along the trajectory, its derivative is the difference of accelerations.
    """

    reach_time: float = 0.8  # [s]
    least_reach: float = 4.0  # [m]
    proportional: float = 1.5  # [1/s]
    integral: float = 0.5  # [1/s^2]
    derivative: float = 0.1
    most_behind: float = 2.0  # error of the integral that is answered [m]
    max_steering: float = 0.6  # [rad]
    stop_speed: float = 0.05  # slower than it, told to stand, the wheels are left where they are [m/s]
    body: Bicycle = field(default_factory=Bicycle)

    def track(self, state: State, trajectory: Trajectory, dt: float, vehicle: Vehicle) -> Action:
        ego = state.agents[..., 0]
        pose = vehicle.rear_axle(ego.poses).double()
        exact = Trajectory(trajectory.poses.double(), trajectory.time.double())
        speed, now = ego.speed.double(), state.body[..., 0]
        target, wanted = self._speed(exact, dt)
        behind = (pose_at(exact, torch.zeros(1))[..., 0, :2] - pose[..., :2]) * heading(pose[..., 2])
        behind = behind.sum(-1).clamp(-self.most_behind, self.most_behind)
        acceleration = (
            wanted
            + self.proportional * (target - speed)
            + self.integral * behind
            + self.derivative * (wanted - now.acceleration.double())
        )
        standing = (target.abs() < self.stop_speed) & (speed.abs() < self.stop_speed)
        acceleration = torch.where(standing, -speed / dt, acceleration)
        steering = torch.where(standing, now.steering.double(), self._steer(pose, speed, target, exact, dt, vehicle))
        command = torch.full((*state.agents.yaw.shape, 2), torch.nan)
        command[..., 0, :] = torch.stack([acceleration, steering], -1).float()
        valid = torch.zeros_like(state.agents.valid)
        valid[..., 0] = True
        return Action(command, valid)

    def _speed(self, trajectory: Trajectory, dt: float) -> tuple[Tensor, Tensor]:
        """Signed speed (...) and acceleration (...) that the trajectory has over the next 0.5 s."""
        poses = pose_at(trajectory, torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
        step = poses[..., 1:, :2] - poses[..., :-1, :2]
        speeds = (step * heading(poses[..., :-1, 2])).sum(-1) / 0.5
        change = speeds[..., 1] - speeds[..., 0]
        return speeds[..., 0] - 0.25 * change / 0.5, change / 0.5

    def _steer(
        self, pose: Tensor, speed: Tensor, target: Tensor, trajectory: Trajectory, dt: float, vehicle: Vehicle
    ) -> Tensor:
        reach = (self.reach_time * speed.abs()).clamp_min(self.least_reach)
        backward = torch.where(target < 0, -1.0, 1.0)
        point = self._point(pose, reach, backward, trajectory, dt)
        local = rotate(point - pose[..., :2], -pose[..., 2])
        curvature = 2 * local[..., 1] / local.square().sum(-1).clamp_min(1.0)
        return torch.atan(vehicle.wheelbase * curvature).clamp(-self.max_steering, self.max_steering)

    def _point(self, pose: Tensor, reach: Tensor, side: Tensor, trajectory: Trajectory, dt: float) -> Tensor:
        """First point (..., 2) of the trajectory from now on that is `reach` (...) away; beyond its end it goes
        straight on."""
        end = max(float(trajectory.time[..., -1].max()), dt)
        poses = pose_at(trajectory, torch.arange(0, end + dt / 2, dt, dtype=torch.float64))
        last = poses[..., -1, :]
        on = last[..., :2] + (2 * reach * side)[..., None] * heading(last[..., 2])
        points = torch.cat([poses[..., :2], on[..., None, :]], -2)
        distance = (points - pose[..., None, :2]).norm(dim=-1)
        far = distance >= reach[..., None]
        far[..., 0] = False
        far[..., -1] = True
        i = far.to(torch.int64).argmax(-1)
        take = lambda x, j: x.gather(-1, j[..., None])[..., 0]  # noqa: E731
        before, after = take(distance, i - 1), take(distance, i)
        share = ((reach - before) / (after - before).clamp_min(1e-6)).clamp(0, 1)[..., None]
        spot = lambda j: points.gather(-2, j[..., None, None].expand(*j.shape, 1, 2))[..., 0, :]  # noqa: E731
        return spot(i - 1) + share * (spot(i) - spot(i - 1))
