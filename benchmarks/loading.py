"""Load times of logs: `python benchmarks/loading.py --data ROOT`, or `nuscenes=DIR waymo=DIR ...`; `--trainval` for
nuScenes tables of full size, made up.

Every root is opened in a process of its own: what it takes to list the ids, to load one scenario for the first time
(imports, compiled kernels, caches that are built), to load it again (median), and the memory that stays. For nuScenes
the devkit's own reader opens the same tables in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent


def resident() -> float:
    """Memory of this process now [MB]; mapped files count as far as they are touched."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


# what runs in a process of its own; each gives a dictionary of seconds and MB


def measure_source(name: str, root: str, repeats: str) -> dict:
    import torch

    from drivesim.config import source

    torch.set_num_threads(1)
    reader, before = source(name, Path(root)), resident()
    listed = _timed(reader.ids)
    left_out = reader.undrivable() if hasattr(reader, "undrivable") else {}
    id = next((i for i in listed[1] if i not in left_out), None)
    if id is None:
        return {"ids": listed[0], "count": len(listed[1]), "id": "none that can be driven"}
    first, loaded = _timed(lambda: reader.load(id))
    again = statistics.median(_timed(lambda: reader.load(id))[0] for _ in range(int(repeats)))
    agents, steps = loaded.log.valid.shape[1], loaded.steps
    return {"ids": listed[0], "count": len(listed[1]), "id": id, "first": first, "again": again, "agents": agents,
            "steps": steps, "MB": resident() - before}  # fmt: skip


def measure_tables(folder: str) -> dict:
    """Our columns of nuScenes tables: opened (or built), and all rows of a scene."""
    import pyarrow.compute  # noqa: F401  what is imported late is not the reader's time

    from scenarios.nuscenes.cache import open_index
    from scenarios.nuscenes.rows import SceneRows

    before, used = resident(), time.process_time()
    opened, index = _timed(lambda: open_index(Path(folder)))
    used = time.process_time() - used
    after, names = resident(), [s.name for s in index.contents.scenes]
    rows = [_timed(lambda n=n: _all_rows(SceneRows.of(Path(folder), n)))[0] for n in names[:: max(len(names) // 50, 1)]]
    return {"opened": opened, "cpu": used, "scene": statistics.median(rows), "MB": after - before, "peak": peak(),
            "disk": sum(p.stat().st_size for p in index.home.rglob("*")) / 1e6 if index.home else 0.0}  # fmt: skip


def _all_rows(rows) -> None:
    _ = rows.recorded, rows.boxes


def measure_devkit(folder: str) -> dict:
    """The devkit's tables, and from them what `measure_tables` takes for a scene."""
    from nuscenes.nuscenes import NuScenes

    path, before, used = Path(folder), resident(), time.process_time()
    opened, devkit = _timed(lambda: NuScenes(path.name, str(path.parent), verbose=False))
    used, after = time.process_time() - used, resident()
    rows = [_timed(lambda s=s: _devkit_rows(devkit, s))[0] for s in devkit.scene[:: max(len(devkit.scene) // 10, 1)]]
    return {"opened": opened, "cpu": used, "scene": statistics.median(rows), "MB": after - before, "peak": peak()}


def _devkit_rows(devkit, scene) -> None:
    """All boxes, and all sensor rows with pose and calibration, found by following the links."""
    token = scene["first_sample_token"]
    heads = {}
    while token:
        sample = devkit.get("sample", token)
        heads = heads or sample["data"]
        for box in sample["anns"]:
            devkit.get("sample_annotation", box)
        token = sample["next"]
    for row in heads.values():
        while row:
            data = devkit.get("sample_data", row)
            devkit.get("ego_pose", data["ego_pose_token"])
            devkit.get("calibrated_sensor", data["calibrated_sensor_token"])
            row = data["next"]


def _timed(function):
    begun = time.perf_counter()
    result = function()
    return time.perf_counter() - begun, result


def apart(what: str, *arguments: str, cache: str = "") -> dict:
    """The result of a `measure_...` in a new process; the last line of its complaint under "error".

    `cache` is a folder to keep caches in, instead of the user's.
    """
    command = [sys.executable, str(HERE / "loading.py"), "--measure", what, *arguments]
    environment = os.environ | ({"DRIVESIM_CACHE": cache} if cache else {})
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent, env=environment)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["it died"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def found_under(data: Path) -> list[tuple[str, Path]]:
    """Roots of logs at most four folders below `data`, else `data` itself, each with the format that recognizes it."""
    from drivesim import parts
    from drivesim.config import source

    kinds = {n: type(source(n, data)) for n in parts.choices("scenarios") if n != "synthetic"}
    claims = lambda folder: [n for n, kind in kinds.items() if kind.recognizes(folder)]  # noqa: E731
    waiting, found = [(p, 1) for p in sorted(data.iterdir()) if p.is_dir()], []
    while waiting:
        folder, depth = waiting.pop(0)
        if names := claims(folder):
            found += [(name, folder) for name in names]
        elif depth < 4:
            waiting += [(p, depth + 1) for p in sorted(folder.iterdir()) if p.is_dir()]
    return found or [(name, data) for name in claims(data)]


def print_sources(roots: list[tuple[str, Path]], repeats: int) -> None:
    columns = ("scenes", 7), ("ids s", 7), ("first s", 8), ("again ms", 9), ("MB", 6), ("agents x steps", 15)
    print(f"{'format':14}", *(f"{title:>{width}}" for title, width in columns), " log")
    for name, root in roots:
        r = apart("source", name, str(root), str(repeats))
        if "first" not in r:
            print(f"{name:14} {r.get('count', ''):>7}  {r.get('error') or r['id']}: {root}")
            continue
        size = f"{r['agents']} x {r['steps']}"
        print(f"{name:14} {r['count']:7d} {r['ids']:7.3f} {r['first']:8.2f} {1e3 * r['again']:9.1f} {r['MB']:6.0f} "
              f"{size:>15}  {r['id']}")  # fmt: skip
        if name == "nuscenes":
            print_tables(root)


def print_tables(root: Path) -> None:
    from scenarios.nuscenes.tables import table_folder

    folder = str(table_folder(str(root)))
    with tempfile.TemporaryDirectory() as cache:
        built, mapped, devkit = (apart(what, folder, cache=cache) for what in ("tables", "tables", "devkit"))
    print(f"  tables of {folder}")
    print(f"  {'':16} {'open s':>9} {'CPU s':>9} {'a scene ms':>11} {'MB':>7} {'peak MB':>8}")
    for name, r in (("columns, built", built), ("columns, mapped", mapped), ("devkit", devkit)):
        if "error" in r:
            print(f"  {name:16} {r['error']}")
        else:
            opened = f"{r['opened']:9.4f} {r['cpu']:9.4f}"
            print(f"  {name:16} {opened} {1e3 * r['scene']:11.2f} {r['MB']:7.0f} {r['peak']:8.0f}")
    if "error" not in mapped and "error" not in devkit:
        times, memory = devkit["opened"] / mapped["opened"], devkit["MB"] / max(mapped["MB"], 0.1)
        print(f"  {mapped['disk']:.1f} MB on disk; devkit / mapped: {times:.0f} x the time, {memory:.0f} x the memory")


def print_trainval(scenes: int) -> None:
    sys.path.insert(0, str(HERE))
    from trainval_tables import write

    with tempfile.TemporaryDirectory() as folder:
        seconds, tables = _timed(lambda: write(Path(folder), scenes))
        size = sum(p.stat().st_size for p in tables.iterdir())
        print(f"made-up tables of {scenes} scenes: {size / 1e9:.2f} GB of json, written in {seconds:.0f} s")
        print_tables(Path(folder))


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        sys.path.insert(0, str(HERE.parent))
        print(json.dumps(globals()[f"measure_{sys.argv[2]}"](*sys.argv[3:])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", nargs="*", help="format=folder")
    parser.add_argument("--data", type=Path, help="find logs of all formats below this folder")
    parser.add_argument("--trainval", action="store_true", help="nuScenes tables of full size (3.2 GB of disk)")
    parser.add_argument("--scenes", type=int, default=850, help="scenes of --trainval")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    roots = [(name, Path(folder)) for name, _, folder in (text.partition("=") for text in options.roots)]
    roots += list(found_under(options.data)) if options.data else []
    if not roots and not options.trainval:
        parser.error("name logs (format=folder), a folder with --data, or --trainval")
    if roots:
        print_sources(roots, options.repeats)
    if options.trainval:
        print_trainval(options.scenes)


if __name__ == "__main__":
    main()
