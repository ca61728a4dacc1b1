"""Feature extractors of frames, by name: a new one is a file with an `Encoder`, and a line here."""

from dainr.networks.encoders.edsr import EDSR
from dainr.networks.encoders.encoder import N_COLOURS, Encoder
from dainr.networks.encoders.mdsr import MDSR
from dainr.networks.encoders.rdn import RDN
from dainr.networks.encoders.swinir import SwinIR

ENCODERS: dict[str, type[Encoder]] = {"mdsr": MDSR, "edsr": EDSR, "rdn": RDN, "swinir": SwinIR}

__all__ = ["EDSR", "ENCODERS", "MDSR", "N_COLOURS", "RDN", "Encoder", "SwinIR"]
