"""`drivesim fit-traffic`: how people drive, fitted to logs, for traffic that is not clones."""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, NotDrivable
from .options import sources

if TYPE_CHECKING:
    from ..traffic.fitting.calibration import Driver
    from ..traffic.fitting.repeats import Repeats
    from ..traffic.population import Population, Source


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "fit-traffic", help="how people drive, fitted to logs", description=run.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("roots", nargs="*", metavar="ROOT", help="folders or files of any known format")
    parser.add_argument("--source", metavar="NAME", help="of all roots, where the format is not to be recognised")
    parser.add_argument("--arg", action="append", default=[], dest="options", metavar="KEY=VALUE",
                        help="a source's option")  # fmt: skip
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="at most N scenes of each source")
    parser.add_argument("--fewest", type=int, metavar="N", help="tracks that a law needs (20)")
    parser.add_argument("--out", default="traffic.yaml", metavar="FILE", help="the population (traffic.yaml)")
    parser.add_argument("--picture", metavar="FILE", help="the fit as histograms, a .png")
    parser.set_defaults(run=run)


def run(
    roots: Sequence[str], source: str | None = None, options: Sequence[str] = (), limit: int = 0,
    fewest: int | None = None, out: str = "traffic.yaml", picture: str | None = None,
) -> int:  # fmt: skip
    """Calibrates the driver model to every track, fits a distribution to each parameter by class of road user, writes
    them to a file that behaviours read (behavior.population=FILE), and shows how well they fit and what did not count.

    The licences of the logs are written into the file: some bind what is made from them. Exit code 0, 1 if a scene
    could not be read, 2 if nothing could be fitted.
    """
    from ..traffic.population import FEWEST, Population

    fewest = FEWEST if fewest is None else fewest
    if limit < 0 or fewest < 5:
        raise InputError("--limit is 0 or more, --fewest 5 or more")
    if picture is not None and Path(picture).suffix.lower() != ".png":
        raise InputError(f"--picture {picture}: a .png is written")
    for place in filter(None, (out, picture)):
        if Path(place).is_dir() or not Path(place).expanduser().resolve().parent.is_dir():
            raise InputError(f"{place}: a file in a folder that is there is expected")
    drivers, told, broken = _drivers(_parts(roots, source, options), limit)
    values = {name: [driver.values for driver in own] for name, own in drivers.items()}
    population = Population.fit(values, told, fewest)
    if not population.classes:
        raise InputError(_nothing(drivers, told, fewest))
    _show(population, values)
    _left_out(population, drivers)
    population.write(out)
    print(Path(out).expanduser().resolve())
    if picture is not None:
        from ..report.histograms import draw

        print(draw(population, values, picture).resolve())
    return 1 if broken else 0


def _parts(roots: Sequence[str], source: str | None, options: Sequence[str]) -> list[tuple[str, str, Any]]:
    if not roots and source is None:
        raise InputError("ROOT is missing: give the folders or files of logs")
    found = []
    for root in roots or [None]:
        words = [word for word in (source, root) if word is not None]
        parts, rest = sources(words, options, "drivesim fit-traffic --source {name} {root}")
        if rest:
            raise InputError(f"{rest[0]}: --source {source} reads no folder")
        found += parts
    return found


def _drivers(
    sections: Sequence[tuple[str, str, Any]], limit: int
) -> tuple[dict[str, list[Driver]], list[Source], bool]:
    """What the tracks of every scene tell, by class; the sources that held any scene; whether one was unreadable."""
    from ..traffic.fitting.repeats import Repeats
    from ..traffic.population import Source

    repeats = Repeats()
    drivers: dict[str, list[Driver]] = defaultdict(list)
    told, broken = [], False
    for number, (name, root, part) in enumerate(sections):
        licences: Counter[str] = Counter()
        scenes = tracks = again = 0
        for id, found, problem in _scenes(f"{number} {root}", part, limit, repeats):
            if problem:
                print(f"{name}{f' in {root}' * bool(root)}: {id}: {problem}", file=sys.stderr)
                broken = True
                continue
            licence, own, double = found
            licences[licence] += 1
            scenes, tracks, again = scenes + 1, tracks + len(own), again + double
            for kind, driver in own:
                drivers[kind].append(driver)
        if scenes:
            told.append(Source(name, scenes, tracks, _licence(licences)))
            print(f"{name}{f' in {root}' * bool(root)}: {scenes} scene{'s' * (scenes != 1)}, {tracks} tracks that move"
                  f"{f', and {again} that repeat one of another scene' * bool(again)}", flush=True)  # fmt: skip
    return drivers, told, broken


def _scenes(root: str, part: Any, limit: int, repeats: Repeats) -> Iterator[tuple[str, Any, str]]:
    """Per scene: its id; its licence, its drivers with their classes, and the number of those seen before; and why it
    could not be read ("" if it was). Scenes that cannot be driven are passed over."""
    from .. import parts
    from ..traffic.fitting.calibration import drive_of
    from ..traffic.fitting.episodes import observe
    from ..traffic.population import CLASSES
    from .scenarios import _watched

    class_of = {kind: name for name, kinds in CLASSES.items() for kind in kinds}
    source, read = parts.build(part), 0
    ids = source.ids()
    for id in _watched(ids, min(len(ids), limit or len(ids))):
        if limit and read == limit:
            return
        try:
            scenario = source.load(id)
        except NotDrivable:
            continue
        except InputError as error:
            yield id, None, str(error).removeprefix(f"{id}: ")
            continue
        read += 1
        tracks = observe(scenario)
        new = [track for track in tracks if not repeats.known(track, f"{root} {id}")]
        own = [(class_of[track.kind], drive_of(track)) for track in new]
        yield id, (scenario.licence, own, len(tracks) - len(new)), ""


def _licence(licences: Counter[str]) -> str:
    most = licences.most_common(1)[0][0]
    return most + f" (and {len(licences) - 1} more)" * (len(licences) > 1)


def _nothing(drivers: dict[str, list[Driver]], told: Sequence[Source], fewest: int) -> str:
    if not told:
        return "no scene could be read: there is nothing to fit"
    tracks, scenes = sum(map(len, drivers.values())), sum(source.scenes for source in told)
    known = Counter((name, key) for name, own in drivers.items() for driver in own for key in driver.values)
    most = "".join(f"; most tell of {name} {key}, {n} of them" for (name, key), n in known.most_common(1))
    seen = f"{tracks} tracks move in {scenes} scene{'s' * (scenes != 1)}"
    return f"nothing could be fitted: {seen}, a law needs {fewest} tracks{most}; give more or longer logs"


def _show(population: Population, values: dict[str, list[dict[str, float]]]) -> None:
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from ..traffic.fitting.distributions import likely
    from ..traffic.population import PARAMETERS

    table = Table(title="driving styles", caption="KS: distance of law and tracks; * more than chance explains (5 %)")
    table.add_column("class")
    table.add_column("parameter")
    for name in ("tracks", "10 %", "median", "90 %", "law 10 %", "median", "90 %", "KS"):
        table.add_column(name, justify="right")
    for name, own in population.classes.items():
        for key, law in own.laws.items():
            seen = np.quantile([track[key] for track in values[name] if key in track], [0.1, 0.5, 0.9])
            drawn = law.quantile(np.array([0.1, 0.5, 0.9]))
            unit = PARAMETERS[key][1]
            far = "*" if law.ks > likely(law.tracks) else ""
            table.add_row(name, f"{key}{f' ({unit})' * bool(unit)}", str(law.tracks),
                          *(f"{x:.2f}" for x in (*seen, *drawn)), f"{law.ks:.3f}{far}")  # fmt: skip
        table.add_section()
    Console(width=110, highlight=False).print(table)
    for name, own in population.classes.items():
        for (a, b), value in own.correlations.items():
            print(f"{name}: {a} and {b} go together by {value:+.2f}")


def _left_out(population: Population, drivers: dict[str, list[Driver]]) -> None:
    """What tracks did not tell, and the laws that had too few."""
    from ..traffic.population import PARAMETERS

    print("did not count (tracks):")
    for name, own in drivers.items():
        laws = population.classes[name].laws if name in population.classes else {}
        for key in PARAMETERS:
            reasons = Counter(driver.unknown[key] for driver in own if key in driver.unknown)
            known = sum(key in driver.values for driver in own)
            if not reasons and not known:
                continue
            why = ", ".join(f"{reason} {n}" for reason, n in reasons.most_common())
            few = f"NOT FITTED, {known} known; " if key not in laws else ""
            print(f"  {name} {key}: {few}{why}")
