"""What disturbs real scans, on phantoms: how a method does with it, and without what the program does about it.

    python -m benchmarks.disturbed [--methods dainr,grasp] [-o disturbed.md]

Fat beside the field of view, delays of the gradients, a phase that wraps, a frame without signal, which is not scored,
no noise measurement, lines of tissue that crosses the edges of the field of view; and what is no steady heartbeat: a
bolus, a signal that decays, a deep breath, an extrasystole.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np

import dainr
from benchmarks.common import Report, add_common, heading, say, table
from dainr.assess.scores import evaluate
from dainr.prepare.frames import frames_as_stored
from dainr.scan import Scan
from dainr.settings.presets import DEFAULT_METHOD
from dainr.simulate import PHANTOMS, SimulationConfig, sampling, simulate, simulate_phantom
from dainr.simulate.phantom import still_ellipse

DELAYS = np.array([[0.6, 0.1], [0.1, -0.3]])  # samples, (y, x)
SHORTER = 0.97  # spokes, so that delayed ones stay within k-space
PHASE_TURN = 25.0  # rad over the field of view
SILENT = 7  # frame
LINES = 4.0  # their acceleration
UNSTEADY = {
    "bolus": "a bolus of contrast",
    "decay": "a signal that decays",
    "breath": "a deep breath",
    "extra-beat": "an extrasystole",
}


@dataclass(frozen=True)
class Case:
    """A scan with its truth, the settings that leave out what is done about it, and a frame that is not scored."""

    name: str
    scan: Scan
    without: tuple[str, ...] = ()
    silent: int | None = None


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each scan, with and without what is done about it."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default=f"{DEFAULT_METHOD},grasp,l+s,cg-sense", help="separated by commas")
    parser.add_argument("--matrix", type=int, default=128, help="of the phantoms")
    add_common(parser)
    asked = parser.parse_args(arguments)
    methods = asked.methods.split(",")
    report = Report(asked.output)
    report.add(heading("Disturbed scans", "disturbed", arguments, asked.device))
    report.add(
        f"25 frames, or those the phantom has as a rule, of 13 spokes or of {LINES:g}-fold undersampled lines; "
        "PSNR dB / SSIM / PSNR dB where it moves."
    )
    rows = []
    for case in cases(asked.matrix):
        settings = {"as it comes": (), **({", ".join(case.without): case.without} if case.without else {})}
        for name, pairs in settings.items():
            say(f"{case.name}: {name}")
            rows.append([case.name, name, *(score(case, m, asked.device, [*asked.pairs, *pairs]) for m in methods)])
    report.add(table(("scan", "settings", *(f"`{method}`" for method in methods)), rows))


def cases(matrix: int) -> list[Case]:
    """The phantom as it is, and disturbed."""
    config = SimulationConfig(matrix=matrix)
    plain = simulate_phantom(config)
    assert plain.frame is not None and plain.reference is not None
    fat = [still_ellipse(1.2, (0.0, 0.57), (0.12, 0.06))]
    with patch.object(simulate, "PHASE_TURN", PHASE_TURN):
        wrapped = simulate.simulate_cine(np.abs(plain.reference[0]), config)
    in_lines = replace(config, pattern="vista", acceleration=LINES)
    lines = simulate_phantom(in_lines)
    samples = np.where(plain.frame[:, None, :, None] == SILENT, 0, plain.kspace)
    return [
        Case("as it should be", plain),
        Case("fat beside the field of view", simulate_phantom(config, fat), ("outside=keep",)),
        Case("delays of 0.6, -0.3 and 0.1 samples", delayed(config), ("delays=no",)),
        Case("a still phase of 1.5 rad", simulate.simulate_cine(np.abs(plain.reference[0]), config)),
        Case(f"one of {PHASE_TURN:g} rad", wrapped),
        Case("a frame without signal", replace(plain, kspace=samples), silent=SILENT),
        Case("no noise measurement", replace(plain, noise=None)),
        Case("lines", lines),
        Case("lines, no noise measurement", replace(lines, noise=None)),
        Case("lines, tissue beyond the edges", simulate_phantom(replace(in_lines, crop=True))),
        *(Case(what, unsteady(config, name)) for name, what in UNSTEADY.items()),
    ]


def unsteady(config: SimulationConfig, phantom: str) -> Scan:
    """A phantom of what is no steady heartbeat, in as many frames as it needs."""
    return simulate_phantom(replace(config, phantom=phantom, frames=PHANTOMS[phantom].frames))


def delayed(config: SimulationConfig) -> Scan:
    """A phantom whose spokes were measured beside the trajectory that the scan tells."""
    nominal = sampling.radial

    def shifted(*arguments: int) -> tuple[np.ndarray, np.ndarray]:
        trajectory, frame = nominal(*arguments)  # type: ignore[arg-type]
        along = trajectory[:, -1] - trajectory[:, 0]
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        step = SHORTER / (2 * config.matrix)  # cycles per pixel
        return SHORTER * trajectory + step * (along @ DELAYS)[:, None], frame

    with patch.object(simulate, "radial", shifted):
        scan = simulate_phantom(config)
    told = SHORTER * nominal(config.frames, config.spokes, scan.matrix)[0]
    return replace(scan, trajectory=told.astype(np.float32)[None])


def score(case: Case, method: str, device: str, pairs: Sequence[str]) -> str:
    """Scores of a method on the frames that were measured."""
    scan = frames_as_stored(case.scan)
    assert scan.reference is not None
    settings = dict(pair.split("=", 1) for pair in pairs)
    recon = dainr.reconstruct(replace(scan, reference=None), method, device=device, settings=settings)
    measured = np.arange(scan.n_frames) != case.silent
    found = evaluate(recon.cine.data[:, measured], scan.reference[:, measured])
    return f"{found.whole.psnr:.2f} / {found.whole.ssim:.3f} / {found.dynamic.psnr:.2f}"


if __name__ == "__main__":
    main()
