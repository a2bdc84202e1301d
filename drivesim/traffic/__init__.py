"""Traffic for thousands of scenes at once: reactive drivers, bodies, collisions, off-road, observations.

from drivesim import traffic
world = traffic.World.of([drivesim.load("synthetic")], seed=0)
batch = world.start([0] * 1000)
batch = traffic.step(batch)  # or step(batch, actions): (1000, A, 2), NaN where an agent decides for itself
print(batch.collides.any(1).float().mean())
"""

from .observation import observe
from .world import Batch, World, set_threads, step

__all__ = ["Batch", "World", "observe", "set_threads", "step"]
