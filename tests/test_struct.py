import pytest
import torch

from drivesim.struct import Struct, tensor
from drivesim.types import Body, State

from .worlds import scenario, track


def agents():
    return scenario(track((0, 0), speed=1), track((9, 0)), track((20, 0), speed=2)).log


def test_indexing_addresses_the_batch_prefix():
    log = agents()
    assert log[..., 0].xy.shape == (41, 2)
    assert log[3].xy.shape == (3, 2)
    assert log[3, 1].z.shape == ()
    assert log[:, 1:].size.shape == (41, 2, 3)
    assert torch.equal(log[..., 2].xy[:, 0], log.xy[:, 2, 0])


def test_indexing_reaches_nested_structs():
    log = agents()
    body = Body(torch.zeros(41, 3), torch.zeros(41, 3))
    state = State(log, body, torch.arange(41), torch.zeros(41, dtype=torch.int64))
    assert state[..., 5].agents.xy.shape == (3, 2)
    assert int(state[5].step) == 5


def test_stack_cat_where_are_the_tensor_operations():
    log = agents()
    assert type(log).stack([log, log]).xy.shape == (2, 41, 3, 2)
    assert type(log).cat([log, log], dim=1).yaw.shape == (41, 6)
    mask = torch.zeros(41, 3, dtype=torch.bool)
    mask[7, 1] = True
    moved = log.replace(xy=log.xy + 1)
    mixed = type(log).where(mask, moved, log)
    assert torch.equal(mixed.xy[7, 1], log.xy[7, 1] + 1) and torch.equal(mixed.xy[7, 0], log.xy[7, 0])


def test_negative_dim_is_refused():
    with pytest.raises(ValueError, match="front"):
        agents().stack([agents()], dim=-1)


def test_frozen_and_keyed_by_identity():
    log = agents()
    with pytest.raises(AttributeError):
        log.xy = log.xy
    assert log != log.replace() and len({log, log}) == 1


def test_other_fields_pass_through():
    class Named(Struct):
        name: str
        x: torch.Tensor = tensor(event=1)

    named = Named("a", torch.zeros(4, 2))
    assert named[1].name == "a" and named.to(torch.float64).x.dtype == torch.float64
