"""What a method returns: the cine, the fields it was rendered from if there are any, and the record of the run."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from dainr.cine import Cine, resample_affine
from dainr.errors import BadRequest, OutOfMemory
from dainr.fields.field import DynamicField
from dainr.fit.state import FitState
from dainr.kernels.coordinates import even_times, frame_number
from dainr.machine import disk
from dainr.machine.device import memory_bytes
from dainr.motion import Kind, Motion, PullBack, displacement_between
from dainr.scan import LARGEST_MATRIX

log = logging.getLogger(__name__)

MOST_FRAMES = 100_000  # of a cine that is rendered


@dataclass(frozen=True, eq=False)
class Recon:
    """One reconstruction of one scan."""

    method: str
    cine: Cine
    record: dict[str, Any]  # what was done, in figures; becomes part of run.json
    gridded: Float[np.ndarray, "slice frame y x"]  # magnitudes of the gridded frames, to compare with
    fields: tuple[DynamicField, ...] = ()  # one per slice
    scales: tuple[float, ...] = ()  # image units per unit of each slice's field
    histories: tuple[FitState, ...] = field(default=())
    error_map: Float[np.ndarray, "slice frame y x"] | None = None  # in 80 % of the pixels the error is below it
    networks: tuple[dict[str, Tensor], ...] = ()  # weights, one per slice, of a method that fits networks

    def render(
        self,
        n_frames: int | None = None,
        times: Sequence[float] | None = None,
        matrix: tuple[int, int] | None = None,
    ) -> Cine:
        """The cine at other times (s; or `n_frames` evenly spaced ones) and on another matrix, same field of view.

        Raises BadRequest when the method fitted no field and so has nothing between its frames and pixels, and for
        sizes or times that are not positive or not finite.
        """
        old = self.cine.data.shape[2], self.cine.data.shape[3]
        if n_frames is None and times is None and matrix in (None, old):
            return self.cine
        if not self.fields:
            raise BadRequest(
                "other frames or another matrix",
                f"method {self.method} fits no continuous field",
                "export without --frames, --times and --matrix, or fit with --method dainr",
            )
        new_matrix, new_times = matrix or old, self._times(n_frames, times)
        _check_matrix(new_matrix)
        _check_memory(len(new_times), new_matrix)
        with torch.no_grad():
            data = disk.stack(len(self.fields), lambda index: self._rendered(index, new_times, new_matrix))
        affine, planes = (
            None if affines is None else resample_affine(affines, old, new_matrix)
            for affines in (self.cine.affine, self.cine.planes)
        )
        return replace(self.cine, data=data, times=np.array(new_times), affine=affine, planes=planes)

    def displacement(
        self,
        times: Sequence[float] | None = None,
        matrix: tuple[int, int] | None = None,
        reference: float | None = None,
        kind: Kind = "lagrangian",
        n_frames: int | None = None,
    ) -> Motion:
        """How tissue moves between a reference and other times (s; or `n_frames` evenly spaced ones), on any matrix.

        `reference` is a time in s, or None for canonical space. `kind="lagrangian"` is at the points of the reference,
        to where their tissue is at each time; `"eulerian"` at the points of each time, back to the reference. Where the
        tissue folds, how often is logged. Raises BadRequest when the method fitted no deformation, and for sizes or
        times that are not positive, not finite or not of the scan.
        """
        if not self.fields or not all(field.deforms for field in self.fields):
            raise BadRequest(
                "the motion", f"method {self.method} fitted no deformation", "fit the scan with --method dainr"
            )
        old = self.cine.data.shape[2], self.cine.data.shape[3]
        new_matrix, new_times = matrix or old, self._times(n_frames, times)
        _check_matrix(new_matrix)
        _check_memory(len(new_times), new_matrix)
        if reference is not None:
            self._times(None, [reference])
        slices = [
            displacement_between(_pull_back(field, new_matrix), new_times, reference, kind) for field in self.fields
        ]
        affine, planes = (
            None if affines is None else resample_affine(affines, old, new_matrix)
            for affines in (self.cine.affine, self.cine.planes)
        )
        motion = Motion(
            displacement=np.stack([found for found, _ in slices]),
            found=np.stack([sure for _, sure in slices]),
            kind=kind,
            reference=reference,
            times=np.array(new_times),
            fov_mm=self.cine.fov_mm,
            slice_thickness_mm=self.cine.slice_thickness_mm,
            affine=affine,
            planes=planes,
            assumed=self.cine.assumed,
        )
        motion.say_folding()
        return motion

    @property
    def error_cine(self) -> Cine:
        """The error map in place of the images. Raises BadRequest when the run has none."""
        if self.error_map is None:
            raise BadRequest("--error-map", "the run has no error map", "fit the scan again with --error-map")
        return replace(self.cine, data=self.error_map.astype(np.complex64))

    def _rendered(self, index: int, times: Sequence[float], matrix: tuple[int, int]) -> np.ndarray:
        images = [self.fields[index].render([time], matrix)[0].cpu() for time in times]
        return self.scales[index] * torch.stack(images).numpy()

    def _times(self, n_frames: int | None, times: Sequence[float] | None) -> list[float]:
        known = self.cine.times.tolist()
        if times is not None:
            if not len(times) or not np.isfinite(times).all():
                raise BadRequest("--times", "they must be finite numbers", "give seconds, such as 0,0.5,1")
            if min(times) < known[0] - 1e-9 or max(times) > known[-1] + 1e-9:
                raise BadRequest(
                    "--times", f"the scan lasts from {known[0]:g} to {known[-1]:g} s", "choose times within it"
                )
            return list(times)
        if n_frames is None:
            return known
        if not 1 <= n_frames <= MOST_FRAMES:
            raise BadRequest(f"--frames {n_frames}", "that is no number of frames", f"choose 1 to {MOST_FRAMES}")
        return even_times(known, n_frames)


def _pull_back(field: DynamicField, matrix: tuple[int, int]) -> PullBack:
    """From the pixels of the image at a time to canonical space."""

    @torch.no_grad()
    def pull_back(time: float) -> np.ndarray:
        return field.displacement([frame_number(field.times, time)], matrix)[0].cpu().numpy().astype(np.float64)

    return pull_back


def put_away(model: nn.Module) -> None:
    """Move the tensors of a network to disk, from where they are read when they are used next.

    Where there is no room for them, they stay in memory; those of another device come to the CPU either way.
    """
    model.cpu()
    tensors = dict([*model.named_parameters(), *model.named_buffers()])
    try:
        with disk.new_file() as file:
            arrays = {name: tensor.data.contiguous().numpy() for name, tensor in tensors.items()}
            stored = disk.load(*disk.dump(arrays, file), file)
        for name, array in stored.items():
            tensors[name].data = torch.from_numpy(array)
    except BadRequest as error:
        log.info("a fitted field stays in memory: %s", error)


def _check_matrix(matrix: tuple[int, int]) -> None:
    if not all(1 < n <= LARGEST_MATRIX for n in matrix):
        raise BadRequest(
            f"--matrix {matrix[0]}x{matrix[1]}",
            "that is not an image size",
            f"choose 2 to {LARGEST_MATRIX} pixels on each side",
        )


def _check_memory(n_frames: int, matrix: tuple[int, int]) -> None:
    """Refuse at once what would not fit in memory: a slice is rendered whole, as are its copies in one array."""
    size = 2 * 8 * n_frames * matrix[0] * matrix[1]
    if size > memory_bytes(torch.device("cpu")):
        what = f"{n_frames} frames of {matrix[0]} x {matrix[1]}"
        raise OutOfMemory(what, f"a slice of them takes {size / 1e9:.0f} GB of memory", "choose fewer, or smaller ones")
