"""GRASP: compressed sensing by total variation over time.

    min_x  1/2 |A x - y|^2 + lambda sum_t |x_{t+1} - x_t|_1

|.|_1 sums complex magnitudes over the pixels. Feng et al., Magn Reson Med 2014;72:707; here without a density weight in
the data term, for white noise asks for none, and solved by ADMM until it has converged.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.methods.classical.iterations import Iterate, IterativeConfig, IterativeMethod
from dainr.methods.classical.solvers import admm, soft_threshold
from dainr.methods.slices import Slice
from dainr.settings.bounds import within

ADMM_STEP = 0.0125  # of the image's brightness: what a step of ADMM takes from a difference; sets the penalty rho


@dataclass(frozen=True)
class GraspConfig(IterativeConfig):
    """Settings of GRASP."""

    weight: float = within(1.5, 0, 1e6)  # lambda, in standard deviations of the noise in a pixel of A^H y
    cyclic: bool = False  # the last frame is followed by the first: true of a cardiac cycle alone


class TemporalVariation:
    """K = D, the differences between frames; g = lambda |.|_1."""

    def __init__(self, n_frames: int, weight: float, cyclic: bool, device: torch.device) -> None:
        self.weight, self.cyclic, self.rho = weight, cyclic, weight / ADMM_STEP
        eye = torch.eye(n_frames, device=device)
        differences = self.parts(eye[:, None], eye)[:, 0]
        self.eigenvalues, self.modes = torch.linalg.eigh(differences.T @ differences)

    def first(self, x: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "difference y x"]:
        """No differences: those of gridded frames are mostly aliasing."""
        return torch.zeros_like(self.parts(x, x))

    def parts(self, x: Float[Tensor, "frame y x"] | Complex[Tensor, "frame y x"], target: Tensor) -> Tensor:
        """The differences, whatever the target."""
        return torch.roll(x, -1, 0) - x if self.cyclic else torch.diff(x, dim=0)

    def adjoint(self, parts: Complex[Tensor, "difference y x"]) -> Complex[Tensor, "frame y x"]:
        """D^H."""
        if self.cyclic:
            return torch.roll(parts, 1, 0) - parts
        edge = parts.new_zeros(1, *parts.shape[1:])
        return -torch.diff(parts, dim=0, prepend=edge, append=edge)

    def shrink(self, parts: Complex[Tensor, "difference y x"]) -> Complex[Tensor, "difference y x"]:
        """Soft thresholding by lambda / rho."""
        return soft_threshold(parts, ADMM_STEP)

    def cost(self, parts: Complex[Tensor, "difference y x"]) -> float:
        """Lambda times the sum of magnitudes."""
        return self.weight * float(parts.abs().double().sum())


class Grasp(IterativeMethod):
    """Total variation over time, in units of the noise."""

    name = "grasp"
    Config = GraspConfig
    cited_as = (
        "The cine was reconstructed by compressed sensing with total variation over time (GRASP, Feng et al., Magn"
        " Reson Med 2014;72:707), solved by ADMM, its weight a fixed multiple of the noise (dainr {version})."
    )
    about = "compressed sensing: total variation over time, weighted by the noise"

    def iterate(self, part: Slice, config: GraspConfig) -> Iterator[Iterate]:
        """ADMM from the gridded frames."""
        start = part.gridded
        weight = config.weight * part.noise_std
        splitting = TemporalVariation(len(start), weight, config.cyclic, start.device)
        return admm(part, splitting, config.ridge, start)
