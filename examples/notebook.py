# %% [markdown]
# # A drive, step by step
# Run the cells in an editor that knows `# %%`, or the whole file: `python examples/notebook.py`.

# %%
from pathlib import Path

import torch
from PIL import Image

import drivesim
from drivesim.config import part
from drivesim.simulator import start_state
from drivesim.types import Briefing, Observation, Plan

out = Path("outputs/notebook")
out.mkdir(parents=True, exist_ok=True)

# %% A scenario: the synthetic town, or `drivesim.load("pandaset", "DIR")`
scenario = drivesim.load("synthetic", id="town-0001")
print(scenario.id, scenario.tags, f"{scenario.log.valid.shape[1]} agents, {scenario.steps} steps")

# %% What the front camera sees at the start
raster = part("generation", "raster")
state, _ = start_state(scenario)
frames, _ = raster.render(state, raster.remember(scenario), scenario.scene.briefing.cameras[:1])
frame = next(iter(frames.values()))
Image.fromarray(frame.rgb.permute(1, 2, 0).numpy()).save(out / "front.png")
print(f"nearest thing ahead: {float(frame.depth.min()):.1f} m")


# %% A planner of our own: keeps to the route at a constant speed, and brakes for nobody
class OnRails:
    sensors, period, privileged = (), 0.1, False

    def __init__(self, speed: float) -> None:
        self.speed = speed

    def reset(self, briefing: Briefing) -> None:
        pass

    def plan(self, observation: Observation) -> Plan:
        from drivesim.geometry import along_polyline, project_to_polyline

        time = torch.arange(1, 31) * 0.1
        here, _, _ = project_to_polyline(torch.zeros(2), observation.route)
        xy, yaw = along_polyline(observation.route, here + self.speed * time)
        return Plan(torch.cat([xy, yaw[:, None]], -1), time)


# %% Both through the same scenario, among traffic that reacts
for planner in (drivesim.planner("idm"), OnRails(speed=8.0)):
    rollout = drivesim.simulate(scenario, planner, behavior=part("behavior", "idm"))
    print(type(planner).__name__)
    for score in drivesim.score(rollout, scenario):
        events = ", ".join(f"{e.kind} at {e.step * rollout.dt:.1f} s" for e in score.evidence)
        print(f"  {score.name:20} {score.value:5.2f}  {events}")

# %% The last drive as a film, seen from above
from drivesim.report import birdseye  # noqa: E402

(out / "birdseye.mp4").write_bytes(birdseye.film(scenario, rollout))
print(f"pictures are in {out}")
