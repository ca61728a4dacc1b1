"""The networks that are methods, each by a class of a few lines; a network of your own is one more."""

from dataclasses import dataclass, field

from dainr.methods.unrolled.config import UnrolledConfig
from dainr.methods.unrolled.method import NetworkMethod
from dainr.networks.unrolled.cinenet import CineNetConfig
from dainr.networks.unrolled.crnn import CRNNConfig
from dainr.networks.unrolled.crunet import CRUNetConfig
from dainr.networks.unrolled.dun_sre import DunSreConfig
from dainr.networks.unrolled.promptmr import PromptMRConfig
from dainr.networks.unrolled.unet3d import UNet3DConfig


@dataclass(frozen=True)
class CRUNetMethodConfig(UnrolledConfig):
    """Settings of CRUNet-MR."""

    network: CRUNetConfig = field(default_factory=CRUNetConfig)


class CRUNet(NetworkMethod):
    """CRUNet-MR."""

    name = "crunet"
    presets = ("default", "paper", "trained")
    Config = CRUNetMethodConfig
    about = "unrolled recurrent U-Net, forward and backward in time (CRUNet-MR)"
    cited_as = (
        "The cine was reconstructed by an unrolled convolutional recurrent U-Net (CRUNet-MR, Lyu et al., Med Phys;"
        " dainr {version})."
    )


@dataclass(frozen=True)
class CRNNMethodConfig(UnrolledConfig):
    """Settings of CRNN-MRI."""

    network: CRNNConfig = field(default_factory=CRNNConfig)


class CRNN(NetworkMethod):
    """CRNN-MRI."""

    name = "crnn"
    Config = CRNNMethodConfig
    about = "unrolled network, recurrent over time and cascades (CRNN-MRI)"
    cited_as = (
        "The cine was reconstructed by an unrolled convolutional recurrent network (CRNN-MRI, Qin et al., IEEE Trans"
        " Med Imaging 2019;38:280; dainr {version})."
    )


@dataclass(frozen=True)
class CineNetMethodConfig(UnrolledConfig):
    """Settings of CINENet."""

    network: CineNetConfig = field(default_factory=CineNetConfig)


class CineNet(NetworkMethod):
    """CINENet."""

    name = "cinenet"
    Config = CineNetMethodConfig
    about = "unrolled (2+1)D U-Net with conjugate gradients (CINENet)"
    cited_as = (
        "The cine was reconstructed by an unrolled spatio-temporal U-Net (CINENet, Kuestner et al., Sci Rep 2020;"
        " dainr {version})."
    )


@dataclass(frozen=True)
class UNet3DMethodConfig(UnrolledConfig):
    """Settings of the 3-D U-Net."""

    network: UNet3DConfig = field(default_factory=UNet3DConfig)


class UNet3D(NetworkMethod):
    """A 3-D U-Net."""

    name = "unet3d"
    Config = UNet3DMethodConfig
    about = "a 3-D U-Net in one pass, and one step towards the data"
    cited_as = "The cine was reconstructed by a 3-D U-Net, followed by data consistency (dainr {version})."


@dataclass(frozen=True)
class PromptMRMethodConfig(UnrolledConfig):
    """Settings of PromptMR."""

    network: PromptMRConfig = field(default_factory=PromptMRConfig)


class PromptMR(NetworkMethod):
    """PromptMR, in a compact form."""

    name = "promptmr"
    Config = PromptMRMethodConfig
    about = "unrolled U-Net with learned prompts, in a compact form (PromptMR)"
    cited_as = (
        "The cine was reconstructed by a compact form of PromptMR, an unrolled U-Net with learned prompts (Xin et al.,"
        " STACOM 2023, arXiv 2309.13839; dainr {version})."
    )


@dataclass(frozen=True)
class DunSreMethodConfig(UnrolledConfig):
    """Settings of DUN-SRE."""

    network: DunSreConfig = field(default_factory=DunSreConfig)


class DunSre(NetworkMethod):
    """DUN-SRE."""

    name = "dun-sre"
    Config = DunSreMethodConfig
    about = "unrolled (2+1)D network that commutes with rotations (DUN-SRE)"
    cited_as = (
        "The cine was reconstructed by an unrolled network equivariant to rotations (DUN-SRE, Zhu et al., arXiv"
        " 2506.10309; dainr {version})."
    )
