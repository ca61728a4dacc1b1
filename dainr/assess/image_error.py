"""The error of the images of a fit, relative to the images, from readouts it never saw; no reference is needed.

Coil maps have unit norm over the coils, so that by Parseval the energy of an error in k-space, summed over the coils,
is that of the image. It is taken band by band of k-space radius, from what an image can put into the residuals (see
image_part.py):

1. While a frame was measured, what moves went on. Readouts are compared with the images at their own times, by the
   change from frame to frame, and those at which much changed count less: this is no error of the frame.
2. In a band, held-out samples are off by more than their noise: |Ax - y|^2 - sigma^2 is the error where a frame was not
   measured. Where it was, a fit follows its samples, and with them a share h of their noise: residuals it saw are
   1 - h times those it did not, as if it were linear (Allen, Technometrics 1974;16:125), and its error is (1 - h)^2
   that of unseen samples and h^2 that of the noise. Where nothing is held out, as at the centre of lines, the residuals
   it saw, with the h of the nearest band, stand for both; all frames count alike, those not measured there like their
   neighbours.
   No readouts are fitted better than those it saw. Held-out residuals below the noise and the rule (3) say that the
   noise is overestimated.
3. Held-out samples say little of an error far below the noise. What they say is weighed against the error that fits
   have as a rule (Bayes): the geometric mean of what moves, of the noise and, with half their weights, of the signal,
   over the share of k-space that is measured.
4. The corners of k-space that no readout reaches lack their signal: by a power law from the bands below, or as much as
   the fit makes up there.

The constants are the best for the phantoms of `python -m benchmarks.trust --no-disturbed`, `--seed 6` to 8.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float, Int

from dainr.assess.image_part import ImagePart

LOW_EDGES = (0.0, 1.5, 3.0, 6.0, 12.0)  # of the bands, in samples from the centre
BAND = 0.06  # cycles per pixel, at most, of the bands above
ENOUGH = 20  # held-out samples in a band, for it to speak for itself
RULE_LINES, RULE_OTHERS = 0.095, 0.058  # of the geometric mean
RULE_MOTION, RULE_SIGNAL = 0.4, 0.2  # exponents in it; the noise has the rest
RULE_SPREAD, RULE_FREEDOM = 0.7, 3  # of the rule's logarithm, and of Student's t: an error far above is believed
FARTHEST, GRID = 12.0, 241  # such spreads from the rule that an error may be, and values between
NOISE_KNOWN = 0.05  # to this share the noise is known
LEAST_NOISE = 0.6  # of what was told
GUESSED, GUESSED_NOISE = 0.2, 0.3  # standard deviation without held-out samples, of the error found and of the noise
SLOPES = -6.0, -1.0  # of the spectrum's energy
MAGNITUDE = 0.73  # energy of the magnitude's error over what is found here
SCATTER = 0.08  # of the logarithm of the error found, beyond what the held-out readouts explain
Z80 = 1.2816  # standard deviations to either side that hold 80 %


@dataclass(frozen=True, eq=False)
class Residuals:
    """What a fit leaves unexplained of some readouts: predicted less measured."""

    samples: Complex[np.ndarray, "coil readout sample"]
    trajectory: Float[np.ndarray, "readout sample 2"]  # cycles per pixel
    density: Float[np.ndarray, "readout sample"]
    frame: Int[np.ndarray, " readout"]
    change: Complex[np.ndarray, "coil readout sample"] | None = None  # of the prediction, from its frame's middle on

    @property
    def radius(self) -> Float[np.ndarray, "readout sample"]:
        """Distance of the samples from the centre of k-space."""
        return np.hypot(self.trajectory[..., 0], self.trajectory[..., 1])


@dataclass(frozen=True, eq=False)
class Fitted:
    """The images of a fit, in its units, and its coil maps."""

    images: Complex[np.ndarray, "frame y x"]
    coil_maps: Complex[np.ndarray, "coil y x"]
    noise_std: float  # of a complex sample of one coil
    cartesian: bool

    @property
    def matrix(self) -> tuple[int, int]:
        """Pixels (y, x)."""
        return self.images.shape[1], self.images.shape[2]


@dataclass(frozen=True, eq=False)
class Bands:
    """Means per sample or cell of the k-space grid, over all coils, in every band of k-space radius."""

    edges: np.ndarray
    cells: np.ndarray  # of all frames
    signal: np.ndarray  # energy of the images in a cell
    motion: np.ndarray  # of the images less their mean over time
    seen: np.ndarray  # energy of the residual
    unseen: np.ndarray
    seen_share: np.ndarray  # of the cells
    n_unseen: np.ndarray  # samples held out
    n_told: np.ndarray  # of these, as many as are independent

    @property
    def measured(self) -> Bool[np.ndarray, " band"]:
        """Where there are samples at all."""
        return self.seen_share > 0

    @property
    def spoken(self) -> Bool[np.ndarray, " band"]:
        """Where enough samples are held out; of a small scan, any."""
        enough = self.n_unseen >= ENOUGH
        return enough if enough.any() else self.n_unseen > 0


def image_error(fitted: Fitted, seen: Residuals, heldout: Residuals) -> dict[str, Any]:
    """Expected error of the images relative to them, the range that holds 80 %, and what every band has of it."""
    if not np.abs(fitted.images).max() > 0:
        return {}
    part = ImagePart(fitted.images, fitted.coil_maps)
    told = part.noise(heldout.trajectory) * fitted.noise_std**2
    bands = _bands(fitted, part, seen, heldout, told)
    rule = _rule(bands, fitted)
    noise = _checked_noise(bands, rule, told)
    error, variance = _with_the_rule(rule, *_excess(bands, rule, noise), len(heldout.trajectory))
    energy = bands.cells * np.where(bands.measured, error, _made_up(bands))
    signal, total = float((bands.cells * bands.signal).sum()), float(energy.sum())
    spread = math.sqrt((bands.cells[bands.measured] ** 2 * variance[bands.measured]).sum()) / max(total, 1e-30) / 2
    found = math.sqrt(MAGNITUDE * max(total, 0.0) / signal)
    width = math.exp(Z80 * min(math.hypot(SCATTER, spread), 1.0))
    return {
        "image_error": found,
        "image_error_range": [found / width, found * width],
        "image_error_bands": {
            "to": bands.edges[1:].round(4).tolist(),
            "error": np.sqrt(MAGNITUDE * np.maximum(energy, 0) / signal).round(5).tolist(),
            "signal": np.sqrt(bands.cells * bands.signal / signal).round(5).tolist(),
            "held_out_samples": bands.n_unseen.tolist(),
        },
    }


def band_edges(matrix: tuple[int, int]) -> Float[np.ndarray, " edge"]:
    """Radii in cycles per pixel: finer at the centre, up to the last that spokes reach, and the corners."""
    low = [n / max(matrix) for n in LOW_EDGES if n / max(matrix) < 0.3]
    steps = math.ceil((0.5 - low[-1]) / BAND)
    return np.array([*low[:-1], *np.linspace(low[-1], 0.5 + 1e-6, steps + 1), 0.75])


def _bands(fitted: Fitted, part: ImagePart, seen: Residuals, heldout: Residuals, noise: float) -> Bands:
    edges, cell = band_edges(fitted.matrix), _cell_radius(fitted.matrix)
    count, n_frames = len(edges) - 1, len(fitted.images)

    def of_bands(radius: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.bincount(np.digitize(radius.ravel(), edges) - 1, values.ravel(), count)[:count]

    def spectrum(images: np.ndarray) -> np.ndarray:
        energy = (np.abs(np.fft.fft2(images, norm="ortho")) ** 2).sum(0)
        return of_bands(cell, np.fft.fftshift(energy)) / np.maximum(cells, 1)

    cells = n_frames * of_bands(cell, np.ones_like(cell))
    step = _step(seen.trajectory, fitted.matrix)
    of_seen, of_unseen = (_of_frames(part, r, edges, n_frames, noise) for r in (seen, heldout))
    mean_seen, mean_unseen = _mean_over_frames(*of_seen), of_unseen[0].sum(0) / np.maximum(of_unseen[1].sum(0), 1e-30)
    n_unseen = of_bands(heldout.radius, np.ones(heldout.radius.shape)).astype(int)
    return Bands(
        edges=edges,
        cells=cells,
        signal=spectrum(fitted.images),
        motion=spectrum(fitted.images - fitted.images.mean(0)),
        seen=mean_seen,
        unseen=np.where(n_unseen > 0, np.maximum(mean_unseen, mean_seen), 0),
        seen_share=np.clip(of_bands(seen.radius, np.ones(seen.radius.shape)) * step / np.maximum(cells, 1), 0, 1),
        n_unseen=n_unseen,
        n_told=n_unseen * min(step, 1.0),
    )


def _of_frames(
    part: ImagePart, residuals: Residuals, edges: np.ndarray, n_frames: int, noise: float
) -> tuple[Float[np.ndarray, "frame band"], Float[np.ndarray, "frame band"]]:
    """Energies of the residuals at the times of the readouts, weighted, and the weights, summed in frames and bands."""
    count = len(edges) - 1
    band = np.clip(np.digitize(residuals.radius, edges) - 1, 0, count - 1)
    of_readout = (np.arange(len(band))[:, None] * count + band).ravel()

    def of_readouts(values: np.ndarray) -> np.ndarray:
        return np.bincount(of_readout, values.ravel(), len(band) * count).reshape(-1, count)

    weight, samples, counts = of_readouts(residuals.density), residuals.samples, 1.0
    if residuals.change is not None:
        changing = of_readouts(part.energy(residuals.change, residuals.trajectory) * residuals.density)
        counts = 1 / (1 + changing / np.maximum(weight, 1e-12) / max(noise, 1e-30))
        samples = samples + residuals.change
    energy = counts * of_readouts(part.energy(samples, residuals.trajectory) * residuals.density)
    sums = np.zeros((2, n_frames, count))
    np.add.at(sums[0], residuals.frame, energy)
    np.add.at(sums[1], residuals.frame, counts * weight)
    return sums[0], sums[1]


def _mean_over_frames(
    energy: Float[np.ndarray, "frame band"], weight: Float[np.ndarray, "frame band"]
) -> Float[np.ndarray, " band"]:
    """All frames alike; one without samples in a band like those before and after."""
    mean = np.zeros(energy.shape[1])
    for band in np.flatnonzero(weight.sum(0) > 0):
        there = np.flatnonzero(weight[:, band] > 0)
        mean[band] = np.interp(np.arange(len(energy)), there, energy[there, band] / weight[there, band]).mean()
    return mean


def _step(trajectory: Float[np.ndarray, "readout sample 2"], matrix: tuple[int, int]) -> float:
    """From sample to sample, in cells of the k-space grid."""
    if trajectory.shape[1] == 1:
        return 1.0
    return float(np.median(np.linalg.norm(np.diff(trajectory, axis=1) * np.array(matrix), axis=-1)))


def _cell_radius(matrix: tuple[int, int]) -> Float[np.ndarray, "y x"]:
    ky, kx = ((np.arange(n) - n // 2) / n for n in matrix)
    return np.hypot(ky[:, None], kx[None])


def _rule(bands: Bands, fitted: Fitted) -> Float[np.ndarray, " band"]:
    """The error of a cell that fits have as a rule."""
    noise = max(fitted.noise_std**2, 1e-30)  # of the images: their coils are combined
    moves, signal = np.maximum(bands.motion, 1e-30), np.maximum(bands.signal, 1e-30)
    mean = moves**RULE_MOTION * signal**RULE_SIGNAL * noise ** (1 - RULE_MOTION - RULE_SIGNAL)
    return (RULE_LINES if fitted.cartesian else RULE_OTHERS) * mean / np.maximum(bands.seen_share, 1e-3)


def _checked_noise(bands: Bands, rule: np.ndarray, told: float) -> float:
    """The noise of a sample; less than was told where held-out residuals are smaller than it and the rule's error."""
    counted = np.where(bands.spoken, bands.n_unseen, 0)
    if counted.sum() == 0:
        return told
    left = float((counted * (bands.unseen - rule)).sum() / counted.sum()) / max(told, 1e-30)
    by_chance = 1 / math.sqrt(float((counted / np.maximum(bands.n_unseen, 1) * bands.n_told).sum()))
    return told * min(max(left + by_chance, LEAST_NOISE), 1.0)


def _excess(
    bands: Bands, rule: np.ndarray, noise: float
) -> tuple[Float[np.ndarray, " band"], Float[np.ndarray, " band"]]:
    """Error of a cell in every band as the samples tell it, and the standard deviation of that."""
    spoken = bands.spoken
    left = np.clip(bands.seen / np.maximum(bands.unseen, 1e-30), 0.05, 1)
    kept = left[_nearest(spoken)] if spoken.any() else np.ones_like(left)
    followed = 1 - np.sqrt(kept)  # h
    where_not = np.where(spoken, bands.unseen - noise, bands.seen / kept - noise)
    excess = bands.seen_share * (kept * where_not + followed**2 * noise) + (1 - bands.seen_share) * where_not
    by_chance = bands.unseen / np.sqrt(np.maximum(bands.n_told, 1))
    told = np.hypot(by_chance, NOISE_KNOWN * noise)
    guessed = GUESSED * np.abs(where_not) + GUESSED_NOISE * noise
    reach = np.maximum(1 - bands.seen_share * (1 - kept), 0.2)  # of what is told, that counts
    blind = np.where(spoken, 0, (1 - bands.seen_share) * rule)  # frames of which nothing is seen there
    return excess, np.hypot(np.where(spoken, told, guessed) * reach, blind)


def _nearest(chosen: Bool[np.ndarray, " band"]) -> Int[np.ndarray, " band"]:
    """For every band the nearest of those chosen."""
    at = np.flatnonzero(chosen)
    return at[np.abs(np.arange(len(chosen))[:, None] - at).argmin(1)]


def _with_the_rule(
    rule: np.ndarray, excess: np.ndarray, deviation: np.ndarray, n_readouts: int
) -> tuple[Float[np.ndarray, " band"], Float[np.ndarray, " band"]]:
    """The error of a cell to expect, and its variance: the rule is the prior, the excess its measurement.

    From readout to readout the error itself differs as much as it is large, which many of them average.
    """
    spreads = np.linspace(-FARTHEST, FARTHEST, GRID)[:, None]
    error = rule * np.exp(RULE_SPREAD * spreads)
    variance = deviation**2 + error**2 / n_readouts
    prior = (RULE_FREEDOM + 1) * np.log1p(spreads**2 / RULE_FREEDOM)
    likelihood = -0.5 * ((excess - error) ** 2 / variance + np.log(variance) + prior)
    weight = np.exp(likelihood - likelihood.max(0))
    weight /= weight.sum(0)
    mean = (weight * error).sum(0)
    return mean, (weight * (error - mean) ** 2).sum(0)


def _made_up(bands: Bands) -> Float[np.ndarray, " band"]:
    """Error of a cell where nothing was measured: its signal, by the power law of bands that were, or what is there."""
    middle = 0.5 * (bands.edges[1:] + bands.edges[:-1])
    fit = bands.measured & (middle > 0.2) & (bands.signal > 0)
    if fit.sum() < 2:
        return bands.signal
    slope = np.clip(np.polyfit(np.log(middle[fit]), np.log(bands.signal[fit]), 1)[0], *SLOPES)
    last = np.flatnonzero(fit)[-1]
    return np.maximum(bands.signal[last] * (middle / middle[last]) ** slope, bands.signal)
