"""Feature maps of a scan: a network's trunk on every gridded frame, computed once, read at any time and any pixel.

The condition of frame t is the features of its neighbours t - 1 and t + 1; the first and the last frame use their one
neighbour twice. Between frames the conditions are interpolated linearly, between pixels bilinearly.
"""

import math

import torch
from jaxtyping import Complex, Float, Float16
from torch import Tensor, nn
from torch.nn import functional as F

from dainr.networks.encoders import N_COLOURS, Encoder
from dainr.networks.restorer import Restorer


class FeatureMaps(nn.Module):
    """Features `frame y x channel`, half precision: a fit and what is rendered from it later read the same values."""

    maps: Tensor

    def __init__(self, maps: Float16[Tensor, "frame y x channel"]) -> None:
        super().__init__()
        self.register_buffer("maps", maps, persistent=False)  # constant: saved once, not in every checkpoint

    @property
    def n_features(self) -> int:
        """Channels of a condition: two neighbours' features."""
        return 2 * self.maps.shape[3]

    def at(self, frame: float, matrix: tuple[int, int]) -> Float[Tensor, "point channel"]:
        """The condition of every pixel of `matrix` at a (fractional) frame number within the series."""
        before = min(max(math.floor(frame), 0), len(self.maps) - 1)
        weight = min(frame - before, 1.0)
        condition = self._of_frame(before, matrix)
        if weight > 1e-6 and before + 1 < len(self.maps):
            condition = torch.lerp(condition, self._of_frame(before + 1, matrix), weight)
        return condition

    def _of_frame(self, frame: int, matrix: tuple[int, int]) -> Float[Tensor, "point channel"]:
        last = len(self.maps) - 1
        neighbours = [frame - 1 if frame > 0 else min(1, last), frame + 1 if frame < last else max(last - 1, 0)]
        if matrix == tuple(self.maps.shape[1:3]):
            return torch.cat([self.maps[i].flatten(0, 1) for i in neighbours], 1).float()
        images = torch.cat([self.maps[i].permute(2, 0, 1) for i in neighbours])[None].float()
        return F.interpolate(images, size=matrix, mode="bilinear", align_corners=False)[0].flatten(1).T


@torch.no_grad()
def restored_features(restorer: Restorer, frames: Complex[Tensor, "frame y x"]) -> FeatureMaps:
    """Real and imaginary part of the restored frames, each frame with the one after it, relative to their brightest.

    So the neighbours of a frame hold it and the three around it: eight channels in all.
    """
    restored, _ = restorer(frames)
    parts = torch.view_as_real(restored / restored.abs().max().clamp(min=torch.finfo(torch.float32).tiny))
    after = parts.roll(-1, 0) if restorer.cyclic else torch.cat([parts[1:], parts[-1:]])
    return FeatureMaps(torch.cat([parts, after], -1).half())


@torch.no_grad()
def trunk_features(network: Encoder, frames: Float[Tensor, "frame y x"]) -> FeatureMaps:
    """Features of magnitude frames, each scaled to [-1, 1] by its own range and repeated as three colours."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the faster layout for convolutions
    features = []
    for image in frames:
        low, high = image.min(), image.max()
        grey = 2 * (image - low) / (high - low).clamp(min=torch.finfo(image.dtype).tiny) - 1
        colours = grey.expand(1, N_COLOURS, -1, -1).contiguous(memory_format=torch.channels_last)
        features.append(network.trunk(colours)[0].permute(1, 2, 0).half())
    return FeatureMaps(torch.stack(features))
