"""The losses that networks learn by, each by its name."""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from jaxtyping import Complex
from torch import Tensor

from dainr.errors import BadRequest
from dainr.losses.consistency import NetworkLoss, mc
from dainr.losses.equivariance import EquivarianceConfig, ddei
from dainr.losses.splitting import SplittingConfig, ssdu
from dainr.losses.supervised import SupervisedConfig, supervised
from dainr.losses.sure import sure

LossName = Literal["ssdu", "ddei", "mc", "sure", "supervised"]


@dataclass(frozen=True)
class LossConfig:
    """Which loss, and the settings of each."""

    loss: LossName = "ssdu"
    splitting: SplittingConfig = field(default_factory=SplittingConfig)
    equivariance: EquivarianceConfig = field(default_factory=EquivarianceConfig)
    supervised: SupervisedConfig = field(default_factory=SupervisedConfig)


def make_loss(
    config: LossConfig,
    reference: Complex[Tensor, "frame y x"] | None = None,
) -> NetworkLoss:
    """The loss of a network on one slice; a loss of measurements alone uses no `reference`.

    Raises BadRequest for `supervised` without a reference.
    """
    if config.loss == "ssdu":
        return partial(ssdu, config=config.splitting)
    if config.loss == "ddei":
        return partial(ddei, config=config.equivariance)
    if config.loss == "sure":
        return sure
    if config.loss == "mc":
        return mc
    if reference is None:
        raise BadRequest("loss=supervised", "the scan has no reference", "choose loss=ssdu or loss=ddei")
    return partial(supervised, reference=reference, config=config.supervised)
