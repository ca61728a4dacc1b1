"""The composed field x(r, t) = C(r + D(r, t), t, f(r, t)): rendered at any times and on any matrix.

Baik & Yoo, "Dynamic-Aware Spatio-temporal Representation Learning for Dynamic MRI Reconstruction" (DA-INR),
MICCAI 2025, arXiv 2501.09049. As in their release, the frequency encoding beside the grid is of the pixel, not of the
deformed point.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.fields.canonical import Canonical, CanonicalConfig
from dainr.fields.deformation import Deformation, DeformationConfig
from dainr.fields.field import DynamicField
from dainr.fields.frequency import frequency_encode
from dainr.kernels.constant import constant
from dainr.kernels.coordinates import frame_number, pixel_coordinates
from dainr.networks.condition import FeatureMaps
from dainr.operators.batch import Batch


class PointwiseField(DynamicField):
    """The field as published: canonical and deformation network evaluated at every pixel of every frame.

    Inside, time runs from 0 at the first frame to 1 at the last, equally far from frame to frame.
    """

    def __init__(
        self,
        deformation: DeformationConfig,
        canonical: CanonicalConfig,
        grid_backend: str,
        frame_times: Sequence[float],
        matrix: tuple[int, int],
        features: FeatureMaps | None,
    ) -> None:
        super().__init__(frame_times, matrix)
        self.features = features
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
        return torch.stack([self._render_frame(frame_number(self.times, time), matrix) for time in times])

    @property
    def deforms(self) -> bool:
        """Not with `deformation.encoding=none`."""
        return self.deformation is not None

    def displacement(self, frames: Sequence[float], matrix: tuple[int, int]) -> Float[Tensor, "frame 2 y x"]:
        """From every pixel of a frame to its place in canonical space, (x, y) in pixels of the matrix."""
        pixels, _, encoded = self._encodings(matrix)
        if self.deformation is None:
            return pixels.new_zeros(len(frames), 2, *matrix)
        moved = torch.stack([self.deformation(encoded, self._time(frame, pixels.device)) for frame in frames])
        half = constant((0.5 * matrix[1], 0.5 * matrix[0]), moved.dtype, moved.device)
        return (moved * half).mT.unflatten(2, matrix)

    def _render_frame(self, frame: float, matrix: tuple[int, int]) -> Complex[Tensor, "y x"]:
        pixels, space, encoded = self._encodings(matrix)
        time = self._time(frame, pixels.device)
        deformed = pixels if self.deformation is None else pixels + self.deformation(encoded, time)
        features = None if self.features is None else self.features.at(frame, matrix)
        return self.canonical(deformed, space, time, features).view(matrix)

    def _apply(self, *args: Any, **kwargs: Any) -> "PointwiseField":
        """Goes to another device without what it keeps for this one."""
        self._constants = {}
        return super()._apply(*args, **kwargs)

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
