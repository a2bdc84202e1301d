"""Damaged logs: load a root again and again, each time with one file broken in a seeded way, and tell what came of it.

Run as a program, so that a crash, a hang or a huge allocation is seen from outside:
    python -m tests.damage NAME ROOT FIRST LAST
prints one JSON line per mutation: seed, file, how, told, seconds, and what came: loaded, refused or raised.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from drivesim.config import source
from drivesim.errors import InputError

SECONDS = 30
"""A load may take this long; the slowest undamaged one takes 4 s."""

GIGABYTES = 12
"""Of address space. Torch, numba and arrow reserve 4 to 6 of it without using them."""

SKIPPED = {".jpg", ".jpeg", ".png", ".md"}
NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?")
WORSE = (b"NaN", b"1e308", b"-1", b"99999999999999999999999", b"0", b'"x"', b"null", b"1e-320", b"", b"-1e9", b"[]")


def mutate(data: bytes, random: random.Random) -> tuple[bytes, str]:
    """Other bytes in place of a file's, and what was done."""
    if data[:2] == b"\x1f\x8b" and random.random() < 0.7:
        inner, how = mutate(gzip.decompress(data), random)
        return gzip.compress(inner, 1), f"unzipped, {how}"
    ways = [_cut, _flip, _zero, _foreign, _empty, _repeat]
    if b"\0" not in data[:4096]:
        ways += [_number, _number, _number, _number, _drop]
    way = random.choice(ways)
    return way(data, random), way.__name__.strip("_")


def _cut(data, random):
    return data[: random.randrange(max(len(data), 1))]


def _flip(data, random):
    changed = bytearray(data)
    for _ in range(random.choice((1, 4, 32)) if data else 0):
        changed[random.randrange(len(data))] = random.randrange(256)
    return bytes(changed)


def _zero(data, random):
    at, size = random.randrange(max(len(data), 1)), random.choice((4, 64, 4096))
    return data[:at] + bytes(min(size, len(data) - at)) + data[at + size :]


def _foreign(data, random):
    return random.choice(
        (b"\x89PNG\r\n\x1a\n" + bytes(64), b"%PDF-1.7\n", b"{}", b"[]", b"<a/>", b"PK\x03\x04" + bytes(40))
    )


def _empty(data, random):
    return b""


def _repeat(data, random):
    at = random.randrange(max(len(data), 1))
    return data[:at] + data[max(at - 2000, 0) : at] + data[at:]


def _number(data, random):
    """A number in a text becomes a worse one."""
    places = [m.span() for m in NUMBER.finditer(data, random.randrange(max(len(data) // 2, 1)))][:4000]
    if not places:
        return _cut(data, random)
    first, last = random.choice(places)
    return data[:first] + random.choice(WORSE) + data[last:]


def _drop(data, random):
    at = random.randrange(max(len(data), 1))
    return data[:at] + data[at + random.choice((1, 10, 200)) :]


def broken_copy(root: Path, seed: int, into: Path) -> tuple[Path, str, str]:
    """A copy of `root` (files linked) with one file mutated or gone: the copy, the file's name, what was done."""
    dice = random.Random(seed)
    copy = into / "root"
    if root.is_file():
        copy.mkdir()
        os.link(root, copy / root.name)
    else:
        shutil.copytree(root, copy, copy_function=os.link)
    files = [p for p in sorted(copy.rglob("*")) if p.is_file() and p.suffix not in SKIPPED]
    path = dice.choice(files)
    if dice.random() < 0.05:
        path.unlink()
        return copy, path.name, "deleted"
    data, how = mutate(path.read_bytes(), dice)
    path.unlink()  # it is a link to the undamaged one
    path.write_bytes(data)
    return copy, path.name, how


def attempt(name: str, root: Path) -> tuple[str, str]:
    """Load the first scenario of a damaged root."""
    try:
        reader = source(name, root)
        ids = reader.ids()
        left_out = reader.undrivable() if hasattr(reader, "undrivable") else {}
        for id in [i for i in ids if i not in left_out][:1]:
            reader.fingerprint(id)
            reader.load(id)
        return "loaded", ""
    except InputError as error:
        return "refused", str(error)
    except BaseException as error:  # whatever a reader lets through is what the test looks for
        return "raised", f"{type(error).__name__}: {error}\n{traceback.format_exc()[-1500:]}"


def main(name: str, root: str, first: str, last: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))
    os.environ["DRIVESIM_CACHE"] = tempfile.mkdtemp()

    def ring(*_):
        raise TimeoutError(f"longer than {SECONDS} s")

    signal.signal(signal.SIGALRM, ring)
    for seed in range(int(first), int(last)):
        with tempfile.TemporaryDirectory(dir=Path(root).parent) as folder:
            copy, file, how = broken_copy(Path(root), seed, Path(folder))
            begun = time.perf_counter()
            signal.alarm(SECONDS)
            came, told = attempt(name, copy)
            signal.alarm(0)
        seconds = time.perf_counter() - begun
        print(
            json.dumps({"seed": seed, "file": file, "how": how, "came": came, "told": told, "seconds": seconds}),
            flush=True,
        )
    shutil.rmtree(os.environ["DRIVESIM_CACHE"], ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
