"""L + S: a background that changes little, of low rank, plus what moves, sparse in temporal frequency.

    min_{L,S}  1/2 |A (L + S) - y|^2 + lambda_L |L|_* + lambda_S |F S|_1

|L|_* is the nuclear norm of the Casorati matrix (frames by pixels), F the unitary Fourier transform over the frames.
Otazo et al., Magn Reson Med 2015;73:1125; solved by ADMM: with L + S = x the linear system is (A^H A + rho/2) x = ...,
and L - S follows in closed form.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Complex
from torch import Tensor

from dainr.methods.classical.iterations import Iterate, IterativeConfig, IterativeMethod
from dainr.methods.classical.solvers import admm, soft_threshold
from dainr.methods.slices import Slice
from dainr.settings.bounds import within

ADMM_STEP = 0.15  # of the image's brightness: what a step of ADMM takes from a frequency; sets the penalty rho


@dataclass(frozen=True)
class LPlusSConfig(IterativeConfig):
    """Settings of L + S."""

    tolerance: float = 5e-3
    # lambda_L, in units of the largest singular value that noise alone has in A^H y
    low_rank: float = within(1.5, 1e-9, 1e6)
    sparse: float = within(2.5, 1e-9, 1e6)  # lambda_S, in standard deviations of the noise in a pixel of A^H y


class LowRankPlusSparse:
    """K x = (L, S); g = lambda_L |L|_* + lambda_S |F S|_1."""

    def __init__(self, n_frames: int, low_rank: float, sparse: float, device: torch.device) -> None:
        self.low_rank, self.sparse, self.rho = low_rank, sparse, sparse / ADMM_STEP
        self.modes, self.eigenvalues = torch.eye(n_frames, device=device), torch.full((n_frames,), 0.5, device=device)

    def first(self, x: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "2 frame y x"]:
        """The time average as background, nothing that moves."""
        return torch.stack([x.mean(0).expand_as(x), torch.zeros_like(x)])

    def parts(
        self, x: Complex[Tensor, "frame y x"], target: Complex[Tensor, "2 frame y x"]
    ) -> Complex[Tensor, "2 frame y x"]:
        """The L and S nearest to the target whose sum is x."""
        return target + 0.5 * (x - target.sum(0))

    def adjoint(self, parts: Complex[Tensor, "2 frame y x"]) -> Complex[Tensor, "frame y x"]:
        """Half the sum: what is left of K^H where L - S is eliminated."""
        return 0.5 * parts.sum(0)

    def shrink(self, parts: Complex[Tensor, "2 frame y x"]) -> Complex[Tensor, "2 frame y x"]:
        """Singular values of L and temporal frequencies of S, each thresholded by its weight over rho."""
        low_rank, sparse = parts
        frequencies = torch.fft.fft(sparse, dim=0, norm="ortho")
        sparse = torch.fft.ifft(soft_threshold(frequencies, self.sparse / self.rho), dim=0, norm="ortho")
        values, vectors = singular_values(low_rank)
        factor = (1 - self.low_rank / self.rho / values.clamp(min=torch.finfo(values.dtype).tiny)).clamp(min=0)
        projection = (vectors * factor) @ vectors.mH
        return torch.stack([torch.tensordot(projection.to(low_rank.dtype), low_rank, 1), sparse])

    def cost(self, parts: Complex[Tensor, "2 frame y x"]) -> float:
        """The weighted nuclear norm of L and sum of magnitudes of the frequencies of S."""
        frequencies = torch.fft.fft(parts[1], dim=0, norm="ortho").abs().double()
        return self.low_rank * float(singular_values(parts[0])[0].sum()) + self.sparse * float(frequencies.sum())


def singular_values(x: Complex[Tensor, "frame y x"]) -> tuple[Tensor, Tensor]:
    """Singular values of the Casorati matrix and its vectors over the frames, from the small Gram matrix."""
    casorati = x.flatten(1)
    gram = (casorati @ casorati.mH).nan_to_num()  # what is not finite shows in the objective
    values, vectors = torch.linalg.eigh(gram.to(torch.complex128))
    return values.clamp(min=0).sqrt(), vectors


class LPlusS(IterativeMethod):
    """Low rank plus sparse, in units of the noise."""

    name = "l+s"
    Config = LPlusSConfig
    cited_as = (
        "The cine was reconstructed as a low-rank background plus a part sparse in temporal frequency (L+S, Otazo et"
        " al., Magn Reson Med 2015;73:1125), solved by ADMM, its weights fixed multiples of the noise (dainr"
        " {version})."
    )
    about = "low-rank background plus sparse motion (temporal frequencies), weighted by the noise"

    def iterate(self, part: Slice, config: LPlusSConfig) -> Iterator[Iterate]:
        """ADMM from the gridded frames; `parts` of an iterate are L and S."""
        start = part.gridded
        pixels = math.prod(part.prepared.matrix)
        edge = math.sqrt(pixels) + math.sqrt(len(start))  # largest singular value of white noise (Marchenko-Pastur)
        low_rank, sparse = config.low_rank * part.noise_std * edge, config.sparse * part.noise_std
        splitting = LowRankPlusSparse(len(start), low_rank, sparse, start.device)
        return admm(part, splitting, config.ridge, start)
