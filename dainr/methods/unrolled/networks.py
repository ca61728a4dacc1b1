"""The networks that are methods, each by a class of a few lines; a network of your own is one more."""

from dataclasses import dataclass, field

from torch import nn

from dainr.methods.unrolled.config import UnrolledConfig
from dainr.methods.unrolled.method import NetworkMethod
from dainr.networks.unrolled import crnn, crunet


@dataclass(frozen=True)
class CRNNMethodConfig(UnrolledConfig):
    """Settings of CRNN-MRI."""

    network: crnn.CRNNConfig = field(default_factory=crnn.CRNNConfig)


class CRNN(NetworkMethod):
    """CRNN-MRI."""

    name = "crnn"
    Sizes, Config = crnn.CRNNConfig, CRNNMethodConfig
    about = "unrolled network, recurrent over time and cascades (CRNN-MRI)"
    cited_as = (
        "The cine was reconstructed by an unrolled convolutional recurrent network (CRNN-MRI, Qin et al., IEEE Trans"
        " Med Imaging 2019;38:280; dainr {version})."
    )

    def build(self, sizes: crnn.CRNNConfig) -> nn.Module:
        """CRNN-MRI of these sizes."""
        return crnn.build(sizes)


@dataclass(frozen=True)
class CRUNetMethodConfig(UnrolledConfig):
    """Settings of CRUNet-MR."""

    network: crunet.CRUNetConfig = field(default_factory=crunet.CRUNetConfig)


class CRUNet(NetworkMethod):
    """CRUNet-MR."""

    name = "crunet"
    Sizes, Config = crunet.CRUNetConfig, CRUNetMethodConfig
    about = "unrolled recurrent U-Net, forward and backward in time (CRUNet-MR)"
    cited_as = (
        "The cine was reconstructed by an unrolled convolutional recurrent U-Net (CRUNet-MR, Lyu et al., Med Phys;"
        " dainr {version})."
    )

    def build(self, sizes: crunet.CRUNetConfig) -> nn.Module:
        """CRUNet-MR of these sizes."""
        return crunet.build(sizes)
