"""Coil maps of samples on the grid: smooth maps and one image that together explain the time average.

Over all frames, lines fill k-space almost to its edge. Coil maps S_c and the image m of that time average minimise

    sum_c || measured samples of (y_c - F S_c m) ||^2,    S_c = cubic B-splines, bent as little as the data allow,

in turn: image from maps, samples that were never measured from both, maps from image (joint estimation as in Ying and
Sheng, Magn Reson Med 2007;57:1196). The splines know no opposite edge. Where tissue crosses the edges the maps differ
there, which a kernel in k-space, periodic in the field of view, cannot follow.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float

from dainr.prepare.whiten import unit_norm

LARGEST = 256  # pixels a side of the image that is estimated along with the maps
SETTLED = 1e-3  # change of the maps from one iteration to the next, relative to the signal
TINY = 1e-9  # of the mean diagonal: keeps splines that see no signal determined


@dataclass(frozen=True)
class Detail:
    """Splines over the field of view along each axis, how stiff they are, and what that is called."""

    intervals: int
    stiffness: float  # weight of their second differences, relative to that of the data
    iterations: int
    method: str


SMOOTH = Detail(10, 3e-2, 40, "smooth maps fitted to the time average")
FINE = Detail(32, 1e-2, 10, "maps of fine detail fitted to the time average: tissue seems to wrap around")
SUSPECT = 0.03  # of the low-resolution signal unexplained by smooth maps: try fine ones
CLEARLY_LESS = 2 / 3  # of the energy that smooth maps leave unexplained; fine ones must leave less
STRONGEST = 6  # combinations of coils, in which that is compared
LOW_WIDTH = 16  # samples a side of the low resolution: at their edge a Gaussian is 1 / e


@dataclass(frozen=True, eq=False)
class CoilMaps:
    """Maps of unit norm over the coils, how they were made, and what share of the smoothed coil images they leave."""

    maps: Complex[np.ndarray, "coil y x"]
    method: str
    residual: float


def smooth_maps(
    kspace: Complex[np.ndarray, "coil readout sample"],
    trajectory: Float[np.ndarray, "readout sample 2"],
    matrix: tuple[int, int],
) -> CoilMaps:
    """Maps on the pixels of the matrix from all samples on its grid; finer ones where they explain clearly more.

    Where tissue wraps around, two places with maps of their own share a pixel, and what the coils see of both together
    varies with the anatomy.
    """
    average, measured = time_average(kspace, trajectory, matrix)
    strongest = _strongest(average)
    constant = strongest[:, :1, None]
    if not average.any():
        return CoilMaps(constant * np.ones(matrix, np.float32), "constant maps: there is no signal", 0.0)
    found = _Fit(average, measured, SMOOTH, np.broadcast_to(constant, average.shape))
    if found.unexplained_low() > SUSPECT:
        finer = _Fit(average, measured, FINE, found.maps, found.images)
        if finer.unexplained(strongest) ** 2 < CLEARLY_LESS * found.unexplained(strongest) ** 2:
            found = finer
    return CoilMaps(found.on(matrix), found.detail.method, found.unexplained_low())


def time_average(
    kspace: Complex[np.ndarray, "coil readout sample"],
    trajectory: Float[np.ndarray, "readout sample 2"],
    matrix: tuple[int, int],
) -> tuple[Complex[np.ndarray, "coil ky kx"], Bool[np.ndarray, "ky kx"]]:
    """The mean of the samples at each place of k-space, centre n // 2, and which places were measured.

    It reaches as far as the samples do: pixels finer than that are none of its own.
    """
    points = np.rint(trajectory.reshape(-1, 2).astype(np.float64) * np.array(matrix)).astype(int)
    reach = np.maximum(-2 * points.min(0), 2 * points.max(0) + 1)
    ny, nx = (min(n, LARGEST, max(int(r), 1)) for n, r in zip(matrix, reach, strict=True))
    cells = points + np.array([ny // 2, nx // 2])
    inside = ((cells >= 0) & (cells < np.array([ny, nx]))).all(1)
    flat = (cells[:, 0] * nx + cells[:, 1])[inside]
    count = np.bincount(flat, minlength=ny * nx)
    average = np.zeros((len(kspace), ny * nx), np.complex64)
    for row, samples in zip(average, kspace.reshape(len(kspace), -1), strict=True):
        mine = samples[inside]
        row.real = np.bincount(flat, mine.real, ny * nx) / np.maximum(count, 1)
        row.imag = np.bincount(flat, mine.imag, ny * nx) / np.maximum(count, 1)
    return average.reshape(-1, ny, nx), (count > 0).reshape(ny, nx)


class _Fit:
    """Maps and image fitted to a time average, from given maps and, where they are known, coil images."""

    def __init__(
        self,
        average: np.ndarray,
        measured: np.ndarray,
        detail: Detail,
        maps: np.ndarray,
        images: np.ndarray | None = None,
    ) -> None:
        from scipy import fft  # here, for it takes long to import; unlike numpy's, it stays in single precision

        self.fft: Any = fft
        self.average = fft.ifftshift(average, axes=(1, 2))
        self.measured = fft.ifftshift(measured)
        self.detail = detail
        self.splines = _Splines(measured.shape, detail)
        self.images = self._images(self.average) if images is None else images
        self.maps = maps
        self._iterate()

    def _iterate(self) -> None:
        """Maps and image in turn; the samples not measured are filled in with momentum (Beck and Teboulle 2009)."""
        filled, momentum = self.images, 1.0
        for _ in range(self.detail.iterations):
            before = self.maps
            self.coefficients = self.splines.fitted(self.images, self.combined())
            self.maps = unit_norm(self.splines.at(self.coefficients, self.average.shape[1:]))
            image = self.combined()
            if not self.measured.all():
                previous, filled = filled, self._filled(image)
                last, momentum = momentum, (1 + np.sqrt(1 + 4 * momentum**2)) / 2
                self.images = filled + np.float32((last - 1) / momentum) * (filled - previous)
            energy = np.abs(image) ** 2
            change = (energy * (1 - np.abs((self.maps.conj() * before).sum(0)) ** 2)).sum()
            if change < SETTLED**2 * energy.sum():
                break
        self.images = filled

    def combined(self) -> Complex[np.ndarray, "y x"]:
        """The image that the maps see in the coil images."""
        return (self.maps.conj() * self.images).sum(0)

    def on(self, matrix: tuple[int, int]) -> Complex[np.ndarray, "coil y x"]:
        """The maps on the pixels of a matrix over the same field of view."""
        return unit_norm(self.splines.at(self.coefficients, matrix))

    def unexplained(self, combinations: Complex[np.ndarray, "coil combination"]) -> float:
        """The share of these combinations of the coil images that the maps cannot explain, noise included."""
        return _share(*(np.tensordot(combinations.conj().T, part, axes=1) for part in self._rest(self.images)))

    def unexplained_low(self) -> float:
        """The share of coil images smoothed to the low resolution, mirrored at the edges: hardly any noise is left."""
        rows, columns = (_smoothing(n) for n in self.images.shape[1:])
        return _share(*self._rest(rows @ self.images @ columns.T))

    def _rest(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return images - self.maps * (self.maps.conj() * images).sum(0), images

    def _filled(self, image: np.ndarray) -> Complex[np.ndarray, "coil y x"]:
        predicted = self.fft.fft2(self.fft.ifftshift(self.maps * image, axes=(1, 2)), norm="ortho")
        return self._images(np.where(self.measured, self.average, predicted))

    def _images(self, kspace: np.ndarray) -> Complex[np.ndarray, "coil y x"]:
        images: np.ndarray = self.fft.fftshift(self.fft.ifft2(kspace, norm="ortho"), axes=(1, 2))
        return images


class _Splines:
    """Products of cubic B-splines along y and x on a field of view, and their fit to coil images."""

    def __init__(self, shape: tuple[int, ...], detail: Detail) -> None:
        self.intervals = [max(1, min(detail.intervals, n // 4)) for n in shape]
        self.bases = [_spline_basis(n, count) for n, count in zip(shape, self.intervals, strict=True)]
        self.pairs = [np.einsum("pi,pj->ijp", basis, basis).reshape(-1, len(basis)) for basis in self.bases]
        (bend_y, mean_y), (bend_x, mean_x) = (_bending(basis) for basis in self.bases)
        self.stiffness = detail.stiffness * (np.kron(bend_y, mean_x) + np.kron(mean_y, bend_x))

    def fitted(
        self, images: Complex[np.ndarray, "coil y x"], image: Complex[np.ndarray, "y x"]
    ) -> Complex[np.ndarray, "coil spline_y spline_x"]:
        """Coefficients of the maps that make the coil images out of the image, by penalised least squares."""
        ny, nx = (basis.shape[1] for basis in self.bases)
        weights = self.pairs[0] @ (np.abs(image) ** 2) @ self.pairs[1].T
        normal = weights.reshape(ny, ny, nx, nx).transpose(0, 2, 1, 3).reshape(ny * nx, ny * nx).astype(np.float64)
        scale = max(float(np.trace(normal)) / len(normal), float(np.finfo(np.float32).tiny))
        normal += scale * (self.stiffness + TINY * np.eye(len(normal)))
        seen = (self.bases[0].T @ (images * image.conj()) @ self.bases[1]).reshape(len(images), -1)
        right = np.concatenate([seen.real, seen.imag]).T
        real, imaginary = np.split(np.linalg.solve(normal, right).T, 2)
        coefficients: np.ndarray = (real + 1j * imaginary).astype(np.complex64).reshape(-1, ny, nx)
        return coefficients

    def at(self, coefficients: np.ndarray, shape: tuple[int, ...]) -> Complex[np.ndarray, "coil y x"]:
        """The maps on the pixels of any matrix over the field of view."""
        rows, columns = (_spline_basis(n, count) for n, count in zip(shape, self.intervals, strict=True))
        maps: np.ndarray = rows @ coefficients @ columns.T
        return maps


def _spline_basis(n: int, intervals: int) -> Float[np.ndarray, "pixel spline"]:
    """Cubic B-splines at the pixels of a field of view that is cut into intervals; the centre is pixel n // 2."""
    place = ((np.arange(n) - n // 2) / n + 0.5) * intervals
    t = np.abs(place[:, None] - (np.arange(intervals + 3) - 1))
    near, far = 2 / 3 - t**2 + t**3 / 2, np.clip(2 - t, 0, None) ** 3 / 6
    return np.where(t <= 1, near, far).astype(np.float32)


def _bending(basis: Float[np.ndarray, "pixel spline"]) -> tuple[np.ndarray, np.ndarray]:
    """Of splines along one axis: the squares of their second differences, and of their values."""
    second = np.diff(np.eye(basis.shape[1]), 2, axis=0)
    values = basis.T.astype(np.float64) @ basis
    return second.T @ second, values * len(values) / np.trace(values)


def _strongest(kspace: Complex[np.ndarray, "coil ky kx"]) -> Complex[np.ndarray, "coil combination"]:
    """The combinations of coils that hold most of the signal, the strongest first; the others are mostly noise."""
    samples = kspace.reshape(len(kspace), -1)
    vectors: np.ndarray = np.linalg.eigh(samples @ samples.conj().T)[1]
    return vectors[:, ::-1][:, :STRONGEST]


def _smoothing(n: int) -> Float[np.ndarray, "pixel pixel"]:
    """A Gaussian along an axis of n pixels, mirrored at both edges."""
    place = np.arange(n)
    mirrored = np.stack([place, -1 - place, 2 * n - 1 - place])[:, None]
    kernel = np.exp(-((np.pi * LOW_WIDTH / 2 * (place[:, None] - mirrored) / n) ** 2)).sum(0)
    return (kernel / kernel.sum(1, keepdims=True)).astype(np.float32)


def _share(rest: np.ndarray, whole: np.ndarray) -> float:
    return float(np.linalg.norm(rest) / max(np.linalg.norm(whole), np.finfo(float).tiny))
