"""The house rules: imports go one way, libraries stay in their room, nothing heavy loads early."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = sorted((ROOT / "drivesim").rglob("*.py"))
PLUGINS = ("scenarios", "planners", "metrics")

ORDER = [
    {"errors", "struct", "threads", "versions"},
    {"files", "parquet"},
    {"geometry", "parts", "restricted_pickle"},
    {"types"},
    {"kernels"},
    {"roadmap"},
    {"loading", "rigs", "camera", "recordings"},
    {"lidar"},
    {"memory"},
    {"protocols"},
    {"generation", "dynamics"},
    {"control", "traffic"},
    {"behavior", "proposals"},
    {"asking"},
    {"simulator"},
    {"windows", "tags", "remote", "plan_file", "rollout_file", "scenario_file", "sensor_file"},
    {"export"},
    {"storage", "statistics"},
    {"drive", "canaries"},
    {"sweep", "report"},
    {"catalog", "evaluation"},
    {"check", "work"},
    {"config", "manual", "doctor", "gym"},
    {"run"},
    {"commands"},
    {"cli"},
]
"""Rooms from the ground up; a room imports rooms of lower floors than its own."""

ONLY_IN = {
    "ray": {"drivesim/sweep.py"},
    "grpc": {"drivesim/remote"},
    "nuscenes": {"scenarios/nuscenes"},
    "hydra": {"run_closed_loop.py", "drivesim/config.py", "drivesim/parts.py"},
    "av": {"drivesim/report"},
    "jinja2": {"drivesim/report"},
    "pickle": {"drivesim/restricted_pickle.py"},
    "scenariogeneration": {"drivesim/export"},
    "google": {"scenarios/waymo"},
    "sqlite3": {"drivesim/files.py"},
    "gymnasium": {"drivesim/gym"},
}


def imports(path: Path) -> list[str]:
    """Absolute dotted names that a file imports, relative ones resolved."""
    package = path.relative_to(ROOT).parent.parts
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names += [f"{module}.{alias.name}" for alias in node.names]
    return names


def room(dotted: str) -> str | None:
    parts = dotted.split(".")
    return parts[1] if parts[0] == "drivesim" and len(parts) > 1 else None


FLOOR = {name: i for i, rooms in enumerate(ORDER) for name in rooms}


def python_files():
    for folder in ("drivesim", *PLUGINS):
        yield from sorted((ROOT / folder).rglob("*.py"))
    yield ROOT / "run_closed_loop.py"


def test_every_room_has_a_floor():
    rooms = {p.relative_to(ROOT / "drivesim").parts[0].removesuffix(".py") for p in CORE}
    assert rooms - {"__init__", "__main__", "conf"} - FLOOR.keys() == set()


@pytest.mark.parametrize("path", CORE, ids=lambda p: str(p.relative_to(ROOT)))
def test_core_imports_downwards(path):
    here = path.relative_to(ROOT / "drivesim").parts[0].removesuffix(".py")
    if here == "__init__":
        return  # the front door opens lazily to everything
    for name in imports(path):
        assert name.split(".")[0] not in PLUGINS, f"{path.name} imports the plug-in {name}"
        there = room(name)
        if there is None or there == here or there not in FLOOR:
            continue
        assert FLOOR[there] < FLOOR[here], f"{here} (floor {FLOOR[here]}) imports {there} (floor {FLOOR[there]})"


@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugins_import_the_core_and_never_each_other(plugin):
    for path in (ROOT / plugin).rglob("*.py"):
        for name in imports(path):
            top = name.split(".")[0]
            assert top not in PLUGINS or top == plugin, f"{path.name} imports {name}"


def test_one_source_does_not_import_another():
    for folder in ("scenarios", "planners"):
        for path in (ROOT / folder).rglob("*.py"):
            own = path.relative_to(ROOT / folder).parts[0].removesuffix(".py")
            for name in imports(path):
                parts = name.split(".")
                assert parts[0] != folder or parts[1] == own, f"{path} imports {name}"


@pytest.mark.parametrize("library", ONLY_IN)
def test_libraries_stay_in_their_room(library):
    for path in python_files():
        relative = str(path.relative_to(ROOT))
        if any(relative.startswith(allowed) for allowed in ONLY_IN[library]):
            continue
        found = [n for n in imports(path) if n.split(".")[0] == library]
        assert not found, f"{relative} imports {found}"


def test_no_rooms_for_everything():
    banned = {"utils", "util", "common", "base", "factory", "manager", "registry", "helpers", "misc"}
    names = {p.stem for p in python_files()} | {p.parent.name for p in python_files()}
    assert not names & banned


def test_the_front_door_is_light():
    heavy = ("torch", "ray", "hydra", "nuscenes", "numba", "av", "jinja2")
    code = f"import sys, drivesim; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_no_pickle_is_loaded_anywhere():
    for path in python_files():
        text = path.read_text()
        assert "torch.load(" not in text or "weights_only=True" in text, path
        assert "allow_pickle=True" not in text, path
