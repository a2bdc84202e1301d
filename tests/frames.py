"""Writes pickles as pandas writes its frames, without pandas: in the layouts before 1.3 and since."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from types import ModuleType

import numpy as np


class DataFrame:
    def __init__(self, key, manager):
        self.__dict__.update({key: manager, "_typ": "dataframe", "_metadata": [], "attrs": {}})

    def __reduce_ex__(self, protocol):
        return object.__reduce_ex__(self, 2)


class BlockManager:
    def __init__(self, blocks=(), axes=(), old=False):
        self.blocks, self.axes, self.old = blocks, axes, old

    def __reduce__(self):
        if not self.old:
            return BlockManager, (self.blocks, self.axes)
        blocks = [{"values": b.values, "mgr_locs": b.places} for b in self.blocks]
        content = {"axes": self.axes, "blocks": blocks}
        state = (self.axes, [b.values for b in self.blocks], self.axes[:1], {"0.14.1": content})
        return BlockManager, (), state

    def __setstate__(self, state): ...


class Block:
    def __init__(self, values, places):
        self.values, self.places = values, places

    def __reduce__(self):
        return _unpickle_block, (self.values, self.places, 2)


class Index:
    def __init__(self, **content):
        self.content = content

    def __reduce__(self):
        return _new_Index, (type(self), self.content)


class RangeIndex(Index): ...


def _unpickle_block(values, places, ndim): ...


def _new_Index(kind, content): ...


_PARENTS = ("pandas", "pandas.core", "pandas.core.internals", "pandas.core.indexes", "pandas._libs")
_HOMES = {
    **{
        parent: []
        for parent in ("pandas", "pandas.core", "pandas.core.internals", "pandas.core.indexes", "pandas._libs")
    },
    "pandas.core.frame": [DataFrame],
    "pandas.core.internals.managers": [BlockManager],
    "pandas._libs.internals": [_unpickle_block],
    "pandas.core.indexes.base": [_new_Index, Index],
    "pandas.core.indexes.range": [RangeIndex],
}


@contextmanager
def _pandas():
    """The stand-ins above, importable under pandas' names."""
    before = {name: sys.modules.get(name) for name in _HOMES}
    for name, members in _HOMES.items():
        sys.modules[name] = ModuleType(name)
        for member in members:
            member.__module__ = name
            setattr(sys.modules[name], member.__name__, member)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
        for members in _HOMES.values():
            for member in members:
                member.__module__ = __name__


def pickled_frame(columns: Mapping[str, np.ndarray], protocol: int = 5, old: bool = False) -> bytes:
    """A pickle of the frame with these columns; columns of one type share a block, as pandas does it."""
    names = list(columns)
    kinds: dict[np.dtype, list[int]] = {}
    for i, name in enumerate(names):
        kinds.setdefault(np.asarray(columns[name]).dtype, []).append(i)
    blocks = []
    for places in kinds.values():
        values = np.stack([np.asarray(columns[names[i]]) for i in places])
        even = len(places) == 1 or len(set(np.diff(places))) == 1
        step = places[1] - places[0] if len(places) > 1 else 1
        spot = slice(places[0], places[-1] + 1, step) if even else np.array(places)
        blocks.append(Block(values, spot))
    rows = len(columns[names[0]])
    axes = [
        Index(data=np.array(names, dtype=object), name=None),
        RangeIndex(name=None, start=0, stop=rows, step=1),
    ]
    with _pandas():
        manager = BlockManager(tuple(blocks), axes, old)
        return pickle.dumps(DataFrame("_data" if old else "_mgr", manager), protocol=protocol)
