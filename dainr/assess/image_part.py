"""What of a residual in k-space an image can put there: its energy, sample by sample, in all coils together.

Noise is alike in all coils and everywhere along a readout; the error of an image is not. Seen along a readout (by the
Fourier transform of its samples) it lies within the field of view, and in its coils as the coil maps have it there. Its
covariance at position t, with errors about as large as the image is bright, is

    M(t) = sum over the pixels at t of |x| S S^H,    S the coil maps,

so that r^H M r (the matched filter) takes in all of the error and little of the noise: of 16 coils as much as of one
or two, and of samples that reach beyond the field of view what lies within. Readouts that are no straight lines, and
single points, are weighted by M of the whole image.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Complex, Float

ANGLES = 32  # of the full turn, that readouts are sorted into
COILS_KEPT = 0.95  # of the energy of M, by as few combinations of the coils as hold it
NOT_STRAIGHT = -1
STRAIGHT = 0.01  # of a step, by which the steps of a straight line differ

Samples = Complex[np.ndarray, "coil readout sample"]
Trajectory = Float[np.ndarray, "readout sample 2"]
Energy = Float[np.ndarray, "readout sample"]
Weights = Complex[np.ndarray, "sample coil coil"]  # square roots of M, its size such that errors keep theirs


class ImagePart:
    """Energies of the samples of one slice, such that white errors of the image count with what they have in a cell."""

    def __init__(self, images: Complex[np.ndarray, "frame y x"], maps: Complex[np.ndarray, "coil y x"]) -> None:
        self.matrix = images.shape[1:]
        brightness = np.sqrt((np.abs(images) ** 2).mean(0, dtype=np.float64))
        brightness /= max(float(brightness.sum()), 1e-30)
        values, vectors = np.linalg.eigh(np.einsum("cyx,dyx,yx->cd", maps, maps.conj(), brightness))
        share = np.cumsum(values[::-1]) / max(values.sum(), 1e-30)
        n_kept = min(int(np.searchsorted(share, COILS_KEPT)) + 1, len(maps))
        self.combine = vectors[:, ::-1][:, :n_kept].conj().T  # few combinations of the coils
        few = np.einsum("kc,cyx->kyx", self.combine, maps)
        self.products = np.einsum("kyx,lyx,yx->klyx", few, few.conj(), brightness).reshape(n_kept**2, -1)
        self.known: dict[tuple[int, int, float], Weights] = {}

    def noise(self, trajectory: Trajectory) -> float:
        """Energy that white noise of unit variance has in a sample, in the mean of the readouts."""
        found = [(float((np.abs(w) ** 2).sum((1, 2)).mean()), mine.sum()) for mine, w in self._sorted(trajectory)]
        noise, count = np.array(found).T
        return float(np.average(noise, weights=count))

    def energy(self, samples: Samples, trajectory: Trajectory) -> Energy:
        """Of what an image can put there."""
        energy = np.zeros(trajectory.shape[:2])
        few = np.einsum("kc,cjn->kjn", self.combine, samples.astype(np.complex128))
        for mine, weights in self._sorted(trajectory):
            if len(weights) == 1:  # alike everywhere
                weighted = np.einsum("kl,ljn->kjn", weights[0], few[:, mine])
            else:
                weighted = _back(np.einsum("nkl,ljn->kjn", weights, _along(few[:, mine])))
            energy[mine] = (np.abs(weighted) ** 2).sum(0)
        return energy

    def _sorted(self, trajectory: Trajectory) -> Iterator[tuple[Bool[np.ndarray, " readout"], Weights]]:
        """The readouts of about the same direction, and their weights."""
        n_samples = trajectory.shape[1]
        steps = np.diff(trajectory.astype(np.float64), axis=1)
        mean = steps.mean(1, keepdims=True) if n_samples > 1 else np.zeros((len(trajectory), 1, 2))
        size = np.linalg.norm(mean[:, 0], axis=1)
        straight = (size > 0) & (np.abs(steps - mean).max((1, 2), initial=0) <= STRAIGHT * size)
        turn = np.arctan2(mean[:, 0, 0], mean[:, 0, 1]) / (2 * np.pi) * ANGLES
        direction = np.where(straight, np.rint(turn).astype(int) % ANGLES, NOT_STRAIGHT)
        for number in np.unique(direction):
            mine = direction == number
            key = (int(number), n_samples, float(np.median(size[mine]).round(6)))
            if key not in self.known:
                self.known[key] = self._weights(*key)
            yield mine, self.known[key]

    def _weights(self, direction: int, n_samples: int, size: float) -> Weights:
        """Of readouts of a direction, by the length of a step from sample to sample, in cycles per pixel."""
        n_kept = len(self.combine)
        if direction == NOT_STRAIGHT:
            covariance = self.products.sum(1).reshape(1, n_kept, n_kept)
            return _root(covariance / _gain(covariance))
        angle = 2 * np.pi * direction / ANGLES
        step = size * np.array([np.sin(angle), np.cos(angle)])
        y, x = (np.arange(n) - n // 2 for n in self.matrix)
        position = np.rint((y[:, None] * step[0] + x * step[1]) * n_samples).astype(int) + n_samples // 2
        place = position.ravel() % n_samples
        sums = [
            np.bincount(place, p.real, n_samples) + 1j * np.bincount(place, p.imag, n_samples) for p in self.products
        ]
        covariance = n_samples * np.stack(sums, -1).reshape(n_samples, n_kept, n_kept)
        return _root(covariance / _gain(covariance))


def _gain(covariance: Complex[np.ndarray, "sample coil coil"]) -> float:
    """What a matched filter makes of errors of unit energy in a sample."""
    return max(float((np.abs(covariance) ** 2).sum((1, 2)).mean()), 1e-30)


def _root(matrices: Complex[np.ndarray, "sample coil coil"]) -> Complex[np.ndarray, "sample coil coil"]:
    """Hermitian square roots: they change smoothly along a readout, so that what is low in k-space stays there."""
    values, vectors = np.linalg.eigh(matrices)
    return (vectors * np.sqrt(np.maximum(values, 0))[:, None]) @ vectors.conj().swapaxes(1, 2)


def _along(samples: Complex[np.ndarray, "coil readout sample"]) -> Complex[np.ndarray, "coil readout sample"]:
    """From k-space to positions along the readouts; both centres are index n // 2."""
    return np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(samples, axes=-1), norm="ortho"), axes=-1)


def _back(positions: Complex[np.ndarray, "coil readout sample"]) -> Complex[np.ndarray, "coil readout sample"]:
    return np.fft.fftshift(np.fft.fft(np.fft.ifftshift(positions, axes=-1), norm="ortho"), axes=-1)
