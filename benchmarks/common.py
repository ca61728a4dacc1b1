"""What the benchmark scripts share: commands run and measured on their own, Markdown, the machine, phantoms."""

import dainr  # noqa: F401 - before torch, for it decides how threads wait

# isort: split
import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dainr.io.scans import native
from dainr.machine.device import device_name, resolve_device
from dainr.machine.threads import usable_cores
from dainr.runs.run import versions
from dainr.simulate import SimulationConfig, simulate_phantom

DAINR = (sys.executable, "-c", "from dainr.cli import main; main()")

# A process counts the memory of the one it was forked from: commands are forked from this small one, not from a script
# that holds torch and images.
LAUNCHER = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
code = subprocess.call(sys.argv[2:])
seconds = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
figures = {
    "code": code,
    "seconds": seconds,
    "core_seconds": used.ru_utime + used.ru_stime,
    "peak_memory_mb": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**20,
}
with open(sys.argv[1], "w") as file:
    json.dump(figures, file)
"""


@dataclass(frozen=True)
class Finished:
    """An ended command: exit code, wall-clock, time of all cores, largest resident memory, what it printed."""

    code: int
    seconds: float
    core_seconds: float
    peak_memory_mb: float
    stdout: str
    stderr: str

    @property
    def why(self) -> str:
        """The last line it wrote to stderr: of a failed command, the reason."""
        return (self.stderr.strip() or f"exit code {self.code}").splitlines()[-1]


def run_command(*command: str | Path) -> Finished:
    """Run a command to its end, whatever its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        launched = [sys.executable, "-S", "-c", LAUNCHER, str(figures), *map(str, command)]
        done = subprocess.run(launched, capture_output=True, text=True, errors="replace", check=False)
        if not figures.is_file():
            return Finished(done.returncode or 1, 0.0, 0.0, 0.0, done.stdout, done.stderr)
        return Finished(**json.loads(figures.read_text()), stdout=done.stdout, stderr=done.stderr)


def run_dainr(*arguments: str | Path) -> Finished:
    """Run a command of the program as a user would, in a process of its own."""
    return run_command(*DAINR, *arguments)


def say(text: str) -> None:
    """Progress, apart from the tables."""
    print(text, file=sys.stderr, flush=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    rule = ["---", *["---:"] * (len(columns) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [columns, rule, *rows])


class Report:
    """Markdown that grows: each block is printed when it is ready, and the file, if one is named, is written anew."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.blocks = path, list[str]()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, block: str) -> None:
        """One more block."""
        self.blocks.append(block)
        print(f"{block}\n", flush=True)
        if self.path is not None:
            self._write()

    def extend(self, cells: Sequence[str]) -> None:
        """One more row of the table that is the last block."""
        row = "| " + " | ".join(cells) + " |"
        self.blocks[-1] += f"\n{row}"
        print(row, flush=True)
        if self.path is not None:
            self._write()

    def _write(self) -> None:
        assert self.path is not None
        self.path.write_text("\n\n".join(self.blocks) + "\n", encoding="utf-8")


def heading(title: str, script: str, arguments: Sequence[str], device: str, **more: str) -> str:
    """Title, the command that makes what follows, and the machine and versions it ran on; folders are left out."""
    command = shlex.join([_without_folder(a) for a in arguments])
    where = str(resolve_device(device))
    machine = f"{usable_cores()} cores ({device_name('cpu')}), {torch.get_num_threads()} threads"
    if where.startswith("cuda"):
        machine += f"; fits on {where}, {device_name(where)}"
    used = ", ".join(f"{package} {version}" for package, version in (versions() | more).items())
    return (
        f"# {title}\n\n    python -m benchmarks.{script} {command}".rstrip()
        + f"\n\nMachine: {machine}.\nVersions: {used}."
    )


def write_phantom(folder: Path, name: str, config: SimulationConfig) -> Path:
    """A simulated scan in a native file."""
    path = folder / f"{name}.h5"
    native.write(simulate_phantom(config), path)
    return path


def warm_up(presets: Sequence[str], device: str) -> None:
    """A short fit of each preset: the loops it compiles stay on disk, so that no timed run compiles them."""
    small = SimulationConfig(matrix=48, frames=6, coils=4)
    with tempfile.TemporaryDirectory() as folder:
        scan = write_phantom(Path(folder), "phantom", small)
        for preset in presets:
            short = ["--preset", preset, "--device", device, "--iterations", "2", "--quiet"]
            run_dainr("fit", scan, "-o", Path(folder) / preset, *short)


def add_common(parser: argparse.ArgumentParser) -> None:
    """The options every script has."""
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--set", dest="pairs", action="append", default=[], metavar="KEY=VALUE", help="a setting")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to write beside stdout")


def _without_folder(argument: str) -> str:
    option, equals, value = argument.rpartition("=")
    return f"{option}{equals}{Path(value).name or value}"
