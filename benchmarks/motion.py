"""How well the motion of a fit is that of the tissue, beside registration of the fitted frames by SimpleITK.

    python -m benchmarks.motion [--seeds 3] [--phantom textured] [--matrix 96] [--frames 16] [--only 13] [-o motion.md]

Phantoms whose true displacement is known in closed form (dainr.simulate.true_displacement), by spokes and by lines.
From the first frame to every other one, in the walls of both ventricles where they move by more than half a pixel:
the end-point error, median and 95th percentile over pixels and frames, and its median in the frame that has moved most;
where the displacement folds; how far a point is from its place once it has gone through the cycle (to the last frame,
and on to the first); the left cavity carried from the first frame to all others: Dice with the true one, mean and
smallest, and ejection fraction (of the area) less the true one; peak circumferential strain of the left wall less the
true one. A field leads through canonical space and so closes by itself. Means over seeds. `nothing moves` is what no
motion at all would score. Both registrations match the fitted frames to the first: demons (diffeomorphic) and B-splines
(mean squares), their time that of all frames.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

import dainr
from benchmarks.common import Report, add_common, heading, say, table
from dainr.assess.scores import evaluate
from dainr.methods.recon import Recon
from dainr.motion import composed, determinant, inverted, seen
from dainr.motion.strain import wall_strain
from dainr.simulate import PHANTOMS, SimulationConfig, simulate_phantom, true_displacement
from dainr.simulate.phantom import Ellipse, ellipse_image
from dainr.simulate.phantoms import frame_centres
from dainr.simulate.true_motion import Wall

SAMPLINGS = {
    "5 spokes": {"spokes": 5},
    "13 spokes": {"spokes": 13},
    "21 spokes": {"spokes": 21},
    "lines, R = 8": {"pattern": "vista", "acceleration": 8.0},
    "lines, R = 4": {"pattern": "vista", "acceleration": 4.0},
}
MOVES = 0.5  # pixels, in some frame
COLUMNS = (
    "scan",
    "motion by",
    "median",
    "95 %",
    "most moved",
    "folds",
    "closure",
    "Dice",
    "least",
    "EF",
    "strain",
    "s",
)
IN_WORDS = (
    "Errors and closure in pixels; folds: pixels and frames; EF and strain: percentage points off the truth;"
    " s: seconds, of the fit in the first row of each scan."
)
Displacements = np.ndarray  # frame 2 y x: Lagrangian, from the first frame, (x, y) in pixels


@dataclass(frozen=True)
class Truth:
    """What is known of a phantom."""

    displacement: Displacements
    cavity: np.ndarray  # frame y x: share of each pixel that the left cavity takes
    wall: np.ndarray  # y x: the left wall in the first frame
    strain: float  # its mean circumferential strain where that is least, %

    @property
    def moving(self) -> np.ndarray:
        """Pixels of tissue that moves."""
        size = np.hypot(self.displacement[:, 0], self.displacement[:, 1])
        moving: np.ndarray = np.isfinite(size).all(0) & (size.max(0) > MOVES)
        return moving

    @property
    def ejection(self) -> float:
        """Ejection fraction of the area, %."""
        return ejection(self.cavity)


def truth_of(config: SimulationConfig) -> Truth:
    """Of the left ventricle, the last wall of a phantom."""
    phantom = PHANTOMS[config.phantom]
    found, matrix = true_displacement(config), (config.matrix, config.matrix)
    if found is None or phantom.motion is None:
        raise SystemExit(f"the motion of phantom {config.phantom} is not known")
    left = [material for material in phantom.motion(phantom.ellipses()) if isinstance(material, Wall)][-1]
    times = frame_centres(config.frames)
    cavity = np.stack([ellipse_image([replace(left.inner, density=1.0)], matrix, t) for t in times])
    whole = ellipse_image([replace(left.outer, density=1.0)], matrix, times[0])
    wall = (whole > 0.99) & (cavity[0] < 0.01)
    return Truth(found[0], cavity, wall, min(_strain(left, wall, times[0], t) for t in times))


def _strain(left: Wall, wall: np.ndarray, start: float, time: float) -> float:
    """Mean circumferential strain of a wall that is stretched along rays, %: from how its circles shrink."""
    n_y, n_x = wall.shape
    y, x = np.nonzero(wall)
    points = np.stack([(y - n_y // 2) / n_y, (x - n_x // 2) / n_x], 1)
    before, after = points - _centre(left.outer, start), left.carried(points, start, time) - _centre(left.outer, time)
    shrunk = np.linalg.norm(after, axis=1) / np.linalg.norm(before, axis=1)
    return 50 * float(np.mean(shrunk**2 - 1))


def _centre(ellipse: Ellipse, time: float) -> np.ndarray:
    return np.array([float(v[0]) for v in ellipse.centre(np.array([time]))])


def ejection(areas_of: np.ndarray) -> float:
    """Ejection fraction of what `frame y x` shares take, %."""
    areas = areas_of.sum((1, 2))
    return 100 * float(1 - areas.min() / areas.max())


def scored(found: Displacements, back: np.ndarray, truth: Truth) -> list[float]:
    """The figures of a row; `back`: Eulerian, from the last frame on to the first at the points of the last."""
    moving = truth.moving
    error = np.hypot(*(found - truth.displacement).transpose(1, 0, 2, 3))[:, moving]
    size = np.hypot(*truth.displacement.transpose(1, 0, 2, 3))[:, moving]
    most = int(size.mean(1).argmax())
    closure = np.hypot(*composed(found[-1], back))[moving]
    labels = np.stack([seen(truth.cavity[0], inverted(one)[0]) for one in found])
    dice = [2 * np.minimum(a, b).sum() / (a + b).sum() for a, b in zip(labels, truth.cavity, strict=True)]
    middle = np.argwhere(truth.cavity[0] > 0.5).mean(0)
    strain = wall_strain(found, truth.wall, (1.0, 1.0), (middle[0], middle[1])).means()["circumferential"][0]
    return [
        float(np.median(error)),
        float(np.quantile(error, 0.95)),
        float(np.median(error[most])),
        float((determinant(found) <= 0).sum()),
        float(np.quantile(closure, 0.95)),
        float(np.mean(dice)),
        float(np.min(dice)),
        ejection(labels) - truth.ejection,
        100 * float(strain.min()) - truth.strain,
    ]


def of_field(recon: Recon) -> tuple[Displacements, np.ndarray]:
    """The motion that the fit holds."""
    times = recon.cine.times
    first, last = float(times[0]), float(times[-1])
    return (
        recon.displacement(reference=first).displacement[0],
        recon.displacement(times=[first], reference=last).displacement[0, 0],
    )


def registered(match: Callable[[np.ndarray, np.ndarray], np.ndarray], recon: Recon) -> tuple[Displacements, np.ndarray]:
    """The motion that a registration finds between the fitted frames."""
    frames = np.abs(recon.cine.data[0]).astype(np.float32)
    frames /= frames.max()
    still = np.zeros((2, *frames.shape[1:]))
    return np.stack([still, *(match(frames[0], one) for one in frames[1:])]), match(frames[-1], frames[0])


def demons(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """From the pixels of one image to where they are in another, by diffeomorphic demons."""
    import SimpleITK as itk

    method = itk.DiffeomorphicDemonsRegistrationFilter()
    method.SetNumberOfIterations(200)
    method.SetStandardDeviations(1.5)
    field = method.Execute(itk.GetImageFromArray(fixed), itk.GetImageFromArray(moving))
    return np.moveaxis(itk.GetArrayFromImage(field), -1, 0)


def b_splines(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """The same by cubic B-splines on a mesh of about six pixels, least mean squares by L-BFGS-B."""
    import SimpleITK as itk

    one, other = itk.GetImageFromArray(fixed), itk.GetImageFromArray(moving)
    method = itk.ImageRegistrationMethod()
    start = itk.BSplineTransformInitializer(one, [n // 6 for n in fixed.shape[::-1]], 3)
    method.SetInitialTransform(start, inPlace=True)
    method.SetMetricAsMeanSquares()
    method.SetInterpolator(itk.sitkLinear)
    method.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-6, numberOfIterations=60)
    found = method.Execute(one, other)
    size = [int(n) for n in one.GetSize()]
    field = itk.TransformToDisplacementField(found, itk.sitkVectorFloat64, size)
    return np.moveaxis(itk.GetArrayFromImage(field), -1, 0)


REGISTRATIONS = {"demons": demons, "B-splines": b_splines}


def measured(config: SimulationConfig, asked: argparse.Namespace) -> tuple[dict[str, list[float]], list[float]]:
    """The figures of every way to find the motion of one scan, and PSNR, whole and where it moves."""
    scan, truth = simulate_phantom(config), truth_of(config)
    settings = dict(pair.split("=", 1) for pair in asked.pairs)
    began = time.perf_counter()
    recon = dainr.reconstruct(
        replace(scan, reference=None), device=asked.device, preset=asked.preset, seed=config.seed, settings=settings
    )
    seconds = time.perf_counter() - began
    still = np.zeros_like(truth.displacement)
    rows = {"the field": [*scored(*of_field(recon), truth), seconds]}
    for name in [n for n in asked.registrations.split(",") if n]:
        match = REGISTRATIONS[name]
        began = time.perf_counter()
        found = registered(match, recon)
        rows[name] = [*scored(*found, truth), time.perf_counter() - began]
    rows["nothing moves"] = [*scored(still, still[0], truth), 0.0]
    score = evaluate(recon.cine.data, scan.reference)  # type: ignore[arg-type]
    return rows, [score.whole.psnr, score.dynamic.psnr]


def cells(figures: Sequence[float]) -> list[str]:
    """Figures as they stand in a row."""
    forms = ("{:.2f}", "{:.2f}", "{:.2f}", "{:.0f}", "{:.2f}", "{:.3f}", "{:.3f}", "{:+.1f}", "{:+.1f}", "{:.0f}")
    return [form.format(figure) for form, figure in zip(forms, figures, strict=True)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each sampling and way as soon as its seeds are done."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="scans of each sampling")
    parser.add_argument("--phantom", default="textured", choices=[n for n, p in PHANTOMS.items() if p.motion])
    parser.add_argument("--matrix", type=int, default=96)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--only", default="", help="samplings whose name begins so, such as 13")
    parser.add_argument("--registrations", default=",".join(REGISTRATIONS), help="some of them, by commas")
    add_common(parser)
    asked = parser.parse_args(arguments)
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(torch.get_num_threads())

    report = Report(asked.output)
    report.add(heading("Motion", "motion", arguments, asked.device, SimpleITK=SimpleITK.__version__))
    report.add(table(COLUMNS, []))
    images = []
    for name, sampling in SAMPLINGS.items():
        if not name.startswith(asked.only):
            continue
        done = []
        for seed in range(asked.seeds):
            config = SimulationConfig(
                phantom=asked.phantom, matrix=asked.matrix, frames=asked.frames, seed=seed, **sampling
            )  # type: ignore[arg-type]
            done.append(measured(config, asked))
            say(f"{name}, seed {seed}: {done[-1][0]['the field'][:2]}")
        for way in done[0][0]:
            report.extend([name, way, *cells(np.mean([rows[way] for rows, _ in done], axis=0))])
        whole, dynamic = np.mean([psnr for _, psnr in done], axis=0)
        images.append(f"{name} {whole:.2f} / {dynamic:.2f}")
    report.add(f"{IN_WORDS}\n\nPSNR, whole and where it moves, dB: {'; '.join(images)}.")


if __name__ == "__main__":
    main()
