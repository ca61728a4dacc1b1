"""The composed field x(r, t) = C(r + D(r, t), t, f(r, t)): rendered at any times and on any matrix.

Baik & Yoo, "Dynamic-Aware Spatio-temporal Representation Learning for Dynamic MRI Reconstruction" (DA-INR),
MICCAI 2025, arXiv 2501.09049. As in their release, the frequency encoding beside the grid is of the pixel, not of the
deformed point.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from dainr.features.maps import FeatureMaps
from dainr.fields.canonical import Canonical, CanonicalConfig
from dainr.fields.deformation import Deformation, DeformationConfig
from dainr.fields.frequency import frequency_encode
from dainr.operators.batch import Batch


class CineField(nn.Module):
    """A cine as a function of position and time. `frame_times` (s, increasing) are those of the fitted frames.

    Inside, time runs from 0 at the first frame to 1 at the last, equally far from frame to frame.
    """

    frame_times: Tensor

    def __init__(
        self,
        deformation: DeformationConfig,
        canonical: CanonicalConfig,
        grid_backend: str,
        frame_times: Sequence[float],
        matrix: tuple[int, int],
        features: FeatureMaps | None,
    ) -> None:
        super().__init__()
        self.matrix = matrix
        self.features = features
        self.register_buffer("frame_times", torch.tensor(frame_times, dtype=torch.float64))
        n_features = 0 if features is None else features.n_features
        self.deformation = None if deformation.encoding == "none" else Deformation(deformation, grid_backend)
        self.canonical = Canonical(canonical, n_features, grid_backend)
        self._constants: dict[tuple[tuple[int, int], torch.device], tuple[Tensor, Tensor, Tensor]] = {}

    def forward(self, batch: Batch) -> Complex[Tensor, "frame y x"]:
        """The frames of a batch on the matrix of the scan."""
        return self.render(batch.times.tolist(), self.matrix)

    def render(self, times: Sequence[float], matrix: tuple[int, int]) -> Complex[Tensor, "frame y x"]:
        """Images at any times (s) on a matrix (ny, nx) over the same field of view.

        Times before the first or after the last fitted frame show that frame.
        """
        return torch.stack([self._render_frame(self.frame_number(time), matrix) for time in times])

    def frame_number(self, time: float) -> float:
        """The fractional frame number of a time in s."""
        known = self.frame_times.tolist()
        if time >= known[-1] or len(known) == 1:
            return float(len(known) - 1)
        after = max(sum(t <= time for t in known), 1)
        before = known[after - 1]
        return after - 1 + max(time - before, 0.0) / (known[after] - before)

    def displacement(self, frame: float, matrix: tuple[int, int]) -> Float[Tensor, "point 2"]:
        """Displacement of every pixel at a fractional frame number, in pixels (x, y)."""
        pixels, _, encoded = self._encodings(matrix)
        if self.deformation is None:
            return torch.zeros_like(pixels)
        moved = self.deformation(encoded, self._time(frame, pixels.device))
        return moved * 0.5 * torch.tensor([matrix[1], matrix[0]], device=pixels.device)

    def _render_frame(self, frame: float, matrix: tuple[int, int]) -> Complex[Tensor, "y x"]:
        pixels, space, encoded = self._encodings(matrix)
        time = self._time(frame, pixels.device)
        deformed = pixels if self.deformation is None else pixels + self.deformation(encoded, time)
        features = None if self.features is None else self.features.at(frame, matrix)
        return self.canonical(deformed, space, time, features).view(matrix)

    def _time(self, frame: float, device: torch.device) -> Float[Tensor, "1 1"]:
        return torch.full((1, 1), frame / max(len(self.frame_times) - 1, 1), device=device)

    def _encodings(self, matrix: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Pixel coordinates (x, y) in [-1, 1], and their encodings for canonical and deformation network; kept."""
        key = (matrix, self.frame_times.device)
        if key not in self._constants:
            pixels = pixel_coordinates(matrix, self.frame_times.device)
            space = frequency_encode(pixels, self.canonical.config.degree_xy)
            encoded = pixels if self.deformation is None else self.deformation.encode(pixels)
            self._constants = {key: (pixels, space, encoded)}  # one matrix at a time: a fit uses only its own
        return self._constants[key]


def pixel_coordinates(matrix: tuple[int, int], device: torch.device) -> Float[Tensor, "point 2"]:
    """Centres (x, y) of the pixels of a field of view that spans [-1, 1] in both directions."""
    axes = [(torch.arange(n, device=device) + 0.5) / n * 2 - 1 for n in matrix]
    y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x.reshape(-1), y.reshape(-1)], 1)


def even_times(frame_times: Sequence[float], n: int) -> list[float]:
    """`n` times from the first frame to the last, evenly spaced in frames."""
    last = len(frame_times) - 1
    times = []
    for i in range(n):
        frame = i * last / max(n - 1, 1)
        before = min(math.floor(frame), max(last - 1, 0))
        after = min(before + 1, last)
        times.append(frame_times[before] + (frame - before) * (frame_times[after] - frame_times[before]))
    return times
