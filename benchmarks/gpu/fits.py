"""Whole commands, `dainr fit`, on the GPU and on the CPU: seconds, memory, scores, held-out errors, the same bits.

Every fit runs twice. The first compiles and lets the program choose the NUFFT; the second names what was chosen, and
its seconds are those that count.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import run_dainr, table
from benchmarks.gpu.stage import Result, Results, Scope, Stage, figure, show_columns
from dainr.assess.scores import evaluate
from dainr.io.images.cine import read_cine
from dainr.io.images.series import read_series

SCORE_DB, HELDOUT = 0.3, 0.03  # how far whole fits of two devices may be apart; seeds alone differ by as much
SHORT = ("--iterations", "8")  # of a rehearsal
COLUMNS = {
    "command_s": "command s",
    "first_s": "first time s",
    "fit_s": "fit s",
    "prepare_s": "before it s",
    "memory_mb": "peak MB",
    "steps": "steps",
    "psnr": "PSNR dB",
    "ssim": "SSIM",
    "dynamic_psnr": "dynamic PSNR dB",
    "heldout": "held-out error",
    "nufft": "NUFFT",
    "same_bits": "same bits twice",
}
TARGETS = {  # by scan and preset, on an H100 or H200
    "phantom default": {"fit_s": 1.5, "command_s": 5.0, "memory_mb": 1000.0},
    "sax13 default": {"fit_s": 2.5},
    "phantom hash": {"fit_s": 5.0},
    "phantom paper": {"fit_s": 10.0},
}


def cases(scope: Scope) -> list[str]:
    """Presets and scans on the device, then those of the CPU that they are compared with."""
    scans = scope.scans
    chosen = [f"{name} default" for name in scans if name != "cartesian" or scope.small]
    if scope.small:
        return [f"{one} {scope.device}" for one in chosen]
    chosen += [f"phantom {preset}" for preset in ("fast", "hash", "paper")] + ["sax13 paper"] * ("sax13" in scans)
    left_out = ("phantom fast", "phantom hash", "phantom paper", "sax13 paper")
    on_cpu = [one for one in chosen if one not in left_out] if scope.on_cuda else []
    return [*(f"{one} {scope.device}" for one in chosen), *(f"{one} cpu" for one in on_cpu)]


def measure(case: str, scope: Scope) -> Result:
    """Two runs of the command, and what became of them."""
    name, preset, device = case.split()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        scan, reference = scope.files(name, work)
        first = run(work / "first", scan, preset, device, SHORT if scope.small else ())
        chosen = first["choices"]["fourier"]
        named = () if chosen == "fft" else ("--set", f"nufft={chosen}")
        second = run(work / "second", scan, preset, device, (*named, *(SHORT if scope.small else ())))
        images = [read_cine(work / one / "cine.h5")[0].data for one in ("first", "second")]
        scores = evaluate(images[1], read_series(reference))
        digests = {hashlib.sha256(np.ascontiguousarray(one).tobytes()).hexdigest() for one in images}
    of_slice = second["slices"][0]["fit"]
    return {
        "command_s": second["command_s"],
        "first_s": first["command_s"],
        "fit_s": second["seconds"]["fit"],
        "prepare_s": second["seconds"]["prepare"],
        "memory_mb": round(second["peak_memory_mb"]),
        "steps": of_slice["steps"],
        "psnr": round(scores.whole.psnr, 2),
        "ssim": round(scores.whole.ssim, 4),
        "dynamic_psnr": round(scores.dynamic.psnr, 2),
        "heldout": of_slice.get("heldout_error"),
        "nufft": chosen,
        "same_bits": len(digests) == 1,
    }


def run(folder: Path, scan: Path, preset: str, device: str, options: tuple[str, ...]) -> dict[str, Any]:
    """The record of one `dainr fit`, with the seconds of the whole command. Raises RuntimeError when it fails."""
    done = run_dainr("fit", scan, "-o", folder, "--quiet", "--preset", preset, "--device", device, *options)
    if done.code:
        raise RuntimeError(done.why)
    return json.loads((folder / "run.json").read_text()) | {"command_s": done.seconds}


def show(results: Results) -> str:
    """The figures, and the targets beside what was measured."""
    blocks = [show_columns(results, COLUMNS, "scan, preset, device")]
    rows = []
    for case, result in results.items():
        one, _, device = case.rpartition(" ")
        for key, most in (TARGETS.get(one, {}) if device.startswith("cuda") else {}).items():
            measured = result[key]
            rows.append([f"{case}, {COLUMNS[key]}", figure(most), figure(measured), figure(measured <= most)])
    if rows:
        blocks.append("Targets, set for an H100 or H200:\n\n" + table(("what", "at most", "measured", "met"), rows))
    return "\n\n".join(blocks)


def faults(results: Results) -> list[str]:
    """Fits of a GPU that end elsewhere than those of the CPU."""
    found = []
    for name, there, here in pairs(results):
        apart = abs(there["psnr"] - here["psnr"])
        if not apart <= SCORE_DB:
            found.append(f"fits: {name}: {there['psnr']} dB, and {here['psnr']} dB on the CPU")
        if there["heldout"] is not None and not abs(there["heldout"] / here["heldout"] - 1) <= HELDOUT:
            found.append(f"fits: {name}: held-out error {there['heldout']:.4f}, and {here['heldout']:.4f} on the CPU")
    return found


def pairs(results: Results) -> Iterator[tuple[str, Result, Result]]:
    """Scan and preset, with the result of a GPU and that of the CPU, where there are both."""
    for case, result in results.items():
        one, _, device = case.rpartition(" ")
        if device != "cpu" and f"{one} cpu" in results:
            yield one, result, results[f"{one} cpu"]


STAGE = Stage(
    name="fits",
    title="Whole commands",
    about=(
        "`dainr fit` in a process of its own, the second time; command s: with start, reading, preparation, report and"
        " saving. Peak MB: what torch allocated on a GPU; on a CPU the memory of the process. Right are fits on the GPU"
        f" within {SCORE_DB:g} dB and {100 * HELDOUT:g} % of the held-out error of those on the CPU."
    ),
    cases=cases,
    measure=measure,
    show=show,
    faults=faults,
    usual_s=30,
    limit_s=300,
)
