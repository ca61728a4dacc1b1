"""Commands killed at random moments, and a batch of many small cases: what their folders hold afterwards.

    python -m benchmarks.crash [--kills N] [--only NAME ...] [--cases N] [--seed N]

Each command works where results of other settings lie already, beside files of the user's. It is killed with SIGKILL,
and every file must then hold what it held before or what the undisturbed command leaves, by content. Then the command
runs again, or goes on with --resume, and must end as the undisturbed one did: a fit with the same cine, bit for bit.
A quarter of the kills come at any time of a command, a quarter in its last fifth, half just before one of its changes
of files. The batch fits two cases at once, is killed five times, and must end complete.
"""

import dainr  # noqa: F401 - before torch, for it decides how threads wait

# isort: split
import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from benchmarks.common import Report, heading, say, table, write_phantom
from benchmarks.crash_content import Expected, content
from benchmarks.crash_forked import Ended, Kill, forked, started, warm
from dainr.networks.weights import FOLDER_VARIABLE, load_mdsr
from dainr.simulate import SimulationConfig

BATCH_KILLS = 5
CASE_S = 2.0  # what a case of the batch takes, about: kills are spread over the time of all
STARTED = 0.02  # of the kills hit a Python of its own, as a user starts it
IMPORT_S = 3.0  # which takes so much longer
SMALL = SimulationConfig(matrix=24, frames=4, coils=2)
Run = Callable[[Sequence[str], Path, Kill], Ended]
OF_A_RUN = r"(cine\.h5|report\.html|run\.json|log\.jsonl|dainr\.json|config\.toml|(state|features).*\.safetensors)"
QUICK = ("-q", "--device", "cpu", "--set", "nufft=compiled", "--set", "prior=none", "--set", "checkpoint_every_s=0")
FIT = ("--iterations", "8", *QUICK)
EXPORTS = (".h5", ".npy", ".nii.gz", ".mp4", ".gif", ".png", ".cfl", ".mrd", "_dicom")


@dataclass(frozen=True)
class Attack:
    """A command, run where `prepare` has been; `begun` is a folder whose fit goes on with --resume once it has begun.

    `passing`: patterns of files that may be gone or others while it is under way; at its end they may not.
    """

    name: str
    command: tuple[str, ...]
    begun: str = ""
    passing: tuple[str, ...] = ()
    weight: float = 1.0  # of its share of the kills

    def again(self, work: Path) -> tuple[str, ...]:
        """How it is run once more."""
        if self.begun and (work / self.begun / "config.toml").is_file() and "--force" not in self.command:
            return ("fit", self.command[1], "-o", self.begun, "-q", "--resume")
        return self.command


def attacks() -> list[Attack]:
    """Every command that writes, where results lie already."""
    exports = [Attack(f"export {s}", ("export", "run", f"cine{s}", "--force")) for s in EXPORTS]
    tune = ("tune", "scan.h5", "-o", "tuned.toml", "--force", *QUICK)
    search = (*tune, "--trials", "2", "--set", "fit.iterations=5")
    compare = ("compare", "scan.h5", "-o", "page.html", "--force", "-q", "--methods", "gridding,cg-sense")
    batch = ("batch", "scans", "-o", "out", "--iterations", "3", *QUICK, "--export", ".nii.gz", "--export", "dicom")
    simulate = ("simulate", "simulated.h5", "--force", "--matrix", "24", "--frames", "4", "--coils", "2")
    return [
        *exports,
        *(Attack(f"convert {a} {b}", ("convert", a, b, "--force")) for a, b in CONVERSIONS),
        Attack("simulate --force", simulate),
        Attack("report", ("report", "run")),
        Attack("weights import", ("weights", "import", "mine.pt", "--force"), passing=(r"weights/manifest\.toml",)),
        Attack("fit", ("fit", "scan.h5", "-o", "new", *FIT), "new", (f"new/{OF_A_RUN}",), 0.25),
        Attack("fit --force", ("fit", "scan.h5", "-o", "run", "--force", *FIT), "run", (f"run/{OF_A_RUN}",), 0.25),
        Attack("fit --resume", ("fit", "scan.h5", "-o", "half", "-q", "--resume"), "half", (f"half/{OF_A_RUN}",), 0.25),
        Attack("batch", batch, passing=(rf"out/[ab]/{OF_A_RUN}", r"out/\.cases/.*\.json"), weight=0.1),
        Attack("tune", (*tune, "--budgets", "0.1s,0.2s"), weight=0.15),
        Attack("tune --trials", search, passing=(r"tuned\..*journal.*", r"tuned\.log"), weight=0.15),
        Attack("compare", compare, weight=0.15),
    ]


CONVERSIONS = (("scan.h5", "converted.h5"), ("scan.h5", "converted.mrd"), ("bart_ksp.cfl", "converted.h5"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print how every command did; the exit code is 1 where a file was neither old nor new, or a case is lost."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000, help="in all, shared by the commands")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a command of the table")
    parser.add_argument("--cases", type=int, default=1000, help="of the batch; 0: leave it out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    asked = parser.parse_args(arguments)
    chance, report, faults = random.Random(asked.seed), Report(asked.output), list[str]()
    report.add(heading("Commands killed at random", "crash", arguments, "cpu"))
    os.environ[FOLDER_VARIABLE] = "weights"
    with tempfile.TemporaryDirectory() as folder:
        if asked.kills:
            chosen = [attack for attack in attacks() if not asked.only or attack.name in asked.only]
            prepared, share = prepare(Path(folder)), asked.kills / sum(attack.weight for attack in chosen)
            report.add(table(("command", "begun", "killed before its end", "faults"), []))
            for attack in chosen:
                report.extend(kill_often(attack, prepared, round(share * attack.weight), chance, faults))
        if asked.cases:
            report.add(large_batch(Path(folder), asked.cases, chance, faults))
    for fault in faults:
        say(fault)
    if faults:
        raise SystemExit(1)


def prepare(folder: Path) -> Path:
    """Scans, runs and results of other settings than the commands', with files of the user's among them."""
    prepared = folder / "prepared"
    (prepared / "scans").mkdir(parents=True)
    scan = write_phantom(prepared, "scan", SMALL)
    for name in "ab":
        shutil.copy(scan, prepared / "scans" / f"{name}.h5")
    _bart(prepared)
    other = ("--seed", "1", "--matrix", "24", "--frames", "5", "--coils", "2")
    commands = [
        ("fit", "scan.h5", "-o", "run", *FIT, "--set", "seed=1"),
        ("batch", "scans", "-o", "out", "--iterations", "2", *QUICK, "--export", ".nii.gz", "--export", "dicom"),
        *(("export", "run", f"cine{suffix}", "--frames", "3") for suffix in EXPORTS),
        *(("simulate", name, *other) for name in ("simulated.h5", "converted.h5", "converted.mrd")),
        ("tune", "scan.h5", "-o", "tuned.toml", *QUICK, "--budgets", "0.05s,0.1s"),
        ("compare", "scan.h5", "-o", "page.html", "-q", "--methods", "gridding"),
        ("weights", "import", "mine.pt"),
    ]
    torch.save(load_mdsr("random", 1).state_dict(), prepared / "mine.pt")
    for command in commands:
        if (ended := forked(command, prepared)).code:
            raise SystemExit(f"{' '.join(command)}: {ended}")
        warm(ended.modules)
    torch.save(load_mdsr("random", 0).state_dict(), prepared / "mine.pt")
    (prepared / "run" / "report.html").write_text("<html>an old report</html>")
    half = ("fit", "scan.h5", "-o", "half", *FIT)
    count = forked(half, prepared).changes
    shutil.rmtree(prepared / "half")
    forked(half, prepared, Kill(at_change=count // 2))
    for place in ("", "scans", "run", "out", "half", "weights"):
        (prepared / place / "notes.txt").write_text(f"the user's, in {place}")
    return prepared


def _bart(folder: Path) -> None:
    """Cartesian k-space in BART's files."""
    import numpy as np

    from dainr.io.scans.bart import write_cfl

    draw = np.random.default_rng(0).normal
    kspace = np.zeros((16, 16, 1, 2, *[1] * 6, 4), np.complex64)
    kspace[:, ::2] = draw(size=kspace[:, ::2].shape) + 1j * draw(size=kspace[:, ::2].shape)
    write_cfl(folder / "bart_ksp", kspace)


def kill_often(attack: Attack, prepared: Path, kills: int, chance: random.Random, faults: list[str]) -> list[str]:
    """The row of a command: how often it was killed, and what was wrong afterwards."""
    before, cut, tried = len(faults), 0, 0
    with tempfile.TemporaryDirectory(dir=prepared.parent) as place:
        work = Path(place) / "work"
        expected, usual = _undisturbed(attack, prepared, work, faults)
        while cut < kills:
            _anew(prepared, work)
            kill, run = _moment(usual, chance)
            tried += 1
            if run(attack.command, work, kill).code >= 0:  # it had ended
                continue
            cut += 1
            where = f"{attack.name}, {kill}"
            faults += [f"{where}: {fault}" for fault in expected.faults_after_kill(content(work))]
            again = forked(attack.again(work), work)
            if again.code:
                faults.append(f"{where}: run again, it ends with {again.code}: {again.said}")
            faults += [f"{where}: run again, {fault}" for fault in expected.faults_at_end(content(work))]
    say("\n".join([f"{attack.name}: {kills} kills", *faults[before:]]))
    return [attack.name, str(tried), str(cut), str(len(faults) - before)]


def _undisturbed(attack: Attack, prepared: Path, work: Path, faults: list[str]) -> tuple[Expected, Ended]:
    """What the command leaves, twice, and what it takes."""
    found, ends = [], []
    for _ in range(3):
        _anew(prepared, work)
        ends.append(forked(attack.command, work))
        if ends[-1].code:
            faults.append(f"{attack.name}: undisturbed, it ended with {ends[-1]}")
        warm(ends[-1].modules)
        found.append(content(work))
    expected = Expected(content(prepared), found[1], found[2], attack.passing)
    seconds = median(end.seconds for end in ends[1:])
    say(f"{attack.name}: {seconds:.2f} s, {ends[-1].changes} changes; varying: {', '.join(expected.varying) or 'none'}")
    return expected, Ended(seconds, 0, ends[-1].changes)


def _moment(usual: Ended, chance: random.Random) -> tuple[Kill, Run]:
    """When to kill, and who runs the command."""
    if chance.random() < STARTED:
        return Kill(after_s=chance.uniform(0.0, usual.seconds + IMPORT_S)), started
    kind = chance.randrange(4)
    if kind > 1:
        return Kill(at_change=chance.randint(1, usual.changes)), forked
    return Kill(after_s=usual.seconds * chance.uniform(0.8 * kind, 1.0)), forked


def _anew(prepared: Path, work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(prepared, work)


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
        started(command, folder, Kill(chance.uniform(0.5, 1.5) * count * CASE_S / 2 / (BATCH_KILLS + 1)))
        say(f"killed {number + 1} times: {len(list(out.glob('*.npy')))} of {count} exports are there")
    code = started(command, folder).code
    rows = json.loads((out / "summary.json").read_text()) if code == 0 else []
    done = sum(row["status"] == "done" for row in rows)
    damaged = [name for name, held in content(out).items() if held.startswith("cannot")]
    if (code, done, len(damaged)) != (0, count, 0):
        faults.append(f"batch: exit code {code}, {done} of {count} cases done, damaged: {damaged[:3]}")
    taken = time.perf_counter() - began
    return f"A batch of {count} cases, two at once, killed {BATCH_KILLS} times: {done} done in {taken:.0f} s."


if __name__ == "__main__":
    main()
