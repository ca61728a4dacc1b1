"""A client by bytes alone, written after the protocol and with none of the program's own code."""

import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import ismrmrd
import numpy as np

CONFIG_FILE, CONFIG_TEXT, HEADER, CLOSE, TEXT, ACQUISITION, IMAGE, WAVEFORM = 1, 2, 3, 4, 5, 1008, 1022, 1026
ZERO_BYTE = b"\0"  # with which some clients end their texts
OF_IMAGE_HEAD = 198
TYPES = {2: np.int16, 5: np.float32, 7: np.complex64}


class Image(NamedTuple):
    """An image as it came."""

    head: ismrmrd.ImageHeader
    meta: dict[str, Any]
    pixels: np.ndarray


class Answer(NamedTuple):
    """All that came until the close message, or until the server hung up."""

    images: list[Image]
    texts: list[str]
    closed: bool

    def series(self, number: int) -> np.ndarray:
        """The pixels of a series: image y x."""
        return np.array([image.pixels for image in self.images if image.head.image_series_index == number])


def config_file(name: str) -> bytes:
    return struct.pack("<H1024s", CONFIG_FILE, name.encode())


def text(kind: int, content: bytes | str, end: bytes = ZERO_BYTE) -> bytes:
    content = (content.encode() if isinstance(content, str) else content) + end
    return struct.pack("<HI", kind, len(content)) + content


def close() -> bytes:
    return struct.pack("<H", CLOSE)


def waveform(n_samples: int = 5) -> bytes:
    one = ismrmrd.Waveform.from_array(np.arange(n_samples, dtype=np.uint32)[None])
    return struct.pack("<H", WAVEFORM) + bytes(one.getHead()) + one.data.tobytes()


def readouts(path: Path) -> Iterator[bytes]:
    """The readouts of an ISMRMRD file as messages."""
    with h5py.File(path) as file:
        for row in file["dataset/data"]:
            yield struct.pack("<H", ACQUISITION) + row["head"].tobytes() + row["traj"].tobytes() + row["data"].tobytes()


def header(path: Path) -> bytes:
    """The header of an ISMRMRD file."""
    with closing(ismrmrd.Dataset(path, "dataset", mode="r")) as dataset:
        return bytes(dataset.read_xml_header())


def stream(path: Path, config: str = "default", *beside: bytes) -> bytes:
    """A whole scan as clients send it."""
    return b"".join([config_file(config), text(HEADER, header(path)), *beside, *readouts(path), close()])


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


class Whole:
    """A file of which as many bytes are read as were asked for, and none ahead of them where it has no buffer."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self._file.read(size - len(data))):
            data += more
        return data


def answer(connection: socket.socket, most: int | None = None) -> Answer:
    """What comes; no more than so many images."""
    images, texts = list[Image](), list[str]()
    with connection.makefile("rb", buffering=0 if most else -1) as raw:
        file = Whole(raw)
        while len(images) != most and (identifier := file.read(2)):
            (kind,) = struct.unpack("<H", identifier)
            if kind == CLOSE:
                return Answer(images, texts, True)
            if kind == TEXT:
                (length,) = struct.unpack("<I", file.read(4))
                texts.append(file.read(length).decode())
            elif kind == IMAGE:
                head = ismrmrd.ImageHeader.from_buffer_copy(file.read(OF_IMAGE_HEAD))
                (length,) = struct.unpack("<Q", file.read(8))
                meta = ismrmrd.Meta.deserialize(file.read(length).decode())
                nx, ny, nz = head.matrix_size
                dtype = np.dtype(TYPES[head.data_type])
                data = file.read(head.channels * nx * ny * nz * dtype.itemsize)
                images.append(Image(head, meta, np.frombuffer(data, dtype).reshape(ny, nx)))
            else:
                raise AssertionError(f"message {kind}")
    return Answer(images, texts, False)


def ask(port: int, content: bytes) -> Answer:
    """Send it all, and take what comes."""
    with connect(port) as connection:
        connection.sendall(content)
        return answer(connection)
