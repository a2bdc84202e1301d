"""A frozen dataclass of tensors that slices, stacks and moves as one tensor."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Self, dataclass_transform

import torch
from torch import Tensor


def tensor(event: int = 0, **kwargs: Any) -> Any:
    """A tensor (or nested Struct) field whose last `event` dimensions do not belong to the batch prefix."""
    return dataclasses.field(metadata={"event": event}, **kwargs)


@dataclass_transform(frozen_default=True, field_specifiers=(tensor, dataclasses.field))
class Struct:
    """Base of every noun that holds tensors.

    Subclasses are frozen dataclasses (identity equality, so that they can key caches). Indexing addresses the
    batch prefix alone: with `xy: Tensor = tensor(event=1)` of shape (T, A, 2) and `yaw: Tensor` of shape (T, A),
    `agents[..., 0]` is the ego over all steps in both. Fields that are neither tensors nor Structs pass through.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(frozen=True, eq=False)(cls)

    def __getitem__(self, index: Any) -> Self:
        index = index if isinstance(index, tuple) else (index,)
        return self._map(lambda x, event: x[index + (slice(None),) * event] if _ellipsis(index) else x[index])

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Apply `function` to every tensor."""
        return self._map(lambda x, _: x.map(function) if isinstance(x, Struct) else function(x))

    def to(self, *args: Any, **kwargs: Any) -> Self:
        return self.map(lambda x: x.to(*args, **kwargs))

    def replace(self, **changes: Any) -> Self:
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    @classmethod
    def stack(cls, items: Sequence[Self], dim: int = 0) -> Self:
        """Stack along a new dimension of the batch prefix (non-negative `dim`)."""
        return _combine(torch.stack, items, dim)

    @classmethod
    def cat(cls, items: Sequence[Self], dim: int = 0) -> Self:
        """Concatenate along an existing dimension of the batch prefix (non-negative `dim`)."""
        return _combine(torch.cat, items, dim)

    @classmethod
    def where(cls, mask: Tensor, yes: Self, no: Self) -> Self:
        """Choose element-wise by a mask over the batch prefix."""
        return yes._zip(no, lambda a, b, event: torch.where(mask.reshape(mask.shape + (1,) * event), a, b))

    def _map(self, function: Callable[[Any, int], Any]) -> Self:
        changes = {f.name: function(x, f.metadata.get("event", 0)) for f, x in self._parts()}
        return self.replace(**changes)

    def _zip(self, other: Self, function: Callable[[Tensor, Tensor, int], Tensor], event: int = 0) -> Self:
        changes = {}
        for f, x in self._parts():
            y, depth = getattr(other, f.name), event + f.metadata.get("event", 0)
            changes[f.name] = x._zip(y, function, depth) if isinstance(x, Struct) else function(x, y, depth)
        return self.replace(**changes)

    def _parts(self) -> list[tuple[dataclasses.Field, Any]]:
        pairs = [(f, getattr(self, f.name)) for f in dataclasses.fields(self)]  # type: ignore[arg-type]
        return [(f, x) for f, x in pairs if isinstance(x, Tensor | Struct)]


def _ellipsis(index: tuple) -> bool:
    return any(i is Ellipsis for i in index)


def _combine(function: Callable, items: Sequence[Any], dim: int) -> Any:
    if dim < 0:
        raise ValueError("dim counts from the front: trailing dimensions differ from field to field")
    first = items[0]
    changes = {}
    for f, x in first._parts():
        values = [getattr(item, f.name) for item in items]
        changes[f.name] = _combine(function, values, dim) if isinstance(x, Struct) else function(values, dim=dim)
    return first.replace(**changes)
