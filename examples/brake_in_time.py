"""Gradients through traffic: an ego that drives on into a parked car learns when to brake."""

from dataclasses import replace

import torch

import drivesim
from drivesim.geometry import heading
from drivesim.traffic import World, dense
from drivesim.types import Agents

scenario = drivesim.load("synthetic")
ego = scenario.log[scenario.start, 0]
there = ego.replace(xy=ego.xy + 16 * heading(ego.yaw), velocity=torch.zeros(2))  # parked 16 m ahead
log = Agents.stack([scenario.log[:, 0], Agents.stack([there] * scenario.steps)], dim=1)
world = World.of([replace(scenario, log=log, track_ids=("ego", "parked"))])
tables = dense.tables_of(world.scenarios, world.drivers)
acceleration = torch.zeros(30, requires_grad=True)  # of the ego in the next 3 s; it steers straight on
adam = torch.optim.Adam([acceleration], lr=0.25, betas=(0.8, 0.9))
for i in range(13):
    now, gaps = dense.start(tables), []
    for a in acceleration:
        action = torch.stack([a, torch.zeros(())])
        now = dense.step(tables, now, torch.stack([action, torch.zeros(2)])[None])
        gaps.append(dense.clearance(now.agents)[0, 0])
    nearest = torch.stack(gaps).min().item()
    if i % 3 == 0:
        print(f"try {i:2}: nearest {nearest:5.2f} m, brakes with up to {acceleration.min().abs().item():.1f} m/s^2")
    loss = (1.0 - torch.stack(gaps)).clamp_min(0).square().sum() + acceleration.square().mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
