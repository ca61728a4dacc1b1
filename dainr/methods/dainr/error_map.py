"""The error to expect in every pixel and frame of a slice: the bound that 80 % of the pixels of the object keep.

1. Where. Copies of the finished field go on for a few steps, each with other weights of the readouts, drawn from an
   exponential distribution (the Bayesian bootstrap: Rubin, Ann Stat 1981;9:130). How far their magnitudes end from the
   finished ones says where the readouts do not pin the image down. At edges all copies lack the same
   detail: the gradient of the magnitude counts with `EDGES` in the logarithm. Both are blurred, as root mean squares
   over a few pixels and frames: finer detail would be chance, for there are only a few copies.
2. How large. So short refits move less than the error is large. The map is brought to the error of the whole image
   that held-out readouts tell (assess/image_error.py), which counts with `TRUST` in the logarithm; the spread of the
   refits with the rest.
3. The bound. Of the same energy, errors that sit in few places leave more pixels below a given size. How few places
   the image's edges sit in, median over root mean square of the gradient, counts with `FEW`; `GAIN` does the rest.

The constants are the best for the phantoms of `python -m benchmarks.error_map --seed 1 --scans 32` and `--seed 11
--scans 16 --matrix 128 --frames 20`; `GAIN` for those of `python -m benchmarks.trust --no-disturbed`, seeds 6 and 7.
"""

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dainr.fields.warped import WarpedCine
from dainr.fit.config import FitConfig
from dainr.fit.loop import Fit
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.objective import Objective
from dainr.operators.batch import Batch, FrameData, FrameModel
from dainr.prepare import Prepared

REFITS, STEPS = 3, 12
RATE = 0.5  # of the fit's largest learning rate
BLUR = (1.0, 1.5, 1.5)  # standard deviations: frames, pixels
FLOOR = 0.05  # of the root mean square over the image: no pixel's refits spread less, and no gradient is smaller
OBJECT = 0.05  # of the peak
EDGES, TRUST, FEW = 0.25, 0.75, 0.3
GAIN = 2.12
USUAL = 1.7  # error of the image over the spread of the refits, where nothing was held out


class Reweighted(Objective):
    """The objective as it is at the end of a fit; a sample's weight stands where its density is in the data."""

    def phase(self, progress: float) -> tuple[bool, ...]:
        """All parts have begun."""
        return super().phase(1.0)

    def __call__(self, model: FrameModel, batch: Batch) -> Float[Tensor, ""]:
        """The objective of a batch, whatever its progress."""
        return super().__call__(model, replace(batch, progress=1.0))

    def _weight(self, batch: Batch) -> Float[Tensor, " point"]:
        return batch.density


def error_map(
    model: WarpedCine,
    data: FrameData,
    prepared: Prepared,
    config: DainrConfig,
    place: tuple[int, int],
    image_error: float | None,
) -> Float[np.ndarray, "frame y x"]:
    """The bound in the units of the fit; it follows from the seed, the slice and the finished field.

    `image_error` is that of the images relative to them; None where nothing was held out.
    """
    finished = _magnitude(model)
    refits = refitted(model, data, prepared, config, place)
    squares = np.mean([(_magnitude(refit) - finished) ** 2 for refit in refits], 0)
    return bound(finished, squares, image_error, model.cyclic)


def refitted(
    model: WarpedCine, data: FrameData, prepared: Prepared, config: DainrConfig, place: tuple[int, int]
) -> Iterator[WarpedCine]:
    """Copies of a fitted field that went on for a few steps, each with other weights of the readouts."""
    n_samples = prepared.trajectory.shape[1]
    course = FitConfig(
        iterations=STEPS,
        frames_at_once=config.fit.frames_at_once,
        learning_rate=RATE * config.fit.learning_rate,
        weight_decay=config.fit.weight_decay,
        decay_of_squares=config.fit.decay_of_squares,
        validate_every=STEPS,
    )
    for number in range(REFITS):
        random = np.random.default_rng([config.seed, place[0], number])
        weights = random.exponential(size=len(data.density) // n_samples).astype(np.float32)
        weights = np.repeat(weights / weights.mean(), n_samples)
        reweighted = replace(data, density=torch.from_numpy(weights).to(data.density))
        copy = deepcopy(model)
        Fit(copy, Reweighted(config.objective, prepared.noise_std), reweighted, None, course, config.seed, place).run()
        yield copy


def bound(
    finished: Float[np.ndarray, "frame y x"],
    squares: Float[np.ndarray, "frame y x"],
    image_error: float | None,
    cyclic: bool = False,
) -> Float[np.ndarray, "frame y x"]:
    """The map from magnitudes and the mean squares by which refits differ from them."""
    spread, of_image = _blurred(squares, cyclic)
    rows, columns = np.gradient(finished, axis=(1, 2))
    edges, of_edges = _blurred(rows**2 + columns**2, cyclic)
    if not of_image > 0 or not of_edges > 0:
        return np.zeros_like(squares)
    size = math.sqrt(np.square(finished, dtype=np.float64).mean())
    error = USUAL * of_image if image_error is None else image_error * size
    few = float(np.median(edges[finished > OBJECT * finished.max()])) / of_edges
    scale = GAIN * error**TRUST * of_image ** (1 - TRUST) * few**FEW
    return (scale * (spread / of_image) ** (1 - EDGES) * (edges / of_edges) ** EDGES).astype(np.float32)


def _blurred(squares: Float[np.ndarray, "frame y x"], cyclic: bool) -> tuple[Float[np.ndarray, "frame y x"], float]:
    """Root mean squares over neighbouring pixels and frames, with a floor, and that over the image."""
    from scipy.ndimage import gaussian_filter  # here, for it takes a while and few fits need it

    blurred = gaussian_filter(squares, BLUR, mode=("wrap" if cyclic else "nearest", "nearest", "nearest"))
    mean = float(blurred.mean(dtype=np.float64))
    return np.sqrt(blurred + FLOOR**2 * mean), math.sqrt(mean)


@torch.no_grad()
def _magnitude(model: WarpedCine) -> Float[np.ndarray, "frame y x"]:
    return model.render(model.times, model.matrix).abs().cpu().numpy()
