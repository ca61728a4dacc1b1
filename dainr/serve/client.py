"""A client of the protocol: a scan file goes to a server, and the images that come back into a file."""

import json
import logging
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import ismrmrd
from ismrmrd.serialization import ConfigFile

from dainr.errors import BadRequest, DainrError
from dainr.io.hdf5 import new_sink, open_hdf5, write_whole
from dainr.io.images.mrd import GROUP
from dainr.io.scans import ismrmrd as ismrmrd_files
from dainr.io.scans.ismrmrd_build import BESIDE
from dainr.io.scans.ismrmrd_file import acquisition_parts, read_document
from dainr.io.scans.ismrmrd_messages import OF_IMAGES, Document, Messages, StreamEnded, Writer
from dainr.io.scans.ismrmrd_write import write_ismrmrd
from dainr.io.scans.reading import load
from dainr.machine.disk import temporary_folder

log = logging.getLogger(__name__)

PORT = 9002  # where servers of this protocol listen
BUFFER = 2**20
CONNECT_S = 10.0


@dataclass(frozen=True)
class Wish:
    """What a client asks for."""

    config: str = "default"
    parameters: Mapping[str, Any] | None = None


def send_scan(
    scan: Path,
    to: str,
    output: Path,
    wish: Wish = Wish(),
    dataset: str | None = None,
    say: Callable[[str], None] = log.info,
) -> int:
    """Send the scan in a file to the server at an address, and write the images that come back; how many there are.

    `dataset` names a measurement of an ISMRMRD file with several. `say` hears the texts that the server sends. Raises
    BadRequest where nobody listens, DainrError where no images come, and what reading the scan raises.
    """
    host, port = parse_address(to)
    with ExitStack() as stack:
        path, group = _as_ismrmrd(scan, dataset, stack, say)
        document = Document(read_document(path, group))
        try:
            connection = stack.enter_context(socket.create_connection((host, port), timeout=CONNECT_S))
        except OSError as error:
            why = error.strerror or str(error)
            raise BadRequest(to, f"no server answers there ({why})", "start dainr serve, or name another") from error
        connection.settimeout(None)
        sink = cast(BinaryIO, stack.enter_context(connection.makefile("wb", buffering=BUFFER)))
        source = cast(BinaryIO, stack.enter_context(connection.makefile("rb", buffering=BUFFER)))
        stack.callback(_hang_up, connection)
        sender = threading.Thread(target=_send_all, args=(sink, wish, document, path, group), daemon=True)
        sender.start()
        return _receive(Messages(source, to, OF_IMAGES), document, output, to, say)


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of "host:9002", "host" or "[::1]:9002". Raises BadRequest."""
    host, colon, port = text.rpartition(":")
    if not colon or (host and "]" in port):
        host, port = text, str(PORT)
    if not port.isdecimal() or not 0 < int(port) < 2**16:
        raise BadRequest(f"--to {text}", "it is no address", "write host:9002")
    return host.strip("[]") or "127.0.0.1", int(port)


def _as_ismrmrd(scan: Path, dataset: str | None, stack: ExitStack, say: Callable[[str], None]) -> tuple[Path, str]:
    """The scan as an ISMRMRD file, and the group of it: itself, or one that is written for it."""
    if scan.is_file() and ismrmrd_files.recognises(scan):
        group = ismrmrd_files.choose_group(ismrmrd_files.groups(scan), dataset, scan)
        with open_hdf5(scan) as file:
            beside = [name for name in BESIDE if name in file[group]]
        if beside:
            say(f"{scan}: the protocol has no message for {', '.join(beside)}: not sent")
        return scan, group
    if dataset is not None:
        raise BadRequest(f"--dataset {dataset}", f"{scan} is no ISMRMRD file", "leave it out")
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dainr-send-", dir=temporary_folder()))
    path = Path(folder) / "scan.h5"
    write_ismrmrd(load(scan), path)
    return path, GROUP


def _send_all(sink: BinaryIO, wish: Wish, document: Document, path: Path, group: str) -> None:
    """Everything that a client sends; a server that has hung up has said why."""
    writer = Writer(sink)
    with suppress(OSError, ValueError):
        writer.send(ConfigFile(wish.config))
        writer.send(document)
        if wish.parameters:
            writer.send(json.dumps({"parameters": dict(wish.parameters)}))
        for waveform in _waveforms(path, group):
            writer.send(waveform)
        for part in acquisition_parts(path, group):
            for head, data, trajectory in zip(part.head, part.data, part.trajectory, strict=True):
                writer.send(ismrmrd.Acquisition(head.tobytes(), data, trajectory))
        writer.close()


def _waveforms(path: Path, group: str) -> Iterator[Any]:
    """The waveforms of a file, if it has any."""
    with open_hdf5(path) as file:
        if "waveforms" not in file[group]:
            return
    with closing(ismrmrd.Dataset(path, group, mode="r")) as dataset:
        for number in range(dataset.number_of_waveforms()):
            yield dataset.read_waveform(number)


def _receive(messages: Messages, document: bytes, output: Path, to: str, say: Callable[[str], None]) -> int:
    """Write the images as they come, each series in a group of its own; how many there were."""
    count, said = 0, "nothing else"
    with write_whole(output) as temporary, new_sink(temporary) as sink:
        with closing(ismrmrd.Dataset(sink, GROUP)) as dataset:
            dataset.write_xml_header(document)
            try:
                for item in messages:
                    if isinstance(item, ismrmrd.Image):
                        dataset.append_image(f"image_{item.image_series_index}", item)
                        count += 1
                    elif isinstance(item, str):
                        said = item
                        say(item)
            except (StreamEnded, OSError) as error:
                raise DainrError(to, "it hung up before it was done", "look at its log") from error
        if not count:
            raise DainrError(to, "it has sent no images", f"its last words: {said.rstrip('.')}")
    return count


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
