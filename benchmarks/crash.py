"""Commands killed at random moments, and a batch of many small cases: what their folders hold afterwards.

    python -m benchmarks.crash [--kills N] [--cases N] [--seed N]

Each command works on the results of one that ended well, is killed with SIGKILL, and must leave files that can be read
to their end. Then the same command runs undisturbed.
The batch fits two cases at once, is killed five times, and must end complete.
"""

import dainr  # noqa: F401 - before torch, for it decides how threads wait

# isort: split
import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from safetensors import safe_open

from benchmarks.common import DAINR, Report, heading, say, table, write_phantom
from dainr.simulate import SimulationConfig

BATCH_KILLS = 5
CASE_S = 4.0  # what a case of the batch takes, about: kills are spread over the time of all
SMALL = SimulationConfig(matrix=24, frames=4, coils=2)
QUICK = ("--device", "cpu", "--set", "nufft=compiled", "--set", "features=none", "--set", "checkpoint_every_s=0")


def _hdf5(path: Path) -> None:
    with h5py.File(path) as file:
        file.visititems(lambda _, item: item[()] if isinstance(item, h5py.Dataset) else None)


def _image(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def _tensors(path: Path) -> None:
    with safe_open(path, "np") as file:
        for key in file.keys():  # noqa: SIM118
            file.get_tensor(key)


def _page(path: Path) -> None:
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")


WHOLE: dict[str, Callable[[Path], object]] = {
    ".h5": _hdf5,
    ".png": _image,
    ".npy": np.load,
    ".safetensors": _tensors,
    ".html": _page,
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".toml": lambda path: tomllib.loads(path.read_text(encoding="utf-8")),
}


@dataclass(frozen=True)
class Attack:
    """A command, in whose folder `scan.h5`, `scans` and a finished run `run` lie; `resume` is how it is run again."""

    name: str
    command: tuple[str, ...]
    resume: tuple[str, ...]


def attacks() -> list[Attack]:
    """Every command that writes, those that replace results as well."""
    fit = ("fit", "scan.h5", "-o", "new", "-q", "--iterations", "20", *QUICK)
    batch = ("batch", "scans", "-o", "out", "-q", "--iterations", "5", *QUICK)
    export = ("export", "run", "cine.h5", "--force")
    picture = ("export", "run", "cine.png", "--force")
    convert = ("convert", "scan.h5", "converted.h5", "--force")
    report = ("report", "run")
    tune = ("tune", "scan.h5", "-o", "tuned.toml", *("--device", "cpu", "--force"))
    again = ("fit", "scan.h5", "-o", "run", "-q", "--force", "--iterations", "20", *QUICK)
    return [
        Attack("fit", fit, ("fit", "scan.h5", "-o", "new", "-q", "--resume")),
        Attack("fit --force", again, again),
        Attack("batch", batch, batch),
        Attack("export .h5", export, export),
        Attack("export .png", picture, picture),
        Attack("convert", convert, convert),
        Attack("report", report, report),
        Attack("tune", tune, tune),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print how every command did; the exit code is 1 where a file was neither old nor new, or a case is lost."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000, help="in all, shared by the commands")
    parser.add_argument("--cases", type=int, default=1000, help="of the batch; 0: leave it out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    asked = parser.parse_args(arguments)
    chance, report, faults = random.Random(asked.seed), Report(asked.output), list[str]()
    report.add(heading("Commands killed at random", "crash", arguments, "cpu"))
    with tempfile.TemporaryDirectory() as folder:
        if asked.kills:
            prepared = prepare(Path(folder))
            rows = []
            for attack in attacks():
                rows.append(kill_often(attack, prepared, asked.kills // len(attacks()), chance, faults))
            report.add(table(("command", "kills", "before its end", "faults"), rows))
        if asked.cases:
            report.add(large_batch(Path(folder), asked.cases, chance, faults))
    for fault in faults:
        say(fault)
    if faults:
        raise SystemExit(1)


def prepare(folder: Path) -> Path:
    """A scan, a folder of two, and a finished run."""
    prepared = folder / "prepared"
    (prepared / "scans").mkdir(parents=True)
    scan = write_phantom(prepared, "scan", SMALL)
    for name in "ab":
        shutil.copy(scan, prepared / "scans" / f"{name}.h5")
    run(["fit", "scan.h5", "-o", "run", "-q", "--iterations", "20", *QUICK], prepared)
    run(["export", "run", "cine.h5"], prepared)
    run(["export", "run", "cine.png"], prepared)
    run(["convert", "scan.h5", "converted.h5"], prepared)
    return prepared


def run(arguments: Sequence[str], where: Path, kill_after: float | None = None) -> tuple[float, int]:
    """Seconds and exit code of a command, which may be killed with all it started."""
    started = time.perf_counter()
    with subprocess.Popen(
        [*DAINR, *arguments],
        cwd=where,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            process.wait(kill_after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return time.perf_counter() - started, process.returncode


def kill_often(attack: Attack, prepared: Path, kills: int, chance: random.Random, faults: list[str]) -> list[str]:
    """The row of a command: how often it was killed, and what was wrong afterwards."""
    before, cut = len(faults), 0
    with tempfile.TemporaryDirectory(dir=prepared.parent) as place:
        work = Path(place) / "work"
        shutil.copytree(prepared, work)
        seconds, code = run(attack.command, work)
        if code:
            faults.append(f"{attack.name}: undisturbed, it ended with {code}")
        for _ in range(kills):
            shutil.rmtree(work)
            shutil.copytree(prepared, work)
            _, code = run(attack.command, work, chance.uniform(0.0, seconds))
            cut += code == -signal.SIGKILL
            faults += [f"{attack.name}: {path} is neither old nor new" for path in broken(work)]
            begun = attack.resume if (work / "new" / "config.toml").is_file() else attack.command
            if run(begun, work)[1]:
                faults.append(f"{attack.name}: it does not run again")
    say(f"{attack.name}: {cut} of {kills} killed before the end, {len(faults) - before} faults")
    return [attack.name, str(kills), str(cut), str(len(faults) - before)]


def broken(folder: Path) -> list[str]:
    """The files in a folder that cannot be read to their end; hidden ones, which nothing reads, aside."""
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        read = WHOLE.get(path.suffix)
        if read is None or any(part.startswith(".") and part != ".cases" for part in parts):
            continue
        try:
            read(path)
        except Exception as error:
            found.append(f"{path.relative_to(folder)} ({error})")
    return found


def large_batch(folder: Path, count: int, chance: random.Random, faults: list[str]) -> str:
    """Many small cases, two at once, killed on the way and run to the end: what came of it, as a sentence."""
    scans, out = folder / "many", folder / "results"
    scans.mkdir()
    scan = write_phantom(folder, "small", SMALL)
    for number in range(count):
        shutil.copy(scan, scans / f"case{number:04d}.h5")
    options = ("--jobs", "2", "-q", "--method", "gridding", "--device", "cpu", "--set", "nufft=finufft")
    command = ("batch", str(scans), "-o", str(out), *options, "--export", ".npy")
    began = time.perf_counter()
    for number in range(BATCH_KILLS):
        run(command, folder, chance.uniform(0.5, 1.5) * count * CASE_S / 2 / (BATCH_KILLS + 1))
        say(f"killed {number + 1} times: {len(list(out.glob('*.npy')))} of {count} exports are there")
    code = run(command, folder)[1]
    rows = json.loads((out / "summary.json").read_text()) if code == 0 else []
    done = sum(row["status"] == "done" for row in rows)
    if (code, done, len(broken(out))) != (0, count, 0):
        faults.append(f"batch: exit code {code}, {done} of {count} cases done")
    taken = time.perf_counter() - began
    return f"A batch of {count} cases, two at once, killed {BATCH_KILLS} times: {done} done in {taken:.0f} s."


if __name__ == "__main__":
    main()
