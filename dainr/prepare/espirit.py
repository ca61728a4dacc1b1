"""ESPIRiT: coil maps as the eigenvectors of what k-space says about neighbouring samples of all coils.

Patches of the k-space centre lie in a small subspace. Whatever coil images have all their patches in it satisfy
W(r) m(r) = m(r) at every pixel, W the image-domain form of the projection onto the subspace, m the coil maps
(Uecker et al., Magn Reson Med 2014;71:990). W(r) is a Fourier series of few terms, the correlations of the projection.
"""

import torch
from jaxtyping import Complex
from torch import Tensor

SQUARINGS = 6  # of W: its 64th power is of rank one where one eigenvalue leads


def espirit(
    kspace: Complex[Tensor, "coil ky kx"], calibration: int, kernel: int, threshold: float
) -> Complex[Tensor, "coil y x"]:
    """Maps on the pixels of this k-space, centre n // 2, of unit norm; their phase is relative to the first coil.

    `calibration`: samples a side of the centre that patches of `kernel` samples a side are taken from; singular values
    below `threshold` times the largest are noise.
    """
    leading = _leading(agreement(kspace, calibration, kernel, threshold))
    phase = leading[..., :1]
    return (leading * (phase.conj() / phase.abs().clamp(min=torch.finfo(torch.float32).tiny))).permute(2, 0, 1)


def agreement(
    kspace: Complex[Tensor, "coil ky kx"], calibration: int, kernel: int, threshold: float
) -> Complex[Tensor, "y x coil coil"]:
    """W: coil images whose patches are all like those of the centre are left as they are by it."""
    n_coils, *size = kspace.shape
    patches = _patches(_centre(kspace, min(calibration, *size)), kernel)
    projection = _projection(patches, threshold).view(n_coils, kernel, kernel, n_coils, kernel, kernel)
    # of coil pairs: sums over all positions p, q with p - q alike, as coefficients of a Fourier series on the pixels
    series = kspace.new_zeros(*size, n_coils, n_coils)
    for y in range(1 - kernel, kernel):
        for x in range(1 - kernel, kernel):
            (p_y, q_y), (p_x, q_x) = _overlap(y, kernel), _overlap(x, kernel)
            part = projection[:, p_y, p_x][..., q_y, q_x]
            series[y % size[0], x % size[1]] = torch.einsum("cyxdyx->cd", part)
    return torch.fft.fftshift(torch.fft.ifft2(series, dim=(0, 1), norm="forward"), dim=(0, 1)) / kernel**2


def _centre(kspace: Tensor, width: int) -> Complex[Tensor, "coil width width"]:
    first = [n // 2 - width // 2 for n in kspace.shape[1:]]
    return kspace[:, first[0] : first[0] + width, first[1] : first[1] + width]


def _patches(kspace: Tensor, kernel: int) -> Complex[Tensor, "patch element"]:
    """All patches, each the samples of all coils in one row."""
    windows = kspace.unfold(1, kernel, 1).unfold(2, kernel, 1)  # coil, y, x, kernel, kernel
    return windows.permute(1, 2, 0, 3, 4).reshape(windows.shape[1] * windows.shape[2], -1)


def _projection(patches: Tensor, threshold: float) -> Complex[Tensor, "element element"]:
    """Onto the subspace of the patches, rows of which are the patches' own."""
    energy, vectors = torch.linalg.eigh(patches.mT @ patches.conj())
    kept = vectors[:, energy > threshold**2 * energy[-1]]
    return kept @ kept.mH


def _overlap(shift: int, kernel: int) -> tuple[slice, slice]:
    """The positions p and q within a patch with p - q = shift."""
    return slice(max(shift, 0), kernel + min(shift, 0)), slice(max(-shift, 0), kernel - max(shift, 0))


def _leading(operator: Complex[Tensor, "y x coil coil"]) -> Complex[Tensor, "y x coil"]:
    """The leading eigenvector of each matrix, Hermitian and positive semidefinite, by repeated squaring."""
    tiny = torch.finfo(torch.float32).tiny
    for _ in range(SQUARINGS):
        operator = operator / operator.diagonal(dim1=2, dim2=3).real.sum(-1).clamp(min=tiny)[..., None, None]
        operator = operator @ operator
    largest = operator.diagonal(dim1=2, dim2=3).real.argmax(-1)
    column = operator.gather(3, largest[..., None, None].expand(*operator.shape[:3], 1))[..., 0]
    return column / column.norm(dim=-1, keepdim=True).clamp(min=tiny)
