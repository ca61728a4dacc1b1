"""The card: what it is, how fast it copies, how long a launch takes, and which NUFFT backends really load."""

import subprocess
import sys

import torch

from benchmarks.gpu.stage import Result, Results, Scope, Stage, figure
from benchmarks.gpu.steps import clock
from dainr.operators.nufft import BACKENDS
from dainr.runs.run import versions
from dainr.studies.self_check import device_facts, self_check

CARD, SELF_CHECK = "card", "self-check"
COPIED = 2**30  # bytes, on a GPU
LAUNCHES = 1000
POINTS = 64
DONE = "came to its end"


def measure(case: str, scope: Scope) -> Result:
    """Facts and speeds; or what `dainr doctor --gpu` finds."""
    if case == SELF_CHECK:
        findings = list(self_check(scope.device))
        return {finding.name: finding.text for finding in findings} | {
            "wrong": [finding.name for finding in findings if not finding.right]
        }
    device = torch.device(scope.device)
    return {
        "facts": device_facts(device),
        "versions": versions() | {"commit": _commit()},
        "speeds": _speeds(device, scope),
        "NUFFT backends": {name: _loads(name, scope.device) for name in BACKENDS},
        "cuFINUFFT alone": _runs("import torch, cufinufft"),
    }


def _speeds(device: torch.device, scope: Scope) -> dict[str, float]:
    """GB/s of copies, and microseconds that a launch takes the processor and the device."""
    size = COPIED if scope.on_cuda else 2**24
    here = torch.zeros(size, dtype=torch.uint8, device=device)
    there = torch.empty_like(here)
    speeds = {"copy GB/s, read and written": 2e-6 * size / clock(lambda: there.copy_(here), device, 10)}
    host = torch.zeros(size // 4, dtype=torch.uint8, pin_memory=scope.on_cuda)
    speeds["upload GB/s"] = 1e-6 * len(host) / clock(lambda: here[: len(host)].copy_(host), device, 5)
    one = torch.zeros(1, device=device)

    def launches() -> None:
        for _ in range(LAUNCHES):
            one.add_(1)

    return speeds | {"one small operation, µs": clock(launches, device, 5) / LAUNCHES * 1e3}


def _loads(name: str, device: str) -> str:
    """Nothing where a backend transforms on the device, or why it does not."""
    return _runs(
        "import numpy, torch; from dainr.operators.nufft import make_nufft\n"
        f"points, device = [numpy.zeros(({POINTS}, 2))], torch.device('{device}')\n"
        "maps = torch.ones(1, 16, 16, dtype=torch.complex64, device=device)\n"
        f"make_nufft('{name}', points, (16, 16), 1, device).measure(maps, maps).abs().sum().item()"
    )


def _runs(program: str) -> str:
    """Nothing, or the last line of what a program said that did not come to its end; in a process of its own."""
    command = [sys.executable, "-c", f"{program}\nprint('{DONE}', flush=True)"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if DONE in done.stdout:  # what befalls a process that leaves is another matter
        return ""
    said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return said[-1].rpartition("MissingBackend: ")[2]


def _commit() -> str:
    try:
        asked = ["git", "rev-parse", "--short", "HEAD"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def show(results: Results) -> str:
    """A list of what was found."""
    lines = []
    card = results.get(CARD, {})
    for group in ("facts", "speeds"):
        lines += [f"- {name}: {figure(value)}" for name, value in card.get(group, {}).items()]
    for name, why in card.get("NUFFT backends", {}).items():
        lines.append(f"- NUFFT {name}: {why or 'runs'}")
    lines += [
        f"- {name}: {text}" for name, text in results.get(SELF_CHECK, {}).items() if name in ("arithmetic", "fit")
    ]
    return "\n".join(lines)


def faults(results: Results) -> list[str]:
    """What the self-check calls wrong."""
    found = results.get(SELF_CHECK, {})
    return [f"self-check: {name}: {found[name]}" for name in found.get("wrong", [])]


STAGE = Stage(
    name="card",
    title="The card",
    about="Copies are counted as read and written; a small operation adds to one number, a thousand times in a row.",
    cases=lambda scope: [CARD, SELF_CHECK],
    measure=measure,
    show=show,
    faults=faults,
    usual_s=40,
    limit_s=240,
)
