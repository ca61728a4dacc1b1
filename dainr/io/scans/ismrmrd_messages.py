"""The ISMRMRD streaming protocol, by the format's own serializer and deserializer.

A stream is messages, each a number of 16 bits and what belongs to it, all little-endian: the name of a configuration
(1), its text (2), the header (3), readouts (1008) and waveforms (1026), images (1022), text (5), and the end (4).
What the package lacks stands here: bounds on what a stranger sends, texts that end with zero bytes, and a header that
need not be as the schema has it. Source: ismrmrd.readthedocs.io, "MRD streaming".
"""

import ctypes
import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol

from ismrmrd.acquisition import AcquisitionHeader
from ismrmrd.serialization import ConfigFile, ISMRMRDMessageID, ProtocolDeserializer, ProtocolSerializer

from dainr.errors import BadScan

SETTINGS = (ISMRMRDMessageID.CONFIG_FILE, ISMRMRDMessageID.CONFIG_TEXT, ISMRMRDMessageID.HEADER, ISMRMRDMessageID.TEXT)
OF_SCANS = (*SETTINGS, ISMRMRDMessageID.ACQUISITION, ISMRMRDMessageID.WAVEFORM, ISMRMRDMessageID.CLOSE)
OF_IMAGES = (ISMRMRDMessageID.HEADER, ISMRMRDMessageID.TEXT, ISMRMRDMessageID.IMAGE, ISMRMRDMessageID.CLOSE)
LONGEST_TEXT, LONGEST_HEADER, LONGEST_PART = 2**20, 2**26, 2**28  # bytes; a part is the data of a readout or image
PIECE = 2**20  # bytes
LENGTH = struct.Struct("<I")
# what the package and numpy raise on what is not as it should be
DAMAGE = (
    *(ValueError, TypeError, LookupError, AttributeError),
    *(AssertionError, ArithmeticError, SyntaxError, struct.error),
)


class Document(bytes):
    """The header of a measurement, an XML document as it came."""


class StreamEnded(EOFError):
    """The stream ended without a close message; `inside`: within a message."""

    def __init__(self, inside: bool) -> None:
        super().__init__("it ended " + ("in the middle of a message" if inside else "without a close message"))
        self.inside = inside


class Readable(Protocol):
    """What can be read from, and waits for all that was asked for."""

    def read(self, size: int, /) -> bytes:
        """So many bytes; fewer where the stream ends."""
        ...


class Messages(ProtocolDeserializer):
    """The messages of a stream, one after another, of the kinds that are taken.

    Raises StreamEnded, and BadScan for a message that is of another kind, too long or damaged; `where` names the
    stream. What was read goes to `copy`, too, where there is one; `size` counts it.
    """

    def __init__(
        self,
        source: Readable,
        where: str,
        takes: tuple[ISMRMRDMessageID, ...] = OF_SCANS,
        copy: Callable[[bytes], Any] | None = None,
    ) -> None:
        super().__init__(self)
        self.size = 0
        self._source, self._where, self._takes, self._copy = source, where, takes, copy
        self._at_start, self._ahead = True, b""  # of a message; what was read of it already

    def __iter__(self) -> Iterator[Any]:
        """ConfigFile, ConfigText, Document, str, Acquisition, Waveform and Image, until the close message."""
        items = self.deserialize()
        while True:
            self._at_start = True
            kind = self.peek()
            if kind not in self._takes:
                raise BadScan(self._where, f"it sends message {kind}, which is none that is taken", "send a scan")
            if kind == ISMRMRDMessageID.ACQUISITION:
                self._look_ahead()
            try:
                yield next(items)
            except StopIteration:
                return
            except MemoryError as error:
                raise self._damaged(kind, "it does not fit in memory") from error
            except DAMAGE as error:
                raise self._damaged(kind, " ".join(str(error).split())) from error

    def read(self, size: int) -> bytes:
        """The next bytes: what the deserializer reads by. Raises StreamEnded, and BadScan where they are too many."""
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
        self._check(size)
        data = self._source.read(size) if size <= PIECE else self._in_pieces(size)
        self.size += len(data)
        if self._copy is not None:
            self._copy(data)
        if len(data) < size:
            raise StreamEnded(inside=bool(data) or not self._at_start)
        self._at_start = False
        return data

    def _in_pieces(self, size: int) -> bytes:
        """The next bytes, for which no room is made before they have come."""
        pieces: list[bytes] = []
        while size > 0 and (piece := self._source.read(min(size, PIECE))):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _look_ahead(self) -> None:
        """Read the head of a readout, for whose data the package would make room, whatever it says."""
        self._ahead = self.read(ctypes.sizeof(AcquisitionHeader))
        head = AcquisitionHeader.from_buffer_copy(self._ahead)
        self._check(8 * head.number_of_samples * head.active_channels)

    def _check(self, size: int) -> None:
        if size > LONGEST_PART:
            raise BadScan(self._where, f"a message of it takes {size} bytes, more than any readout", "send a scan")

    def _damaged(self, kind: int, why: str) -> BadScan:
        return BadScan(self._where, f"message {kind} of it is damaged ({why})", "send it again")

    def _deserialize_ismrmrd_header(self) -> Document:
        return Document(self._text(LONGEST_HEADER))

    def _deserialize_text(self) -> str:
        return self._text(LONGEST_TEXT).decode("utf-8", "replace")

    def _deserialize_config_file(self) -> ConfigFile:
        return ConfigFile(self.read(1024).partition(b"\0")[0].decode("utf-8", "replace"))

    def _text(self, longest: int) -> bytes:
        """A text without the zero byte at its end, which some clients send."""
        (length,) = LENGTH.unpack(self.read(LENGTH.size))
        if length > longest:
            raise BadScan(self._where, f"a text of it takes {length} bytes, more than any header", "send a scan")
        return self.read(length).partition(b"\0")[0]


class Writer:
    """Messages into a stream."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._serializer = stream, ProtocolSerializer(stream)

    def send(self, item: Any) -> None:
        """A message: ConfigFile, ConfigText, str, Acquisition, Waveform or Image, or a Document as it is."""
        if isinstance(item, Document):
            self._serializer._write_message_id(ISMRMRDMessageID.HEADER)
            self._stream.write(LENGTH.pack(len(item)) + item)
        else:
            self._serializer.serialize(item)

    def flush(self) -> None:
        """Have everything on its way."""
        self._stream.flush()

    def close(self) -> None:
        """The close message, after which there are no others."""
        self._serializer.close()
