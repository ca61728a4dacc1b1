"""An unrolled network as a method: drawn from the seed or read from weights, adapted to each slice, applied to it.

Every slice starts from the same weights. It learns from the readouts that are not held out; those that are choose the
state. What a network gives are the frames of the scan at its matrix, and nothing between them.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from dainr.errors import BadRequest
from dainr.fit.loop import Fit
from dainr.fit.state import Checkpoint, FitState, Observer
from dainr.losses.learning import make_loss
from dainr.machine.shortage import memory_for
from dainr.methods.common import resolve_common
from dainr.methods.cycle import is_cyclic
from dainr.methods.slices import Slice, SliceMethod, SliceResult
from dainr.methods.summary import summary
from dainr.methods.unrolled.config import (
    FROM_NOTHING,
    RATE,
    RATE_OF_WEIGHTS,
    AnyLearning,
    LearningConfig,
    UnrolledConfig,
)
from dainr.methods.unrolled.model import LearningLoss, NetworkModel
from dainr.networks.unrolled import ARCHITECTURES, UnrolledNetwork
from dainr.networks.unrolled.stored import StoredNetwork, load_network
from dainr.networks.unrolled.unrolled import room_of_a_pass
from dainr.prepare.frame_data import frame_data
from dainr.prepare.groups import measurements
from dainr.scan import Scan
from dainr.settings.build import build_config, config_dict

log = logging.getLogger(__name__)


class NetworkMethod(SliceMethod):
    """A network, fitted slice by slice; subclasses name it."""

    presets: tuple[str, ...] = ("default", "paper")
    Config: type[Any] = UnrolledConfig

    def build(self, sizes: Any) -> UnrolledNetwork:
        """The network of these sizes, with random weights."""
        return ARCHITECTURES[self.name].build(sizes)

    def citation(self, settings: Mapping[str, Any]) -> str:
        """How the images were made: the network, its weights and what it learned from this scan."""
        adapted = settings["fit"]["iterations"] or settings["fit"]["budget_s"]
        weights = settings["weights"]
        origin = "" if weights == FROM_NOTHING else f" Its weights were {weights} at first."
        learned = (
            f" It learned from the measured samples of this scan alone ({settings['learning']['loss']})."
            if adapted
            else ""
        )
        return self.cited_as + origin + learned

    def resolve(self, scan: Scan, config: UnrolledConfig) -> tuple[UnrolledConfig, dict[str, Any]]:
        """Device, NUFFT backend and rate decided; weights bring their sizes. Raises BadRequest for unusable weights."""
        config, record = resolve_common(scan, config)
        config = self.with_sizes(config)
        if not config.fit.learning_rate:
            rate = RATE if config.weights == FROM_NOTHING else RATE_OF_WEIGHTS
            config = replace(config, fit=replace(config.fit, learning_rate=rate))
        self.start(config)
        if scan.n_frames < 2:
            raise BadRequest(f"--method {self.name}", "the scan has a single frame", "choose another method")
        return config, record

    def of_slice(
        self, part: Slice, config: UnrolledConfig, observers: Sequence[Observer], begun: Checkpoint | None
    ) -> SliceResult:
        """Adapt the network to a slice, or do what is left of it, and apply it."""
        prepared, device = part.prepared, torch.device(config.device)
        heldout = frame_data(prepared, prepared.held_out, config.nufft, device) if prepared.held_out.any() else None
        cyclic = is_cyclic(config.cyclic, prepared, part.gridded)
        network = self.start(config).to(device)
        network.room = room_of_a_pass(device)
        model = NetworkModel(network, measurements(prepared, part.data, cyclic))
        prepare_seconds = time.perf_counter() - part.begun_at
        if begun is not None and begun.state.is_done:
            best, state = begun.tensors, begun.state
        elif config.fit.iterations or config.fit.budget_s:
            loss = LearningLoss(make_loss(config.learning), config.seed)
            fit = Fit(model, loss, part.data, heldout, config.fit, config.seed, part.place)
            if begun is not None:
                fit.restore(begun)
            state = fit.run(observers)
            best = fit.best
        else:
            best, state = {}, FitState(stopped="budget")  # of none
        if best:
            model.load_state_dict(best)
        model.zero_grad(set_to_none=True)
        with memory_for(f"applying the network to slice {part.place[0]}"), torch.no_grad():
            images = model(part.data.batch())
            record = {"fit": summary(state, model, images, part.data, heldout, prepared)}
        seconds = {"fit": state.seconds, "prepare": prepare_seconds}
        kept = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
        return SliceResult(images, state, record, seconds=seconds, kept=kept)

    def start(self, config: LearningConfig) -> UnrolledNetwork:
        """The network as it starts, of sizes that are decided. Raises BadRequest where weights do not fit it."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = self.build(config.network)
        if config.weights == FROM_NOTHING:
            return network
        stored = load_network(config.weights, self.name)
        try:
            network.load_state_dict(stored.tensors)
        except RuntimeError as error:
            why = str(error).splitlines()[-1].strip()
            raise BadRequest(
                f"weights {config.weights}", f"they do not fit the network ({why})", "train them anew"
            ) from error
        return network

    def with_sizes(self, config: AnyLearning) -> AnyLearning:
        """The config with the sizes that its weights bring. Raises BadRequest for unusable weights."""
        if config.weights == FROM_NOTHING:
            return config
        return replace(
            config, network=build_config(ARCHITECTURES[self.name].Config, load_network(config.weights, self.name).sizes)
        )

    def stored(self, config: LearningConfig, network: nn.Module) -> StoredNetwork:
        """A network as weights to save."""
        return StoredNetwork(self.name, config_dict(config.network), network.state_dict())
