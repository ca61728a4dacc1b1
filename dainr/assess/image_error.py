"""The error of the images of a fit, relative to the images, from readouts it never saw; no reference is needed.

Coil maps have unit norm over the coils, so that by Parseval the energy of an error in k-space, summed over the coils,
is that of the image. It is taken band by band of k-space radius:

1. In a band, held-out samples are off by more than their noise: |Ax - y|^2 - C sigma^2 is the error where a frame was
   not measured. Where it was, a fit follows its samples, and with them a share h of their noise: residuals it saw are
   1 - h times those it did not, as if it were linear (Allen, Technometrics 1974;16:125), and its error is (1 - h)^2
   that of unseen samples and h^2 that of the noise. Where nothing is held out, as at the centre of lines, the residuals
   it saw, with the h of the nearest band, stand for both.
2. Of lines, what stands still in the residuals and no image can explain through these coil maps (tissue beyond the
   edges of the field of view) is an error of the maps, not of the image, and is taken off.
3. A band with few held-out samples says little. It is averaged, by the inverse of the variances, with the error that
   fits have as a rule at the band's signal-to-noise ratio; an error far above the rule is believed.
4. The corners of k-space that no readout reaches lack their signal: by a power law from the bands below.

The constants are the best for the phantoms of `python -m benchmarks.trust --seed 1`, and for 20 more of 3 to 5 spokes
or 7 to 10 times fewer lines, SNR 5 to 30 and 1 to 4 coils (seed 77).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float, Int

LOW_EDGES = (0.0, 1.5, 3.0, 6.0, 12.0)  # of the bands, in samples from the centre
BAND = 0.06  # cycles per pixel, at most, of the bands above
ENOUGH = 20  # held-out samples in a band, for it to speak for itself
# of the error's energy to the signal's, as a rule: floor + 1 / (1 + gain sqrt(SNR))
RULE_FLOOR, RULE_GAIN = 0.004, 17.0
RULE_SPREAD, RULE_TAIL = 0.25, 0.6  # of the rule, relative; and of what exceeds it
NOISE_KNOWN = 0.05  # to this share the noise is known
GUESSED = 0.3  # of an error found without held-out samples, its standard deviation
SEEN_TWICE = 0.6  # share of the noise left in the mean over time, at most, to tell what stands still
SLOPES = -6.0, -1.0  # of the spectrum's energy
MAGNITUDE = 0.8  # energy of the magnitude's error over what is found here
SCATTER = 0.24  # of the logarithm of the error found, beyond what the held-out readouts explain
Z80 = 1.2816  # standard deviations to either side that hold 80 %


@dataclass(frozen=True, eq=False)
class Residuals:
    """What a fit leaves unexplained of some readouts: predicted less measured."""

    samples: Complex[np.ndarray, "coil readout sample"]
    trajectory: Float[np.ndarray, "readout sample 2"]  # cycles per pixel
    density: Float[np.ndarray, "readout sample"]

    @property
    def radius(self) -> Float[np.ndarray, " point"]:
        """Distance of the samples from the centre of k-space."""
        return np.hypot(self.trajectory[..., 0], self.trajectory[..., 1]).ravel()

    @property
    def energy(self) -> Float[np.ndarray, " point"]:
        """Of the samples, summed over the coils."""
        return (np.abs(self.samples.astype(np.complex128)) ** 2).sum(0).ravel()


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
    """Means per sample or cell of the k-space grid, summed over the coils, in every band of k-space radius."""

    edges: np.ndarray
    cells: np.ndarray  # of all frames
    signal: np.ndarray  # energy of the images in a cell
    seen: np.ndarray  # energy of the residual
    unseen: np.ndarray
    seen_share: np.ndarray  # of the cells
    n_unseen: np.ndarray  # samples held out

    @property
    def measured(self) -> Bool[np.ndarray, " band"]:
        """Where there are samples at all."""
        return self.seen_share > 0


def image_error(fitted: Fitted, seen: Residuals, heldout: Residuals) -> dict[str, Any]:
    """Expected error of the images relative to them, the range that holds 80 %, and what every band has of it."""
    bands = _bands(fitted, seen, heldout)
    noise = len(fitted.coil_maps) * fitted.noise_std**2
    beside = _beside_the_image(fitted, seen, heldout, bands) if fitted.cartesian else np.zeros_like(bands.seen)
    n_readouts, n_coils = heldout.trajectory.shape[0], len(fitted.coil_maps)
    excess, deviation = _excess(bands, beside, noise, n_readouts, n_coils)
    error, variance = _with_the_rule(bands, excess, deviation, noise / n_coils)
    energy = np.where(bands.measured, bands.cells * error, bands.cells * _continued(bands))
    signal = float((bands.cells * bands.signal).sum())
    total = float(energy.sum())
    if not signal > 0:
        return {}
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


def _bands(fitted: Fitted, seen: Residuals, heldout: Residuals) -> Bands:
    edges, cell = band_edges(fitted.matrix), _cell_radius(fitted.matrix)
    count, n_frames = len(edges) - 1, len(fitted.images)
    spectrum = (np.abs(np.fft.fft2(fitted.images, norm="ortho")) ** 2).sum(0)

    def totals(radius: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.bincount(np.digitize(radius.ravel(), edges) - 1, values.ravel(), count)[:count]

    def mean(of: Residuals) -> np.ndarray:
        density = np.maximum(of.density.ravel(), 1e-12)
        return totals(of.radius, density * of.energy) / np.maximum(totals(of.radius, density), 1e-12)

    cells = n_frames * totals(cell, np.ones_like(cell))
    samples = totals(seen.radius, np.ones(seen.radius.shape))
    return Bands(
        edges=edges,
        cells=cells,
        signal=totals(cell, np.fft.fftshift(spectrum)) / np.maximum(cells, 1),
        seen=mean(seen),
        unseen=mean(heldout),
        seen_share=np.clip(samples * _step(seen.trajectory, fitted.matrix) / np.maximum(cells, 1), 0, 1),
        n_unseen=totals(heldout.radius, np.ones(heldout.radius.shape)).astype(int),
    )


def _step(trajectory: Float[np.ndarray, "readout sample 2"], matrix: tuple[int, int]) -> float:
    """From sample to sample, in cells of the k-space grid."""
    if trajectory.shape[1] == 1:
        return 1.0
    return float(np.median(np.linalg.norm(np.diff(trajectory, axis=1) * np.array(matrix), axis=-1)))


def _cell_radius(matrix: tuple[int, int]) -> Float[np.ndarray, "y x"]:
    ky, kx = ((np.arange(n) - n // 2) / n for n in matrix)
    return np.hypot(ky[:, None], kx[None])


def _excess(
    bands: Bands, beside: np.ndarray, noise: float, n_readouts: int, n_coils: int
) -> tuple[Float[np.ndarray, " band"], Float[np.ndarray, " band"]]:
    """Error of a cell in every band as the samples tell it, and the standard deviation of that."""
    spoken = bands.n_unseen >= ENOUGH
    beside = np.minimum(beside, np.maximum(bands.seen - 0.8 * noise, 0))  # which the fit cannot follow: seen as well
    seen = bands.seen - beside
    unseen = np.maximum(bands.unseen - np.minimum(beside, np.maximum(bands.unseen - noise, 0)), seen)
    kept = np.clip(seen / np.maximum(unseen, 1e-30), 0.05, 1)[_nearest(spoken if spoken.any() else bands.measured)]
    followed = 1 - np.sqrt(kept)  # h
    where_not = np.where(spoken, unseen, seen / kept) - noise
    where_seen = kept * where_not + followed**2 * noise
    excess = bands.seen_share * where_seen + (1 - bands.seen_share) * where_not
    by_chance = unseen / np.sqrt(np.maximum(bands.n_unseen * n_coils, 1))
    of_readouts = np.maximum(where_not, 0) / math.sqrt(max(n_readouts, 1))
    told = np.sqrt(by_chance**2 + of_readouts**2 + (NOISE_KNOWN * noise) ** 2)
    return excess, np.where(spoken, told, GUESSED * np.abs(where_not) + 0.1 * noise)


def _nearest(chosen: Bool[np.ndarray, " band"]) -> Int[np.ndarray, " band"]:
    """For every band the nearest of those chosen."""
    at = np.flatnonzero(chosen)
    return at[np.abs(np.arange(len(chosen))[:, None] - at).argmin(1)]


def _with_the_rule(
    bands: Bands, excess: np.ndarray, deviation: np.ndarray, noise: float
) -> tuple[Float[np.ndarray, " band"], Float[np.ndarray, " band"]]:
    """The error of a cell and its variance, from the samples and from what is the rule at this signal and noise."""
    measured_snr = bands.seen_share * bands.signal / max(noise, 1e-30)
    rule = np.maximum(bands.signal, 1e-30) * (RULE_FLOOR + 1 / (1 + RULE_GAIN * np.sqrt(measured_snr)))
    beyond = RULE_TAIL * np.maximum(excess - rule - deviation, 0)
    of_rule, of_samples = 1 / ((RULE_SPREAD * rule) ** 2 + beyond**2), 1 / np.maximum(deviation, 1e-30) ** 2
    return (excess * of_samples + rule * of_rule) / (of_samples + of_rule), 1 / (of_samples + of_rule)


def _continued(bands: Bands) -> Float[np.ndarray, " band"]:
    """Signal of a cell where nothing was measured, by the power law of the bands that were."""
    middle = 0.5 * (bands.edges[1:] + bands.edges[:-1])
    fit = bands.measured & (middle > 0.2) & (bands.signal > 0)
    if fit.sum() < 2:
        return np.where(bands.measured, 0.0, bands.signal)
    slope = np.clip(np.polyfit(np.log(middle[fit]), np.log(bands.signal[fit]), 1)[0], *SLOPES)
    last = np.flatnonzero(fit)[-1]
    return bands.signal[last] * (middle / middle[last]) ** slope


def _beside_the_image(fitted: Fitted, seen: Residuals, heldout: Residuals, bands: Bands) -> Float[np.ndarray, " band"]:
    """Energy of a sample that stands still and that no image explains through the coil maps; of lines."""
    matrix, maps = fitted.matrix, fitted.coil_maps.astype(np.complex128)
    size, n_coils = matrix[0] * matrix[1], len(maps)
    samples = np.concatenate([r.samples.reshape(n_coils, -1) for r in (seen, heldout)], 1).astype(np.complex128)
    points = np.concatenate([r.trajectory.reshape(-1, 2) for r in (seen, heldout)])
    place = (np.rint(points * np.array(matrix)).astype(int) + np.array(matrix) // 2) % np.array(matrix)
    flat = place[:, 0] * matrix[1] + place[:, 1]
    visits = np.bincount(flat, minlength=size)
    sums = [np.bincount(flat, c.real, size) + 1j * np.bincount(flat, c.imag, size) for c in samples]
    still = (np.stack(sums) / np.maximum(visits, 1)).reshape(n_coils, *matrix)
    images = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(still, axes=(1, 2))), axes=(1, 2))
    explained = (maps.conj() * images).sum(0) / np.maximum((np.abs(maps) ** 2).sum(0), 1e-6)
    other = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(images - maps * explained, axes=(1, 2))), axes=(1, 2))
    visited, which = visits > 0, np.digitize(_cell_radius(matrix), bands.edges).ravel() - 1

    def mean(values: np.ndarray) -> np.ndarray:
        total = np.bincount(which[visited], values.ravel()[visited], len(bands.cells))
        return total / np.maximum(np.bincount(which[visited], minlength=len(bands.cells)), 1)

    all_still, beside = (mean((np.abs(k) ** 2).sum(0)) for k in (still, other))
    left = np.minimum(mean(1 / np.maximum(visits, 1)), 1)  # of the noise
    steady = np.maximum(all_still - bands.seen * left, 0) / np.maximum(1 - left, 0.4)
    of_noise = (n_coils - 1) / n_coils * np.maximum(bands.seen - steady, 0) * left
    return np.where(left < SEEN_TWICE, np.maximum(beside - of_noise, 0), 0)
