"""What a client sends before its images: what it asks for, and the scan."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import ismrmrd
from ismrmrd.serialization import ConfigFile, ConfigText

from dainr.errors import BadScan
from dainr.io.scans.ismrmrd_messages import Document
from dainr.serve.asked import Offer, Order, read_parameters
from dainr.serve.images import Measured, bits_stored, first_heads

MOST_SLICES = 4096  # whose first readouts are kept


@dataclass
class Received:
    """What has come so far, beside the stream itself."""

    config: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    document: bytes | None = None
    order: Order | None = None  # once the first readout or waveform is there
    readouts: int = 0
    waveforms: int = 0
    _told: bool = False  # that the scan has begun
    heads: dict[tuple[Any, ...], bytes] = field(default_factory=dict)  # of the first readout of each slice

    def take_all(
        self, items: Iterable[Any], where: str, offer: Offer, begun: Callable[[Order], None] = lambda order: None
    ) -> bool:
        """Take the messages of a client; whether it has sent a scan, or only hung up again.

        `begun` is told what is asked for as soon as the first readout is there. Raises BadScan for a scan without
        header or readouts, BadRequest for a configuration or parameter that is not on offer, as soon as the first
        readout is there.
        """
        for item in items:
            self.take(item, where, offer)
            if self.readouts == 1 and self.order is not None and not self._told:
                self._told = True
                begun(self.order)
        if self.document is None and not self.config:
            return False
        self._ordered(where, offer)  # of one that asks what there is
        if self.document is None:
            return False
        if not self.readouts:
            raise BadScan(where, "it sends no readouts", "send a scan")
        return True

    def take(self, item: Any, where: str, offer: Offer) -> None:
        """Take one message."""
        if isinstance(item, ConfigFile | ConfigText):
            self._configure(item)
        elif isinstance(item, Document):
            self.document = self.document or item
        elif isinstance(item, str):
            if self.order is None:
                self.parameters |= read_parameters(item) or {}
        else:
            if self.document is None:
                raise BadScan(where, "its readouts come without a header before them", "send the header first")
            self._ordered(where, offer)
            if isinstance(item, ismrmrd.Waveform):
                self.waveforms += 1
            else:
                self._count(item)

    @property
    def measured(self) -> Measured:
        """What images take over of the scan."""
        heads = list(self.heads.values()) or [bytes(ismrmrd.AcquisitionHeader())]
        return Measured(first_heads(heads), bits_stored(self.document or b""))

    def _configure(self, text: str) -> None:
        """A name of a configuration, or parameters as JSON."""
        parameters = read_parameters(text)
        if parameters is None:
            self.config = text.strip()
        else:
            self.parameters |= parameters

    def _ordered(self, where: str, offer: Offer) -> None:
        if self.order is None:
            self.order = offer.order(self.config, self.parameters)

    def _count(self, readout: Any) -> None:
        self.readouts += 1
        if not readout.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT):
            place = (readout.idx.slice, *readout.position)
            if place not in self.heads and len(self.heads) < MOST_SLICES:
                self.heads[place] = bytes(readout.getHead())
