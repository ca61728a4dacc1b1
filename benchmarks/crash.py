"""Commands killed at random moments, and a batch of many small cases: what their folders hold afterwards.

    python -m benchmarks.crash [--kills N] [--only NAME ...] [--cases N] [--seed N] [--keep FOLDER]

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
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.common import Report, heading, say, table, write_phantom
from benchmarks.crash_attacks import SMALL, Attack, attacks, prepare
from benchmarks.crash_content import Expected, content
from benchmarks.crash_forked import Ended, Kill, forked, started, warm
from dainr.networks.weights import FOLDER_VARIABLE

BATCH_KILLS = 5
CASE_S = 2.0  # what a case of the batch takes, about: kills are spread over the time of all
STARTED = 0.02  # of the kills hit a Python of its own, as a user starts it
IMPORT_S = 3.0  # which takes so much longer
Run = Callable[[Sequence[str], Path, Kill], Ended]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print how every command did; the exit code is 1 where a file was neither old nor new, or a case is lost."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000, help="in all, shared by the commands")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a command of the table")
    parser.add_argument("--cases", type=int, default=1000, help="of the batch; 0: leave it out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for what is prepared; used again if it is there")
    parser.add_argument("-o", "--output", type=Path)
    asked = parser.parse_args(arguments)
    chance, report, faults = random.Random(asked.seed), Report(asked.output), list[str]()
    report.add(heading("Commands killed at random", "crash", arguments, "cpu"))
    os.environ[FOLDER_VARIABLE] = "weights"
    with tempfile.TemporaryDirectory() as folder:
        if asked.kills:
            chosen = [attack for attack in attacks() if not asked.only or attack.name in asked.only]
            prepared = prepare(Path(asked.keep or folder))
            targets = kill_in_turn(chosen, prepared, Path(folder) / "work", asked.kills, chance)
            report.add(table(("command", "begun", "killed before its end", "faults"), [one.row for one in targets]))
            faults += [fault for target in targets for fault in target.faults]
        if asked.cases:
            report.add(large_batch(Path(folder), asked.cases, chance, faults))
    for fault in faults:
        say(fault)
    if faults:
        raise SystemExit(1)


def kill_in_turn(
    chosen: Sequence[Attack], prepared: Path, work: Path, kills: int, chance: random.Random
) -> list["Target"]:
    """Kill commands so often in all, each by its weight; what came of each. Ctrl-C ends it early."""
    share = kills / sum(attack.weight for attack in chosen)
    targets = [Target(attack, prepared, work, max(1, round(share * attack.weight))) for attack in chosen]
    try:
        while left := [target for target in targets if target.cut < target.kills]:
            min(left, key=lambda target: target.cut / target.kills).kill(chance)
    except KeyboardInterrupt:
        say("stopped")
    return targets


class Target:
    """A command that is killed, and what was wrong afterwards."""

    def __init__(self, attack: Attack, prepared: Path, work: Path, kills: int) -> None:
        self.attack, self.prepared, self.work, self.kills = attack, prepared, work, kills
        self.begun, self.cut, self.faults = 0, 0, list[str]()
        self._undisturbed: tuple[Expected, Ended] | None = None

    @property
    def row(self) -> list[str]:
        """Its row of the table."""
        return [self.attack.name, str(self.begun), str(self.cut), str(len(self.faults))]

    def kill(self, chance: random.Random) -> None:
        """Begin it until it could be killed once, and look what is left."""
        cut, before = self.cut, len(self.faults)
        while self.cut == cut:
            self._try(chance)
        say("\n".join([f"{self.attack.name}: {self.cut} of {self.kills} kills", *self.faults[before:]]))

    def _try(self, chance: random.Random) -> None:
        attack, work = self.attack, self.work
        expected, usual = self._undisturbed = self._undisturbed or self._leaves()
        self._anew()
        kill, run = _moment(usual, chance)
        self.begun += 1
        ended = run(attack.command, work, kill)
        if ended.code >= 0:  # by itself, sooner than it takes as a rule
            if run is forked:
                self._undisturbed = expected, replace(usual, seconds=min(usual.seconds, ended.seconds))
            return
        self.cut += 1
        where = f"{attack.name}, {kill}"
        self.faults += [f"{where}: {fault}" for fault in expected.faults_after_kill(content(work))]
        again = forked(attack.again(work), work)
        if again.code:
            self.faults.append(f"{where}: run again, it ends with {again.code}: {again.said}")
        self.faults += [f"{where}: run again, {fault}" for fault in expected.faults_at_end(content(work))]

    def _leaves(self) -> tuple[Expected, Ended]:
        """What the command leaves undisturbed, twice, and what it takes."""
        found, ends = [], []
        for _ in range(3):
            self._anew()
            ends.append(forked(self.attack.command, self.work))
            if ends[-1].code:
                self.faults.append(f"{self.attack.name}: undisturbed, it ended with {ends[-1]}")
            warm(ends[-1].modules)
            found.append(content(self.work))
        expected = Expected(content(self.prepared), found[1], found[2], self.attack.passing, self.attack.by_clock)
        seconds, changes = median(end.seconds for end in ends[1:]), ends[-1].changes
        varying = ", ".join(expected.varying) or "none"
        say(f"{self.attack.name}: {seconds:.2f} s, {changes} changes; varying: {varying}")
        return expected, Ended(seconds, 0, changes)

    def _anew(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.prepared, self.work)


def _moment(usual: Ended, chance: random.Random) -> tuple[Kill, Run]:
    """When to kill, and who runs the command."""
    if chance.random() < STARTED:
        return Kill(after_s=chance.uniform(0.0, usual.seconds + IMPORT_S)), started
    kind = chance.randrange(4)
    if kind > 1:
        return Kill(at_change=chance.randint(1, usual.changes)), forked
    return Kill(after_s=usual.seconds * chance.uniform(0.8 * kind, 1.0)), forked


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
