"""Scores against a reference: PSNR, SSIM, NRMSE and HaarPSI, for the whole image, for what moves and for what does not.

With its network, also DISTS.

Conventions: magnitudes; one least-squares scale for the whole series; peak = maximum of the reference. The dynamic
region is the 10 % of pixels with the largest temporal standard deviation of the reference, the static region the rest.
PSNR of the whole image, SSIM, HaarPSI and DISTS are means over frames. Only this module and the commands built on it
ever read a reference.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.ndimage import convolve
from skimage.metrics import structural_similarity

from dainr.errors import BadScan
from dainr.networks.dists import Dists

DYNAMIC_SHARE = 0.1
SSIM_WINDOW = 7  # pixels a side, uniform weights: scikit-image's default
HAARPSI_C, HAARPSI_ALPHA = 30.0, 4.2  # for images in [0, 255]


@dataclass(frozen=True)
class Scores:
    """Scores of a region: PSNR in dB (larger is better), SSIM and HaarPSI (1 is best), NRMSE and DISTS (0 is best)."""

    psnr: float
    ssim: float
    nrmse: float
    haarpsi: float
    dists: float | None = None  # not asked for


@dataclass(frozen=True)
class Evaluation:
    """Scores of a reconstruction: whole image, dynamic and static region; means over slices."""

    whole: Scores
    dynamic: Scores
    static: Scores
    ssim_window: int = SSIM_WINDOW


def evaluate(recon: np.ndarray, reference: np.ndarray, dists: Dists | None = None) -> Evaluation:
    """Score a series `slice frame y x` against a reference of the same shape, complex or magnitude.

    `dists`: the network of DISTS, where that is wanted.
    Raises BadScan when the shapes differ, the reference is empty or either is not finite.
    """
    image, truth = np.abs(recon).astype(np.float64), np.abs(reference).astype(np.float64)
    if image.shape != truth.shape:
        raise BadScan(
            "reference",
            f"its shape {truth.shape} is not the reconstruction's {image.shape} (slice, frame, y, x)",
            "export the run with the reference's --frames and --matrix",
        )
    if not np.isfinite(truth).all() or not truth.max() > 0:
        raise BadScan("reference", "it is empty or holds NaN or Inf", "give the fully sampled magnitude images")
    if not np.isfinite(image).all():
        raise BadScan("reconstruction", "it holds NaN or Inf", "fit the scan again")
    pairs = [scaled(a, b) for a, b in zip(image, truth, strict=True)]
    whole, dynamic, static = zip(*(_score(a, b, dists) for a, b in pairs), strict=True)
    return Evaluation(_mean(whole), _mean(dynamic), _mean(static))


def scaled(image: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One slice, `frame y x`: both relative to the reference's maximum, the image brought to it by least squares."""
    energy = (image * image).sum()
    peak = truth.max() if truth.max() > 0 else 1.0
    return image * ((image * truth).sum() / energy if energy > 0 else 0.0) / peak, truth / peak


def dynamic_region(truth: Float[np.ndarray, "frame y x"]) -> Bool[np.ndarray, "y x"]:
    """The pixels that move most. Where nothing moves, all count."""
    spread = truth.std(0)
    if spread.max() <= 1e-6 * truth.max():  # rounding
        return np.ones(spread.shape, bool)
    threshold = np.quantile(spread, 1 - DYNAMIC_SHARE)
    return spread > threshold if spread.max() > threshold else spread >= threshold


def static_region(truth: Float[np.ndarray, "frame y x"]) -> Bool[np.ndarray, "y x"]:
    """The pixels that move less. Where nothing moves, all count."""
    moving = dynamic_region(truth)
    return moving if moving.all() else ~moving


def psnr(error: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of an error relative to the peak."""
    return float(-10 * np.log10(max(float(np.mean(error**2)), 1e-20)))


def haarpsi(
    image: Float[np.ndarray, "y x"], truth: Float[np.ndarray, "y x"], region: Bool[np.ndarray, "y x"] | None = None
) -> float:
    """Haar wavelet perceptual similarity of two images in [0, 1] (Reisenhofer et al., 2018).

    Signal Process Image Commun 61:33; computed without subsampling. With a region, only the similarities
    inside it are pooled.
    """
    a, b = 255 * image, 255 * truth
    similarity, weight = [], []
    for axis in (0, 1):
        fine = [(_haar(a, level, axis), _haar(b, level, axis)) for level in (1, 2)]
        similarity.append(np.mean([(2 * p * q + HAARPSI_C**2) / (p**2 + q**2 + HAARPSI_C**2) for p, q in fine], axis=0))
        weight.append(np.maximum(_haar(a, 3, axis), _haar(b, 3, axis)))
    s, w = np.array(similarity), np.array(weight)
    if region is not None:
        s, w = s[:, region], w[:, region]
    squashed = 1 / (1 + np.exp(-HAARPSI_ALPHA * s))
    pooled = (squashed * w).sum() / w.sum() if w.sum() > 0 else squashed.mean()
    return float((np.log(pooled / (1 - pooled)) / HAARPSI_ALPHA) ** 2)


def _haar(image: np.ndarray, level: int, axis: int) -> np.ndarray:
    """Magnitude of the Haar response at a level: mean of one half of a 2^level window less that of the other."""
    n = 2**level
    kernel = np.full((n, n), 2.0**-level)
    kernel[: n // 2] *= -1
    return np.abs(convolve(image, kernel if axis == 0 else kernel.T, mode="constant"))


def _score(image: np.ndarray, truth: np.ndarray, dists: Dists | None) -> tuple[Scores, Scores, Scores]:
    """Of one slice: whole, dynamic region, static region."""
    regions = np.stack([np.ones(truth.shape[1:], bool), dynamic_region(truth), static_region(truth)])
    whole, dynamic, static = _whole(image, truth), *(_inside(image, truth, region) for region in regions[1:])
    if dists is None:
        return whole, dynamic, static
    distances = _dists(dists, image, truth, regions)
    w, d, s = (replace(one, dists=far) for one, far in zip((whole, dynamic, static), distances, strict=True))
    return w, d, s


def _dists(
    network: Dists, image: np.ndarray, truth: np.ndarray, regions: Bool[np.ndarray, "region y x"]
) -> list[float]:
    """Of each region, the mean over frames, which are looked at one by one to save memory."""
    a, b = (torch.from_numpy(series.clip(0, 1).astype(np.float32)).split(1) for series in (image, truth))
    with torch.no_grad():
        each = torch.cat([network(x, y, torch.from_numpy(regions)) for x, y in zip(a, b, strict=True)], 1)
    return each.mean(1).tolist()


def _whole(image: np.ndarray, truth: np.ndarray) -> Scores:
    return Scores(
        psnr=float(np.mean([psnr(a - b) for a, b in zip(image, truth, strict=True)])),
        ssim=_ssim(image, truth, np.ones(truth.shape[1:], bool)),
        nrmse=float(np.linalg.norm(image - truth) / max(float(np.linalg.norm(truth)), 1e-20)),
        haarpsi=float(np.mean([haarpsi(a, b) for a, b in zip(image, truth, strict=True)])),
    )


def _inside(image: np.ndarray, truth: np.ndarray, region: Bool[np.ndarray, "y x"]) -> Scores:
    error = (image - truth)[:, region]
    return Scores(
        psnr=psnr(error),
        ssim=_ssim(image, truth, region),
        nrmse=float(np.linalg.norm(error) / max(float(np.linalg.norm(truth[:, region])), 1e-20)),
        haarpsi=float(np.mean([haarpsi(a, b, region) for a, b in zip(image, truth, strict=True)])),
    )


def _ssim(image: np.ndarray, truth: np.ndarray, region: Bool[np.ndarray, "y x"]) -> float:
    """Mean SSIM over frames and the pixels of a region whose window lies within the image, if there are any."""
    window = min(SSIM_WINDOW, *(n - 1 + n % 2 for n in region.shape))
    border = (window - 1) // 2
    inside = np.zeros_like(region)
    inside[border : region.shape[0] - border, border : region.shape[1] - border] = True
    counted = region & inside if (region & inside).any() else region
    maps = [
        structural_similarity(b, a, data_range=1.0, win_size=window, full=True)[1]
        for a, b in zip(image, truth, strict=True)
    ]
    return float(np.mean([local[counted].mean() for local in maps]))


def _mean(scores: Sequence[Scores]) -> Scores:
    names = [name for name, value in asdict(scores[0]).items() if value is not None]
    return Scores(**{name: float(np.mean([getattr(s, name) for s in scores])) for name in names})
