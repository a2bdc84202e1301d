"""Read pickled arrays and pandas frames from files that nobody vouches for.

A pickle is a program. This reader admits only the few names that arrays and frames need, and even those are not the
real numpy and pandas classes but light stand-ins that hold data and call nothing. Everything else is refused by name.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError
from .files import LIMIT, read_bytes


def read_pickle(path: Path, limit: int = LIMIT) -> Any:
    """The content of a pickle, gzipped or not: builtin values with numpy arrays; pandas frames as column dicts.

    Raises InputError with the file's name for a missing, damaged, oversized or hostile file.
    """
    try:
        return loads(read_bytes(path, limit))
    except Refused as error:
        raise InputError(f"{path}: {error}") from None


def read_frame(path: Path, limit: int = LIMIT) -> dict[str, np.ndarray]:
    """A pickled pandas DataFrame as column name -> array (rows,)."""
    frame = read_pickle(path, limit)
    if not isinstance(frame, dict) or not all(isinstance(column, np.ndarray) for column in frame.values()):
        raise InputError(f"{path}: holds {type(frame).__name__} instead of a pandas DataFrame; download the file again")
    return frame


def dump(value: Any) -> bytes:
    """A pickle of builtin values and numpy arrays that Python from 3.4 and numpy 1 and 2 read.

    numpy 2 has moved the function by which arrays are pickled; here they are written as an empty `numpy.ndarray` and
    its state, names that all versions share. Raises TypeError for anything else.
    """
    data = io.BytesIO()
    _Writer(data, protocol=4).dump(value)
    return data.getvalue()


class _Writer(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if value is np.ndarray or value is np.dtype or isinstance(value, np.dtype):
            return NotImplemented
        if type(value) is np.ndarray and not value.dtype.hasobject and value.dtype.names is None:
            return np.ndarray, ((0,), "b1"), value.__reduce__()[2]
        raise TypeError(f"{type(value).__name__} is no builtin value and no plain array")


class Refused(Exception):
    """The pickle is damaged or asks for something that data does not need."""


def loads(data: bytes) -> Any:
    """Like `read_pickle`, from bytes; raises Refused."""
    try:
        _modest(data)
        return _rebuild(_Reader(io.BytesIO(data)).load(), {})
    except Refused:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, RecursionError) as error:
        raise Refused(f"damaged pickle ({error})") from None
    except (MemoryError, OverflowError, ImportError, UnicodeDecodeError, pickle.UnpicklingError) as error:
        raise Refused(f"damaged pickle ({error or type(error).__name__})") from None


DEEPEST, HEAVIEST = 100, 10_000_000
"""Tuples within tuples, and items of a tuple with all its tuples: real ones nest three deep, over some thousands."""


def _modest(data: bytes) -> None:
    """Refuse what makes few bytes cost the reader gigabytes, hours or its life, by following the program's stack.

    Memo indices beyond the number of opcodes make it allocate that many. Tuples in a dict or set are hashed through and
    through: nested a hundred thousand deep that ends the process, doubled forty times it never ends.
    """
    stack: list[tuple[int, int]] = []  # (items, depth) of tuples, _ATOM for everything else, _MARK
    memo: dict[int, tuple[int, int]] = {}
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data), start=1):
        name = opcode.name
        pops, marked, pushes = _EFFECTS[name]
        taken = []
        while marked and (top := stack.pop()) is not _MARK:
            taken.append(top)
        for _ in range(pops):
            taken.append(stack.pop())
        if name in _TUPLES:
            weight = 1 + sum(x[0] for x in taken), 1 + max((x[1] for x in taken), default=0)
            if weight[0] > HEAVIEST or weight[1] > DEEPEST:
                raise Refused("damaged pickle (tuples nested beyond all reason)")
            stack.append(weight)
        elif name in _GETS:
            stack.append(memo.get(int(argument), _ATOM))
        elif name in _PUTS:
            if int(argument) > count:
                raise Refused(f"damaged pickle (memo index {argument} after {count} opcodes)")
            memo[int(argument)] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = taken[0]
            stack.append(taken[0])
        elif pushes:
            stack += [_MARK] if name == "MARK" else taken * 2 if name == "DUP" else [_ATOM] * pushes


_ATOM, _MARK = (1, 0), (0, 0)
_TUPLES = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET"}
_GETS, _PUTS = {"GET", "BINGET", "LONG_BINGET"}, {"PUT", "BINPUT", "LONG_BINPUT"}


def _effect(opcode: pickletools.OpcodeInfo) -> tuple[int, bool, int]:
    """What an opcode takes off the stack (a number, below them all down to a mark) and how much it puts there."""
    before = opcode.stack_before
    marked = pickletools.markobject in before
    return before.index(pickletools.markobject) if marked else len(before), marked, len(opcode.stack_after)


_EFFECTS = {opcode.name: _effect(opcode) for opcode in pickletools.opcodes}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module.replace("numpy._core", "numpy.core") in _NUMPY and name in _NUMPY_NAMES:
            return _NUMPY_NAMES[name]
        if (module, name) in _OTHERS:
            return _OTHERS[module, name]
        if module.startswith("pandas.core.index") and name.endswith("Index"):
            return _Index
        raise Refused(f"refused: the pickle wants {module}.{name}, which plain data does not need")


class _Sealed:
    """A stand-in whose class cannot be altered from inside a pickle: BUILD on it calls this and fails."""

    def __setstate__(self, state: Any) -> None:
        raise Refused(f"damaged pickle (unexpected state for {type(self).__name__})")


class _Dtype(_Sealed):
    """numpy.dtype of plain numbers, dates, texts and objects; no structured or user types."""

    def __init__(self, code: str, align: Any = False, copy: Any = True) -> None:
        if not isinstance(code, str) or not code or code[0] not in "biufcOSUMm":
            raise Refused(f"refused: the pickle wants a numpy dtype {code!r}, which plain data does not need")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        order = state[1]
        if state[2] is not None or state[3] is not None or state[4] is not None:
            raise Refused("refused: the pickle wants a structured numpy dtype")
        if self.dtype.kind in "SU" and self.dtype.itemsize == 0:
            self.dtype = np.dtype(f"{self.dtype.kind}{int(state[5]) // (4 if self.dtype.kind == 'U' else 1)}")
        if self.dtype.kind in "Mm" and len(state) > 8:
            _, (unit, *_) = state[8]
            self.dtype = np.dtype(f"{self.dtype.kind}8[{unit.decode() if isinstance(unit, bytes) else unit}]")
        self.dtype = self.dtype.newbyteorder("=" if order == "|" else order)


class _Array(_Sealed):
    """numpy.ndarray, filled by its state."""

    values: np.ndarray = np.zeros(0)
    items: list | None = None  # of an object array, rebuilt later

    def __init__(self, shape: Any = (0,), code: Any = "b1") -> None:
        """What is empty until its state comes; `dump` writes arrays like this."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        self._fill(data, dtype, shape, "F" if fortran else "C")

    def _fill(self, data: Any, dtype: _Dtype, shape: Any, order: str) -> None:
        self.shape, self.order = (shape if isinstance(shape, tuple) else (shape,)), order
        if dtype.dtype.hasobject:
            if not isinstance(data, list) or len(data) != int(np.prod(self.shape)):
                raise Refused("damaged pickle (an array of objects lacks some)")
            self.items = data
        else:
            self.values = np.frombuffer(data, dtype.dtype).reshape(self.shape, order=order)

    def rebuild(self, seen: dict) -> np.ndarray:
        if self.items is None:
            return self.values
        values = np.empty(len(self.items), object)
        for i, item in enumerate(self.items):
            values[i] = _rebuild(item, seen)
        return values.reshape(self.shape, order=self.order)


class _Reconstruct(_Sealed):
    """numpy.core.multiarray._reconstruct: an empty array whose state follows."""

    def __new__(cls, kind: Any, shape: Any, code: Any) -> Any:
        return _Array()


class _FromBuffer(_Sealed):
    """numpy.core.numeric._frombuffer of pickle protocol 5."""

    def __new__(cls, data: Any, dtype: _Dtype, shape: tuple, order: str) -> Any:
        array = _Array()
        array._fill(data, dtype, shape, order)
        return array


class _Scalar(_Sealed):
    """numpy.core.multiarray.scalar."""

    def __new__(cls, dtype: _Dtype, data: Any = b"") -> Any:
        return np.frombuffer(data, dtype.dtype)[0] if not dtype.dtype.hasobject else data


class _Latin1(_Sealed):
    """_codecs.encode, by which old protocols write bytes."""

    def __new__(cls, text: str, encoding: str = "latin1") -> Any:
        return text.encode("latin1")


class _Set(_Sealed):
    """builtins.set as protocols before 4 write it."""

    def __new__(cls, items: list | tuple = ()) -> Any:
        if not isinstance(items, list | tuple):
            raise Refused("damaged pickle (a set of no list)")
        return set(items)


class _DefaultDict(_Sealed, dict):
    """collections.defaultdict, which comes back as a dict: what makes its defaults is dropped."""

    def __init__(self, default: Any = None) -> None:
        if default is not None and not isinstance(default, _Default):
            raise Refused("refused: the pickle wants a defaultdict of something that is no plain type")


class _Default(_Sealed):
    """The type that fills a defaultdict: cannot be called."""


class _Slice(_Sealed):
    def __init__(self, start: int | None, stop: int | None, step: int | None = None) -> None:
        self.slice = slice(start, stop, step)


class _Index(_Sealed):
    """Any pandas index but a MultiIndex; only its labels are kept."""

    labels: Any = None


class _NewIndex(_Sealed):
    """pandas.core.indexes.base._new_Index."""

    def __new__(cls, kind: Any, state: dict) -> Any:
        index = _Index()
        index.labels = state.get("data")
        return index


class _Block(_Sealed):
    """Columns of one type: values (columns, rows) and their places in the frame."""

    def __init__(self, values: _Array, places: Any, ndim: int = 2) -> None:
        self.values, self.places = values, places


class _Manager(_Sealed):
    """BlockManager; pandas before 1.3 gives a state, later ones arguments."""

    def __init__(self, blocks: tuple = (), axes: list | tuple = ()) -> None:
        self.blocks, self.axes = blocks, axes

    def __setstate__(self, state: tuple) -> None:
        content = state[3]["0.14.1"]
        self.axes = content["axes"]
        self.blocks = [_Block(block["values"], block["mgr_locs"]) for block in content["blocks"]]


class _Frame(_Sealed):
    """pandas.DataFrame as a dict of columns."""

    manager: _Manager

    def __setstate__(self, state: dict) -> None:
        self.manager = state["_mgr"] if "_mgr" in state else state["_data"]

    def rebuild(self, seen: dict) -> dict[str, np.ndarray]:
        names = self.manager.axes[0].labels.rebuild(seen).tolist()
        columns: dict[int, np.ndarray] = {}
        for block in self.manager.blocks:
            values = np.atleast_2d(block.values.rebuild(seen))
            places = block.places
            places = np.arange(len(names))[places.slice] if isinstance(places, _Slice) else places.rebuild(seen)
            columns.update(zip(places.tolist(), values, strict=True))
        if sorted(columns) != list(range(len(names))) or len({len(c) for c in columns.values()}) > 1:
            raise Refused("damaged pickle (the frame's columns do not fit its names)")
        return {str(name): columns[i] for i, name in enumerate(names)}


def _rebuild(value: Any, seen: dict[int, Any]) -> Any:
    """Replace the stand-ins in a tree of builtin containers by what they stand for; shared parts stay shared."""
    if isinstance(value, str | bytes | int | float | complex | None | np.generic):
        return value
    if id(value) in seen:
        return seen[id(value)][1]
    if isinstance(value, _Array | _Frame):
        result: Any = value.rebuild(seen)
    elif isinstance(value, dict):
        result = {_rebuild(k, seen): _rebuild(v, seen) for k, v in value.items()}
    elif isinstance(value, list | tuple | set | frozenset):
        result = type(value)(_rebuild(v, seen) for v in value)
    elif isinstance(value, bytearray):
        result = value
    else:
        raise Refused(f"damaged pickle (a lone {type(value).__name__})")
    seen[id(value)] = (value, result)
    return result


_NUMPY = ("numpy", "numpy.core.multiarray", "numpy.core.numeric")
_NUMPY_NAMES = {
    "ndarray": _Array,
    "dtype": _Dtype,
    "_reconstruct": _Reconstruct,
    "_frombuffer": _FromBuffer,
    "scalar": _Scalar,
}
_OTHERS = {
    ("builtins", "slice"): _Slice,
    ("__builtin__", "slice"): _Slice,
    ("builtins", "set"): _Set,
    ("__builtin__", "set"): _Set,
    ("collections", "defaultdict"): _DefaultDict,
    **{
        (module, name): _Default()
        for module in ("builtins", "__builtin__")
        for name in ("int", "long", "float", "list", "dict")
    },
    ("_codecs", "encode"): _Latin1,
    ("pandas.core.frame", "DataFrame"): _Frame,
    ("pandas.core.internals.managers", "BlockManager"): _Manager,
    ("pandas.core.internals", "BlockManager"): _Manager,
    ("pandas._libs.internals", "_unpickle_block"): _Block,
    ("pandas.core.indexes.base", "_new_Index"): _NewIndex,
    ("pandas.indexes.base", "_new_Index"): _NewIndex,
}
