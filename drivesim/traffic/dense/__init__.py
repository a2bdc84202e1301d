"""Traffic in torch: the reference of the kernel, for any device and dtype, and differentiable.

from drivesim.traffic import World, dense
world = World.of([drivesim.load("synthetic")], seed=0)
tables = dense.tables_of(world.scenarios, world.drivers)
now = dense.start(tables)
now = dense.step(tables, now)  # or step(tables, now, actions): (B, A, 2), NaN where an agent decides for itself
print(dense.clearance(now.agents), dense.margin(tables, now.agents))  # metres to the others and to the border
"""

from .advance import Now, start, step
from .decide import decide
from .smooth import apart, clearance, margin
from .tables import Tables, tables_of

__all__ = ["Now", "Tables", "apart", "clearance", "decide", "margin", "start", "step", "tables_of"]
