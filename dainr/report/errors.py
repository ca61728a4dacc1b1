"""The pictures of an error map: the image beside the bound averaged over time and in the frame where it is largest."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dainr.io.images.video import windowed
from dainr.machine import disk
from dainr.methods.recon import Recon
from dainr.report.figures import colours, gradient, png

PALETTE = "inferno"
TOP_PERCENTILE = 99.5  # of the bound in the frame where it is largest: the end of the scale


@dataclass(frozen=True)
class ErrorPictures:
    """Of one slice: pictures as addresses, and what the scale and the sentence beneath need."""

    image: str  # mean over time
    mean: str
    worst: str
    frame: int  # the one where the bound is largest
    top_percent: float  # of the image's maximum, at the end of the scale
    median_percent: float  # of the image's maximum, where the image is bright


def error_pictures(recon: Recon) -> list[ErrorPictures]:
    """Those of every slice; none where the run has no error map."""
    if recon.error_map is None:
        return []
    pictures = []
    for image, bound in zip(recon.cine.data, recon.error_map, strict=True):
        pictures.append(_of_slice(np.abs(image), np.asarray(bound)))
        for array in (image, bound):
            disk.release(array)
    return pictures


def error_gradient() -> str:
    """The colours that stand for the bound, from none to the end of the scale, as the page has them."""
    return gradient(PALETTE)


def _of_slice(image: Float[np.ndarray, "frame y x"], bound: Float[np.ndarray, "frame y x"]) -> ErrorPictures:
    brightest = max(float(image.max()), 1e-30)
    worst = int(np.argmax(np.square(bound, dtype=np.float64).mean((1, 2))))
    top = float(np.percentile(bound[worst], TOP_PERCENTILE))
    bright = image > 0.05 * brightest
    palette = colours(PALETTE)
    return ErrorPictures(
        image=png(windowed(image.mean(0))),
        mean=png(windowed(bound.mean(0), top), palette),
        worst=png(windowed(bound[worst], top), palette),
        frame=worst,
        top_percent=100 * top / brightest,
        median_percent=100 * float(np.median(bound[bright])) / brightest if bright.any() else 0.0,
    )
