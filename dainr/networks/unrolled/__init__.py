"""Networks that unroll a reconstruction: cascades of a learned regulariser and data consistency.

A network is one module: a dataclass of its sizes, whose defaults a processor can fit, `PAPER`, the sizes published,
and `build`. It becomes known by a line here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dainr.networks.unrolled import cinenet, crnn, crunet, dun_sre, promptmr, unet3d
from dainr.networks.unrolled.unrolled import UnrolledNetwork


@dataclass(frozen=True)
class Architecture:
    """What there is of a network: the class of its sizes, those published, and how it is made of some."""

    Config: type[Any]
    paper: Any
    build: Callable[[Any], UnrolledNetwork]


ARCHITECTURES = {
    "cinenet": Architecture(cinenet.CineNetConfig, cinenet.PAPER, cinenet.build),
    "crnn": Architecture(crnn.CRNNConfig, crnn.PAPER, crnn.build),
    "crunet": Architecture(crunet.CRUNetConfig, crunet.PAPER, crunet.build),
    "dun-sre": Architecture(dun_sre.DunSreConfig, dun_sre.PAPER, dun_sre.build),
    "promptmr": Architecture(promptmr.PromptMRConfig, promptmr.PAPER, promptmr.build),
    "unet3d": Architecture(unet3d.UNet3DConfig, unet3d.PAPER, unet3d.build),
}
