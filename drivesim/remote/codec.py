"""Dataclasses of tensors as bytes and back, led by their declared types.

A message is the length of a header (4 bytes, little endian), the header (JSON: the fields, and of each tensor its
dtype and shape) and the tensors' bytes, each starting at a multiple of 64. What a header says is held against the
declared types, so a message can make nothing but the object that was asked for.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..types import Map

_ALIGN = 64
_DTYPES = {
    str(d).removeprefix("torch."): np.dtype(str(d).removeprefix("torch."))
    for d in (torch.float16, torch.float32, torch.float64, torch.uint8, torch.int8, torch.int16, torch.int32,
              torch.int64, torch.bool)
}  # fmt: skip
_SHARED = (Map,)
"""Large and never changed during a drive: they travel once, later messages name them by number."""


class NoMessage(TypeError):
    """A value that does not fit its declared type; says which field."""


class Codec:
    """One direction of a conversation; both ends see the same messages in the same order."""

    def __init__(self) -> None:
        self._known: list[Any] = []

    def encode(self, value: Any, hint: Any) -> bytes:
        """Message of a value of the declared type `hint`; NoMessage if it does not fit it."""
        tensors: list[np.ndarray] = []
        header = json.dumps(self._dump(value, hint, tensors, getattr(hint, "__name__", "value"))).encode()
        parts, size = [len(header).to_bytes(4, "little"), header], 4 + len(header)
        for array in tensors:
            padding = -size % _ALIGN
            parts += [bytes(padding), array.data.cast("B") if array.size else b""]
            size += padding + array.nbytes
        return b"".join(parts)

    def decode(self, message: bytearray, hint: Any) -> Any:
        """Value of the declared type `hint`, its tensors in the message's own memory; ValueError if it is none."""
        end = 4 + int.from_bytes(message[:4], "little")
        try:
            header = json.loads(bytes(message[4:end]))
            body = _Body(message, end)
            value = self._load(header, hint, body)
            body.close()
        except (LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            raise ValueError(f"no {getattr(hint, '__name__', hint)}: {error!r}") from error
        return value

    def _dump(self, value: Any, hint: Any, tensors: list[np.ndarray], path: str) -> Any:
        kind, args = _declared(hint)
        if kind is types.NoneType:
            return None if value is None else self._dump(value, args[0], tensors, path)
        if kind is tuple and isinstance(value, tuple):
            return [self._dump(v, args[0], tensors, f"{path}[{i}]") for i, v in enumerate(value)]
        if kind is Mapping and isinstance(value, Mapping):
            return {k: self._dump(v, args[0], tensors, f"{path}[{k}]") for k, v in value.items()}
        if kind is Tensor and isinstance(value, Tensor) and _name(value.dtype) in _DTYPES:
            tensors.append(np.ascontiguousarray(value.detach().cpu().numpy()))
            return [_name(value.dtype), list(value.shape)]
        if dataclasses.is_dataclass(kind) and isinstance(value, kind):
            return self._dump_fields(value, kind, tensors, path)
        if kind in (int, bool, str) and isinstance(value, kind) or kind is float and isinstance(value, int | float):
            return kind(value)
        if isinstance(kind, type) and issubclass(kind, IntEnum) and isinstance(value, kind):
            return int(value)
        told = f"a tensor of {_name(value.dtype)}" if isinstance(value, Tensor) else type(value).__name__
        raise NoMessage(f"{told} as {path}" if "." in path else f"{told} instead of a {path}")

    def _dump_fields(self, value: Any, kind: Any, tensors: list[np.ndarray], path: str) -> Any:
        if kind in _SHARED:
            for number, known in enumerate(self._known):
                if known is value:
                    return number
            self._known.append(value)
        return {n: self._dump(getattr(value, n), h, tensors, f"{path}.{n}") for n, h in _fields(kind).items()}

    def _load(self, header: Any, hint: Any, body: _Body) -> Any:
        kind, args = _declared(hint)
        if kind is types.NoneType:
            return None if header is None else self._load(header, args[0], body)
        if kind is tuple:
            return tuple(self._load(v, args[0], body) for v in _is(header, list))
        if kind is Mapping:
            return {k: self._load(v, args[0], body) for k, v in _is(header, dict).items()}
        if kind is Tensor:
            return body.tensor(*_is(header, list))
        if kind in _SHARED and isinstance(header, int):
            return self._known[header]
        if dataclasses.is_dataclass(kind):
            return self._load_fields(_is(header, dict), kind, body)
        if kind in (int, bool, str, float):
            return _is(header, kind)
        return kind(_is(header, int))  # an IntEnum

    def _load_fields(self, header: dict, kind: Any, body: _Body) -> Any:
        fields = _fields(kind)
        if list(header) != list(fields):
            raise ValueError(f"{kind.__name__} has fields {', '.join(fields)}, not {', '.join(header)}")
        value = kind(**{name: self._load(header[name], hint, body) for name, hint in fields.items()})
        if kind in _SHARED:
            self._known.append(value)
        return value


class _Body:
    """The tensors of a message, taken one after the other."""

    def __init__(self, message: bytearray, place: int) -> None:
        self._message, self._place = message, place

    def tensor(self, dtype: str, shape: list[int]) -> Tensor:
        if not all(isinstance(n, int) and n >= 0 for n in shape):
            raise ValueError(f"shape {shape}")
        start = self._place + -self._place % _ALIGN
        count = math.prod(shape)
        self._place = start + count * _DTYPES[dtype].itemsize
        if self._place > len(self._message):
            raise ValueError("shorter than its header says")
        array = np.frombuffer(self._message, _DTYPES[dtype], count, start) if count else np.zeros(0, _DTYPES[dtype])
        return torch.from_numpy(array.reshape(shape))

    def close(self) -> None:
        if self._place != len(self._message) and any(self._message[self._place :]):
            raise ValueError("longer than its header says")


@cache
def _fields(kind: type) -> dict[str, Any]:
    """Names and declared types of a dataclass's fields."""
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind)}


@cache
def _declared(hint: Any) -> tuple[Any, tuple]:
    """The kind of a declared type and what it holds; `X | None` is of the kind NoneType and holds X."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        inner = tuple(a for a in args if a is not types.NoneType)
        if len(inner) == 1:
            return types.NoneType, inner
    elif origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return tuple, args[:1]
    elif origin is Mapping and args[0] is str:
        return Mapping, args[1:]
    elif hint in (int, float, bool, str, Tensor) or dataclasses.is_dataclass(hint) or _is_enum(hint):
        return hint, ()
    raise TypeError(f"{hint} cannot travel")


def _is_enum(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, IntEnum)


def _is(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"{value!r:.40} instead of {kind.__name__}")
    return value


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
