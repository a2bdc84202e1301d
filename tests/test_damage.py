"""Logs that are cut short, flipped, foreign or hostile: one clear error each, in bounded time and memory."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from drivesim import parts
from drivesim.config import source
from drivesim.errors import InputError

from .roots import small_root

EACH = 40
"""Mutations per format; with nine formats that is more than 300."""

FORMATS = [
    name for name in parts.choices("scenarios") if name not in ("synthetic", "ncap")
]  # these read no logs of their own


@pytest.fixture(scope="module", params=FORMATS)
def small(request, tmp_path_factory):
    """Name of a format and a root with one small scenario of it, in a folder of its own."""
    return request.param, small_root(request.param, tmp_path_factory.mktemp(request.param))


def test_damaged_files_are_refused_by_name(small):
    name, root = small
    command = [sys.executable, "-m", "tests.damage", name, str(root), "0", str(EACH)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], timeout=900)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and len(lines) == EACH, f"it died after {len(lines)}: {done.stderr[-2000:]}"
    for line in lines:
        what = f"seed {line['seed']}: {line['file']} {line['how']}"
        assert line["came"] in ("loaded", "refused"), f"{what}: {line['told']}"
        if line["came"] == "refused":
            assert "\n" not in line["told"] and len(line["told"]) < 1000, f"{what}: {line['told']}"
            assert "root" in line["told"] or line["file"] in line["told"], f"{what}: names no file: {line['told']}"
    assert any(line["came"] == "refused" for line in lines)


@pytest.mark.parametrize(
    "id", ["", "nobody", "../../etc/passwd", "/etc/passwd", "a/../../b", "x\0y", "x" * 5000, "%s", "@1.0s"]
)
def test_ids_that_nobody_has(small, id):
    name, root = small
    for what in ("load", "fingerprint"):
        with pytest.raises(InputError):
            getattr(source(name, root), what)(id)


def test_roots_that_are_none(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"\x89PNG")
    for name in FORMATS:
        for root in ("empty", "file", "nowhere", "\0"):
            reader = source(name, tmp_path / root)
            with pytest.raises(InputError):
                reader.ids()


@pytest.mark.parametrize("name", ["pandaset", "waymo", "commonroad"])
def test_gzip_bombs_stay_packed(name, tmp_path):
    """Half a gigabyte of blanks in a file of some MB."""
    root = small_root(name, tmp_path / "log")
    victim = next(p for p in sorted(root.rglob("*.gz")))
    with gzip.open(victim, "wb", compresslevel=1) as file:
        for _ in range(520):
            file.write(b" " * (1 << 20))
    reader = source(name, root)
    with pytest.raises(InputError):
        reader.load(reader.ids()[0])


def test_nothing_is_written_into_the_root(small):
    name, root = small
    reader = source(name, root)
    before = _listing(root)
    reader.load(reader.ids()[0] if not hasattr(reader, "undrivable") else _drivable(reader))
    assert _listing(root) == before


def _drivable(reader):
    left_out = reader.undrivable()
    return next(i for i in reader.ids() if i not in left_out)


def _listing(root):
    paths = sorted(root.rglob("*")) if root.is_dir() else [root]
    return [(p, p.stat().st_size, p.stat().st_mtime_ns) for p in paths if p.is_file()]
