"""The warped field: canonical space rendered once, then carried to every frame.

    x(r, t) = C(r + D(r, t), t),    C(q, t) = sum_k (b_k(t) + c_k(t)) M_k(q) + R(q, t)

M_k: a few complex canonical maps, a multiresolution hash grid and a small network. b_k: their temporal basis, a small
network of the time. c_k: courses of the contrast that the fit started from, zero where there were none. D: deformation,
cubic B-splines in space times a temporal basis. R: innovation, what no warp of the maps explains (through-plane motion,
contrast); it lives in canonical space, where it moves with the tissue, at the pixels and frames of the scan, and is
interpolated between them, as the courses are. The form follows DA-INR (Baik & Yoo, arXiv 2501.09049)
with the canonical space rendered once a step for all frames.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from dainr.errors import BadRequest
from dainr.fields.bandlimited import resample
from dainr.fields.field import DynamicField
from dainr.fields.hash_grid import GridConfig, HashGrid
from dainr.fields.hash_motion import HashMotion
from dainr.fields.lookup import lookup_at_pixels
from dainr.fields.mlp import MLP
from dainr.fields.spline import spline_map, spline_matrix
from dainr.kernels.constant import constant
from dainr.kernels.coordinates import frame_number
from dainr.kernels.warp import warp
from dainr.operators.batch import Batch
from dainr.settings.bounds import check_bounds, within

GAIN = 2.5  # image per unit of the networks' output: the brightest pixels are then well within what one step can reach


@dataclass(frozen=True)
class WarpedConfig:
    """Sizes of the warped field's parts."""

    maps: int = within(4, 1, 256)  # K
    levels: int = within(7, 1, 32)
    features_per_level: int = within(4, 1, 32)
    base: int = within(8, 1, 4096)
    log2_table: int = within(15, 4, 28)
    width: int = within(64, 1, 4096)
    harmonics: int = within(6, 1, 1000)  # of the cycle, or of twice the scan where it is not cyclic
    motion_control: int = within(24, 4, 512)  # control points a side
    motion_modes: int = within(8, 1, 256)
    motion: Literal["spline", "hash"] = "spline"  # control points of the modes: free, or read off a hash grid
    coil_control: int = within(16, 0, 512)  # control points a side of the coil maps' correction; 0 keeps the maps

    def __post_init__(self) -> None:
        check_bounds(self)
        if 0 < self.coil_control < 4:
            raise BadRequest(
                f"coil_control={self.coil_control}", "a spline has too few control points", "choose 0, or 4 or more"
            )


@dataclass(frozen=True, eq=False)
class Series:
    """One rendering: the frames, the canonical space they were warped from, and the control points that warped it."""

    images: Complex[Tensor, "frame y x"]
    canonical: Complex[Tensor, "frame y x"]
    control: Float[Tensor, "frame 2 row column"]  # displacement (x, y) of the control points, in units of their spacing


class WarpedCine(DynamicField):
    """The field whose canonical space is rendered once for all frames. `cyclic`: the last frame precedes the first."""

    base_maps: Tensor
    course: Tensor

    def __init__(
        self,
        config: WarpedConfig,
        frame_times: Sequence[float],
        matrix: tuple[int, int],
        coil_maps: Complex[Tensor, "coil y x"],
        cyclic: bool,
        finest: int = 0,
    ) -> None:
        """`finest`: cells a side of the finest grid level; 0: as many as pixels."""
        super().__init__(frame_times, matrix)
        self.config, self.cyclic = config, cyclic
        n_frames = len(frame_times)
        self.register_buffer("is_cyclic", torch.tensor(cyclic))  # so that it is saved with the rest
        self.register_buffer("base_maps", coil_maps, persistent=False)
        self.register_buffer("course", torch.zeros(n_frames, 2 * config.maps))  # of the maps: real, then imaginary
        self.register_load_state_dict_pre_hook(_without_course)
        self.grid = HashGrid(
            GridConfig(
                levels=config.levels,
                features_per_level=config.features_per_level,
                base=min(config.base, finest or max(matrix)),
                finest=finest or max(matrix),
                log2_table=config.log2_table,
                indexing="hash",
            )
        )
        k, w, n_time = config.maps, config.width, 2 * config.harmonics
        self.value = MLP([self.grid.n_features, w, w, 2 * k], bias=True)
        self.basis = MLP([n_time, w // 2, w // 2, 2 * k], bias=True)
        self.motion_basis = MLP([n_time, w // 2, w // 2, config.motion_modes], bias=True)
        side = config.motion_control
        modes = config.motion_modes
        self.motion: nn.Parameter | HashMotion = (
            HashMotion(modes, side, w)
            if config.motion == "hash"
            else nn.Parameter(1e-3 * torch.randn(modes, 2, side, side))
        )
        self.innovation = nn.Parameter(torch.zeros(n_frames, *matrix, 2))  # re, im: AdamW fuses real numbers only
        self.coil_correction = nn.Parameter(torch.zeros(2 * len(coil_maps), config.coil_control, config.coil_control))

    def forward(self, batch: Batch) -> Complex[Tensor, "frame y x"]:
        """The frames of a batch on the matrix of the scan."""
        return self.series(batch.frames, self.matrix).images

    def render(self, times: Sequence[float], matrix: tuple[int, int]) -> Complex[Tensor, "frame y x"]:
        """Images at any times (s) on a matrix (ny, nx) over the same field of view.

        Times before the first or after the last fitted frame show that frame.
        """
        return self.series([frame_number(self.times, time) for time in times], matrix).images

    def series(self, frames: Sequence[float], matrix: tuple[int, int], innovate: bool = True) -> Series:
        """Everything at fractional frame numbers on a matrix; without the innovation where the fit has none yet.

        Before the first frame and after the last one a cycle goes on and another series stands still.
        """
        k, last = self.config.maps, len(self.frame_times) - 1
        frames = frames if self.cyclic else [min(max(frame, 0.0), float(last)) for frame in frames]
        basis = self._over_time(self.basis, frames) + self._between(self.course, frames)
        mixing = torch.complex(basis[:, :k] + (torch.arange(k, device=basis.device) == 0), basis[:, k:])
        canonical = torch.einsum("tk,kyx->tyx", mixing, self.canonical_maps(matrix))
        if innovate:
            canonical = torch.add(canonical, self._innovation(frames, matrix), alpha=GAIN)
        control = self._control(frames)
        spacing = 2 / (self.config.motion_control - 3)
        return Series(warp(canonical, self._displacement(control, matrix)), canonical, control / spacing)

    def canonical_maps(self, matrix: tuple[int, int]) -> Complex[Tensor, "map y x"]:
        """The canonical maps M_k on a matrix; between the pixels that were fitted, by their Fourier series."""
        real, imaginary = self.values().T.reshape(2, self.config.maps, *self.matrix)
        maps = GAIN * torch.complex(real, imaginary)
        return maps if matrix == self.matrix else resample(maps, matrix)

    @torch.no_grad()
    def start_courses(self, courses: Complex[Tensor, "frame map"]) -> None:
        """The maps' temporal basis is to be these courses; what the network gives now is taken off."""
        k = self.config.maps
        now = self._over_time(self.basis, [float(frame) for frame in range(len(courses))])
        first = (torch.arange(k, device=now.device) == 0).to(now.dtype)
        self.course.copy_(torch.cat([courses.real - first, courses.imag], 1) - now)

    @torch.no_grad()
    def continue_from(self, coarse: "WarpedCine") -> None:
        """Take over a field fitted to fewer pixels, and maybe coils; its innovation is resampled.

        What corrects the coil maps starts anew.
        """
        state = coarse.state_dict() | {"coil_correction": self.coil_correction}
        state["innovation"] = torch.view_as_real(resample(torch.view_as_complex(coarse.innovation), self.matrix))
        self.load_state_dict(state)

    def displacement(self, frames: Sequence[float], matrix: tuple[int, int]) -> Float[Tensor, "frame 2 y x"]:
        """From every pixel of a frame to its place in canonical space, (x, y) in pixels of the matrix."""
        return self._displacement(self._control(frames), matrix)

    def coil_maps(self) -> Complex[Tensor, "coil y x"]:
        """The coil maps, corrected by smooth splines and brought back to unit norm over the coils."""
        if self.config.coil_control == 0:
            return self.base_maps
        rows, columns = self._splines(self.matrix, self.config.coil_control)
        real, imaginary = spline_map(self.coil_correction, rows, columns).chunk(2)
        maps = self.base_maps + torch.complex(real, imaginary)
        energy = torch.view_as_real(maps).square().sum((0, 3))
        return maps * (energy + 1e-4).rsqrt()

    def innovation_of(self, frames: slice) -> Complex[Tensor, "frame y x"]:
        """The innovation of some frames of the scan; GAIN brings it to the units of the images."""
        return torch.view_as_complex(self.innovation[frames])

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters with the share of the learning rate they take, and whether their weights decay."""
        networks = [*self.value.parameters(), *self.basis.parameters(), *self.motion_basis.parameters()]
        free = [self.grid.table, self.innovation]
        motion = list(self.motion.parameters()) if isinstance(self.motion, HashMotion) else [self.motion]
        return [
            {"params": networks, "share": 0.5, "decay": True},
            {"params": motion, "share": 3.0, "decay": False},
            {"params": [self.coil_correction], "share": 0.5, "decay": False},
            {"params": free, "share": 1.0, "decay": False},
        ]

    def values(self) -> Float[Tensor, "point value"]:
        """The canonical maps at the pixels of the scan, real parts and then imaginary ones."""
        lookup = lookup_at_pixels(self.grid.config, self.matrix, self.frame_times.device)
        return self.value([lookup(self.grid.table)])

    def _over_time(self, network: MLP, frames: Sequence[float]) -> Float[Tensor, "frame value"]:
        """A network of time at fractional frame numbers: linear between frames, where nothing has been measured."""
        number = constant(tuple(frames), torch.float32, self.frame_times.device)
        before = network([self._harmonics(number.floor())])
        if all(float(frame).is_integer() for frame in frames):
            return before
        return torch.lerp(before, network([self._harmonics(number.ceil())]), (number - number.floor())[:, None])

    def _between(self, values: Tensor, frames: Sequence[float]) -> Tensor:
        """Values of the frames of the scan at fractional frame numbers, linear between frames."""
        n = len(values)
        if list(frames) == list(range(n)):
            return values
        before = [math.floor(f) for f in frames]
        after = [(b + 1) % n if self.cyclic else min(b + 1, n - 1) for b in before]
        part = constant(tuple(f - b for f, b in zip(frames, before, strict=True)), torch.float32, values.device)
        part = part.view(-1, *[1] * (values.dim() - 1)).to(values.dtype)
        first, second = (constant(tuple(at), torch.int64, values.device) for at in ([b % n for b in before], after))
        return torch.lerp(values[first], values[second], part)

    def _harmonics(self, number: Float[Tensor, " frame"]) -> Float[Tensor, "frame harmonic"]:
        n_frames = len(self.frame_times)
        turn = number * (2 * math.pi / n_frames if self.cyclic else math.pi / max(n_frames - 1, 1))
        angles = turn[:, None] * torch.arange(1, self.config.harmonics + 1, device=number.device)
        return torch.cat([angles.sin(), angles.cos()], 1)

    def _innovation(self, frames: Sequence[float], matrix: tuple[int, int]) -> Complex[Tensor, "frame y x"]:
        """The innovation, before GAIN: linear between frames, by its Fourier series between pixels."""
        chosen = self._between(torch.view_as_complex(self.innovation), frames)
        return chosen if matrix == self.matrix else resample(chosen, matrix)

    def _control(self, frames: Sequence[float]) -> Float[Tensor, "frame 2 row column"]:
        """Displacement (x, y) of the control points, in halves of the field of view."""
        modes = self.motion() if isinstance(self.motion, HashMotion) else self.motion
        return torch.einsum("tm,mcyx->tcyx", self._over_time(self.motion_basis, frames), modes)

    def _displacement(self, control: Tensor, matrix: tuple[int, int]) -> Float[Tensor, "frame 2 y x"]:
        """Displacement of the pixels of a matrix, in pixels."""
        rows, columns = self._splines(matrix, self.config.motion_control)
        half = constant((0.5 * matrix[1], 0.5 * matrix[0]), control.dtype, control.device)
        return spline_map(control * half[:, None, None], rows, columns)

    def _splines(self, matrix: tuple[int, int], n_control: int) -> tuple[Tensor, Tensor]:
        device = self.frame_times.device
        return spline_matrix(matrix[0], n_control, device), spline_matrix(matrix[1], n_control, device)


def _without_course(model: WarpedCine, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """A field saved before there were courses has none."""
    state.setdefault(f"{prefix}course", torch.zeros_like(model.course))
