"""A policy learns to drive by proximal policy optimisation (PPO), in half a minute on one core.

`python examples/train_policy.py [SOURCE [ROOT]]`
"""

import sys
import time

import gymnasium
import torch
from torch import Tensor, nn

ROUNDS, STEPS, DRIVES, DISCOUNT, TRACE, CLIP = 60, 64, 64, 0.98, 0.95, 0.2

torch.manual_seed(0)
torch.set_num_threads(1)
source = dict(zip(("scenarios", "root"), sys.argv[1:] or ["synthetic"], strict=False))
drives = gymnasium.make_vec(
    "drivesim.gym:DriveSim/ClosedLoop-v0", num_envs=DRIVES, limit=4, agents=16, autoreset_mode="SameStep", **source
)
inputs = drives.single_observation_space.shape[0]
actor = nn.Sequential(nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
critic = nn.Sequential(nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
spread = nn.Parameter(torch.tensor([-1.0, -2.0]))  # logarithms, of acceleration and steering
nn.init.zeros_(actor[-1].weight)
optimiser = torch.optim.Adam([*actor.parameters(), *critic.parameters(), spread], lr=1e-3)


def choice(seen: Tensor) -> torch.distributions.Normal:
    return torch.distributions.Normal(actor(seen).tanh(), spread.exp())


def advantages(rewards: Tensor, values: Tensor, over: Tensor) -> Tensor:
    """How much better than expected (T, N) things went from each step on; values (T + 1, N)."""
    out, later = torch.zeros_like(rewards), torch.zeros(DRIVES)
    for t in reversed(range(STEPS)):
        surprise = rewards[t] + DISCOUNT * values[t + 1] * ~over[t] - values[t]
        later = surprise + DISCOUNT * TRACE * later * ~over[t]
        out[t] = later
    return out


def learn(seen: Tensor, actions: Tensor, before: Tensor, better: Tensor, returns: Tensor) -> None:
    for _ in range(4):
        for part in torch.randperm(len(seen)).chunk(4):
            ratio = (choice(seen[part]).log_prob(actions[part]).sum(-1) - before[part]).exp()
            gain = (better[part] - better.mean()) / (better.std() + 1e-6)
            wish = torch.minimum(ratio * gain, ratio.clamp(1 - CLIP, 1 + CLIP) * gain).mean()
            miss = (critic(seen[part])[:, 0] - returns[part]).square().mean()
            optimiser.zero_grad()
            (0.5 * miss - wish).backward()
            nn.utils.clip_grad_norm_([*actor.parameters(), *critic.parameters(), spread], 0.5)
            optimiser.step()


begun, earned, finished = time.perf_counter(), torch.zeros(DRIVES), []
now = torch.from_numpy(drives.reset(seed=0)[0])
for round in range(1, ROUNDS + 1):
    rows = []
    with torch.no_grad():
        for _ in range(STEPS):
            chances = choice(now)
            action = chances.sample()
            after, reward, terminated, truncated, info = drives.step(action.clamp(-1, 1).numpy())
            reward, over = torch.from_numpy(reward).float(), torch.from_numpy(terminated | truncated)
            rows.append((now, action, chances.log_prob(action).sum(-1), reward, over))
            earned, now = earned + reward, torch.from_numpy(after)
            for i in torch.nonzero(over)[:, 0].tolist():
                finished.append((float(earned[i]), info["final_info"]["cause"][i]))
            earned = earned * ~over
        seen, actions, before, rewards, over = (torch.stack(x) for x in zip(*rows, strict=True))
        values = critic(torch.cat([seen, now[None]]))[..., 0]
        better = advantages(rewards, values, over)
    learn(*(x.flatten(0, 1) for x in (seen, actions, before, better, better + values[:-1])))
    if round % 10 == 0 or round == 1:
        causes = [cause for _, cause in finished]
        shares = ", ".join(f"{causes.count(c) / len(causes):4.0%} {c}" for c in sorted(set(causes)))
        print(f"round {round:3}  {len(causes):4} drives  return {sum(r for r, _ in finished) / len(causes):6.2f}  "
              f"{shares}  ({time.perf_counter() - begun:.0f} s)", flush=True)  # fmt: skip
        finished = []
