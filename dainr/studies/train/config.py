"""Settings of a training."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from dainr.errors import BadRequest
from dainr.methods import METHODS, get_method
from dainr.methods.unrolled.config import LearningConfig
from dainr.methods.unrolled.method import NetworkMethod
from dainr.networks.unrolled import ARCHITECTURES
from dainr.prepare import PrepareConfig
from dainr.settings.build import build_config
from dainr.settings.presets import choose_preset, read_preset

FOR_LONGER = ("training.iterations", "training.budget_s", "training.patience", "device", "checkpoint_every_s")
OF_A_PRESET = ("network", "learning", "prepare")  # what a training takes of it; how a scan is fitted it leaves


@dataclass(frozen=True)
class TrainingConfig:
    """Steps, their rate, and the scans that judge."""

    iterations: int = 3000  # 0: the budget alone decides
    budget_s: float = 0.0  # wall-clock for the steps; 0: iterations alone decide
    scans_per_step: int = 1  # whose gradients are averaged
    learning_rate: float = 1e-3
    final_rate: float = 0.03  # share of the rate that is left at the end
    weight_decay: float = 1e-4
    decay_of_squares: float = 0.99  # AdamW's beta 2
    warm_up: float = 0.03  # share of the steps in which the rate rises
    largest_gradient: float = 1.0  # norm; longer ones are shortened; 0: as they are
    validate_every: int = 100
    validation_share: float = 0.1  # of the scans, at least one
    validation_most: int = 16  # scans
    patience: int = 0  # validations without a better one before it stops; 0: never

    def __post_init__(self) -> None:
        if self.iterations < (0 if self.budget_s else 1) or min(self.scans_per_step, self.validate_every) < 1:
            raise BadRequest("the training's settings", "a number of steps or scans is below 1", "choose at least 1")
        if not (self.learning_rate > 0 and min(self.budget_s, self.weight_decay, self.largest_gradient) >= 0):
            raise BadRequest("the training's settings", "a rate, budget or bound is negative", "choose positive values")
        shares = 0 <= self.warm_up < 1 and 0 <= self.decay_of_squares < 1 and 0 <= self.final_rate <= 1
        if not shares or not 0 < self.validation_share < 1 or self.validation_most < 1 or self.patience < 0:
            raise BadRequest("the training's settings", "a share is out of range", "choose others")


@dataclass(frozen=True)
class TrainConfig(LearningConfig):
    """All settings."""

    prepare: PrepareConfig = field(default_factory=partial(PrepareConfig, holdout=0.1))  # of scans that judge
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.prepare.holdout:
            raise BadRequest("holdout=0", "without held-out readouts nothing judges the network", "hold out some")


def network_method(name: str) -> NetworkMethod:
    """The method of that name, if it is a network. Raises BadRequest."""
    method = get_method(name)
    if not isinstance(method, NetworkMethod):
        networks = [other for other in METHODS if isinstance(get_method(other), NetworkMethod)]
        raise BadRequest(f"--method {name}", "it is no network and learns nothing", f"choose {' or '.join(networks)}")
    return method


def configure_training(method: str, preset: str | None, pairs: Sequence[str] = ()) -> tuple[str, TrainConfig]:
    """The preset in use, and the settings of a training: defaults, changed by the preset and by "key=value" strings.

    Raises BadRequest for a method that is no network, and for an unknown preset or setting.
    """
    network = network_method(method)
    in_use = choose_preset(method, network.presets, preset)
    settings = {name: value for name, value in read_preset(in_use, method).items() if name in OF_A_PRESET}
    return in_use, build_config(config_kind(method), settings, pairs)


def config_kind(method: str) -> type[TrainConfig]:
    """The dataclass of the settings, with the sizes of this network among them."""
    sizes = ARCHITECTURES[network_method(method).name].Config
    made = [("network", sizes, field(default_factory=sizes))]
    return dataclasses.make_dataclass("TrainConfig", made, bases=(TrainConfig,), frozen=True)
