"""Frequency encoding: p, sin(2^k p), cos(2^k p) for k = 0 .. degree - 1 (Mildenhall et al., ECCV 2020)."""

import torch
from jaxtyping import Float
from torch import Tensor


def n_frequency_features(n_dimensions: int, degree: int) -> int:
    """How many values encode one point."""
    return n_dimensions * (1 + 2 * degree)


def frequency_encode(points: Float[Tensor, "point dim"], degree: int) -> Float[Tensor, "point feature"]:
    """The points themselves, then sines and cosines of each octave."""
    octaves = [points]
    for k in range(degree):
        octaves += [torch.sin(2.0**k * points), torch.cos(2.0**k * points)]
    return torch.cat(octaves, 1)
