"""A network and what it reads of one slice as a model that a fit can fit, and its loss as one."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from dainr.losses.consistency import NetworkLoss
from dainr.operators.batch import Batch, FrameModel
from dainr.operators.measured import Measurements


class NetworkModel(nn.Module):
    """Images of frames by the readouts the network is given, whichever a batch has: held-out ones it never sees."""

    def __init__(self, network: nn.Module, measurements: Measurements) -> None:
        super().__init__()
        self.network, self.measurements = network, measurements

    def forward(self, batch: Batch) -> Complex[Tensor, "frame y x"]:
        """Images of the frames of a batch."""
        images = self.network(self.measurements.of())
        numbers = [round(frame) for frame in batch.frames]
        return images if numbers == list(range(len(images))) else images[numbers]


class LearningLoss:
    """A loss of networks as a loss of a fit. What a step draws follows from the seed and its number."""

    def __init__(self, loss: NetworkLoss, seed: int) -> None:
        self.loss, self.seed, self.step = loss, seed, 0

    def state(self) -> dict[str, Tensor]:
        """How many steps there were."""
        return {"step": torch.tensor(self.step)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on after as many."""
        self.step = int(state["step"])

    def __call__(self, model: FrameModel, batch: Batch) -> Float[Tensor, ""]:
        """The loss of the next step, of all frames."""
        assert isinstance(model, NetworkModel)
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.step) % 2**63)
        self.step += 1
        return self.loss(model.network, model.measurements, generator)
