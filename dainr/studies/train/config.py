"""Settings of a training."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from dainr.errors import BadRequest
from dainr.methods import METHODS, get_method
from dainr.methods.unrolled.config import LearningConfig
from dainr.methods.unrolled.method import NetworkMethod
from dainr.networks.unrolled import ARCHITECTURES
from dainr.prepare import PrepareConfig
from dainr.settings.bounds import check_bounds, within
from dainr.settings.build import LONGEST_S, build_config
from dainr.settings.presets import choose_preset, read_preset

FOR_LONGER = ("training.iterations", "training.budget_s", "training.patience", "device", "checkpoint_every_s")
OF_A_PRESET = ("network", "learning", "prepare")  # what a training takes of it; how a scan is fitted it leaves


@dataclass(frozen=True)
class TrainingConfig:
    """Steps, their rate, and the scans that judge."""

    iterations: int = within(3000, 0, 100_000_000)  # 0: the budget alone decides
    budget_s: float = within(0.0, 0, LONGEST_S)  # wall-clock for the steps; 0: iterations alone decide
    scans_per_step: int = within(1, 1, 100_000)  # whose gradients are averaged
    learning_rate: float = within(1e-3, 1e-9, 1e9)
    final_rate: float = within(0.03, 0, 1)  # share of the rate that is left at the end
    balanced: bool = True  # the logarithm of a scan's loss counts: else those whose samples say most of noise rule
    precision: Literal["single", "mixed"] = "single"  # mixed: what is learned computes steps in bfloat16
    weight_decay: float = within(1e-4, 0, 100)
    decay_of_squares: float = within(0.99, 0, 1)  # AdamW's beta 2
    warm_up: float = within(0.03, 0, 1)  # share of the steps in which the rate rises
    largest_gradient: float = within(1.0, 0, 1e9)  # norm; longer ones are shortened; 0: as they are
    validate_every: int = within(100, 1, 100_000_000)
    validation_share: float = within(0.1, 1e-9, 1)  # of the scans, at least one
    validation_most: int = within(16, 1, 100_000)  # scans
    patience: int = within(0, 0, 100_000_000)  # validations without a better one before it stops; 0: never

    def __post_init__(self) -> None:
        check_bounds(self)
        if not self.iterations and not self.budget_s:
            raise BadRequest("iterations=0", "nothing else ends the training", "choose at least 1, or a budget")
        if 1 in (self.warm_up, self.decay_of_squares, self.validation_share):
            raise BadRequest("warm_up, decay_of_squares or validation_share", "it is 1", "choose less")


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
