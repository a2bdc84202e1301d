"""The whole of it from Python. `python examples/five_lines.py [SOURCE ROOT]`"""

import sys

import drivesim

scenario = drivesim.load(*sys.argv[1:] or ["synthetic"])
rollout = drivesim.simulate(scenario, drivesim.planner("idm"))
for score in drivesim.score(rollout, scenario):
    print(f"{score.name:20} {score.value:6.3f}  {'; '.join(f'{e.kind} at step {e.step}' for e in score.evidence)}")
