"""A folder of 24 cases, four of them broken: done, done again, killed and resumed, and two at once.

    python -m benchmarks.batch [--seed 0] [-o batch.md] [-- dainr fit's options]

The 20 are small phantoms, radial and Cartesian. kill -9 ends the batch and all it started at three random moments; its
results must equal those of the batch that nobody disturbed, to the last bit. The NUFFT is named, for `auto` chooses by
the clock.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from benchmarks.common import DAINR, Report, heading, say, table, write_phantom
from dainr.simulate import SimulationConfig

GOOD, KILLS = 20, 3
BROKEN = ("truncated", "nan", "schema", "empty")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what every batch took and how it ended; the exit code is 1 where a result differs or a case is lost."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--matrix", type=int, default=64)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("options", nargs="*", help="of dainr fit")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        scans = work / "scans"
        write_cases(scans, asked.matrix)
        rows, failed = measure(work, scans, asked.options, random.Random(asked.seed))
    report = Report(asked.output)
    report.add(heading("A folder of cases", "batch", arguments, "cpu"))
    report.add(table(("batch", "s", "exit code", "done", "failed", "largest difference"), rows))
    if failed:
        raise SystemExit(1)


def write_cases(folder: Path, matrix: int) -> None:
    """20 phantoms and four files that are no scan any more."""
    folder.mkdir()
    for number in range(GOOD):
        pattern = {"pattern": "vista", "acceleration": 4} if number % 4 == 3 else {"spokes": 5 + number}
        write_phantom(
            folder, f"case{number:02d}", SimulationConfig(matrix=matrix, frames=8, coils=4, seed=number, **pattern)
        )
    whole = (folder / "case00.h5").read_bytes()
    (folder / "truncated.h5").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.h5").touch()
    for name in ("nan", "schema"):
        (folder / f"{name}.h5").write_bytes(whole)
        with h5py.File(folder / f"{name}.h5", "r+") as file:
            if name == "nan":
                file["kspace"][0, 0, 3] = np.nan
            else:
                file.attrs["schema"] = "another"


def measure(work: Path, scans: Path, options: Sequence[str], chance: random.Random) -> tuple[list[list[str]], bool]:
    """The rows of the table, and whether anything was lost."""
    rows, failed = [], False
    plain, killed = work / "plain", work / "killed"
    for name in ("undisturbed", "again"):
        seconds, code = run_batch(scans, plain, options)
        rows.append(row(name, seconds, code, plain, plain))
        failed |= code != 1 or counts(plain) != (GOOD, len(BROKEN))
    for case in json.loads((plain / "summary.json").read_text()):
        if case["why"]:
            say(f"{case['case']}: {case['why']}")
    for number in range(KILLS):
        moment = chance.uniform(0.05, 0.3) * float(rows[0][1])
        run_batch(scans, killed, options, kill_after=moment)
        rows.append([f"kill -9, {number + 1}", f"{moment:.1f}", "", f"{finished(killed)}", "", ""])
    seconds, code = run_batch(scans, killed, options)
    rows.append(row("resumed to the end", seconds, code, killed, plain))
    failed |= code != 1 or difference(killed, plain) > 0
    taken = []
    for jobs in (1, 2):
        out = work / f"jobs{jobs}"
        seconds, code = run_batch(scans, out, [*options, "--jobs", str(jobs)], cores=jobs)
        rows.append(row(f"{jobs} at once, a thread each", seconds, code, out, plain))
        taken.append(seconds)
    say(f"two at once have {taken[0] / taken[1]:.2f} times the throughput of one")
    return rows, failed


def run_batch(
    scans: Path, out: Path, options: Sequence[str], kill_after: float | None = None, cores: int | None = None
) -> tuple[float, int]:
    """Seconds and exit code of a batch, which may be killed with all it started, or bound to the first few cores."""
    started = time.perf_counter()
    bind = None if cores is None else (lambda: os.sched_setaffinity(0, range(cores)))
    command = [*DAINR, "batch", str(scans), "-o", str(out), "-q", "--set", "nufft=compiled", *options]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=bind) as process:
        try:
            process.wait(kill_after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return time.perf_counter() - started, process.returncode


def row(name: str, seconds: float, code: int, out: Path, plain: Path) -> list[str]:
    """One line of the table."""
    done, failed = counts(out)
    apart = "" if out == plain else f"{difference(out, plain):.1g}"
    return [name, f"{seconds:.1f}", str(code), str(done), str(failed), apart]


def counts(out: Path) -> tuple[int, int]:
    """How many cases the summary calls done, and how many failed."""
    states = [case["status"] for case in json.loads((out / "summary.json").read_text())]
    return states.count("done"), states.count("failed")


def finished(out: Path) -> int:
    """How many cases of a batch that was killed are done."""
    records = [json.loads(path.read_text()) for path in (out / ".cases").glob("*.json")]
    return sum(record["status"] == "done" for record in records)


def difference(out: Path, plain: Path) -> float:
    """The largest difference between the cines of two batches, relative to the brightest pixel; inf where one lacks."""
    largest = 0.0
    for run in sorted(path.parent for path in plain.glob("*/cine.h5")):
        one, other = read_cine(out / run.name / "cine.h5"), read_cine(run / "cine.h5")
        if one.shape != other.shape:
            return float("inf")
        largest = max(largest, float(np.abs(one - other).max() / np.abs(other).max()))
    return largest


def read_cine(path: Path) -> np.ndarray:
    """The images of a cine, none where there is no file."""
    if not path.is_file():
        return np.zeros(0)
    with h5py.File(path) as file:
        return file["cine"][()]


if __name__ == "__main__":
    main()
