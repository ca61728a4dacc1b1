"""What every feature extractor of frames can do: features at their own resolution, and frames from them."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

N_COLOURS = 3  # the channels of an image network: three successive frames of magnitudes


class Encoder(nn.Module, ABC):
    """A network whose trunk gives features of frame triples, and whose tail makes the triples anew from them."""

    restores_frames: bool  # whether its tail gives the same frames restored; else it was trained on single images
    head: nn.Sequential
    tail: nn.Sequential

    @abstractmethod
    def trunk(self, x: Float[Tensor, "image 3 y x"], scale: int = 2) -> Float[Tensor, "image feature y x"]:
        """Features of images, at their own resolution; `scale` names what made them, where a network tells it apart."""
