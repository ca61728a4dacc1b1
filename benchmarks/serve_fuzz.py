"""Damaged and hostile streams: each must end its own session, and neither the server nor its memory.

    python -m benchmarks.serve_fuzz [--streams 10000] [--seed 0] [-o serve_fuzz.md]

A small scan as a client sends it is cut off, changed, put in another order, given wrong lengths, kinds of messages that
there are not, and headers without an end. Now and then a sound scan must get its images. Streams that stay whole are
few, for they are fitted, by gridding.
"""

import argparse
import json
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np

from benchmarks.common import Report, heading, say, table
from dainr.io.scans.ismrmrd_file import acquisition_parts, read_document
from dainr.io.scans.ismrmrd_write import GROUP, write_ismrmrd
from dainr.serve.client import Wish, send_scan
from dainr.simulate.simulate import SimulationConfig, simulate_phantom

SOUND_EVERY = 500  # streams
PATIENCE_S = 30.0  # for the end of a session
WHOLE = 0.01  # share of changed streams that keep their end
CLOSE = struct.pack("<H", 4)
Random = np.random.Generator
Parts = list[bytes]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print how many streams of each kind ended how, and the server's memory; the exit code is 1 where one hung."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, closing(Served(Path(folder))) as served:
        counts = {name: Counter[str]() for name in KINDS}
        for number in range(asked.streams):
            random = np.random.default_rng([asked.seed, number])
            name = list(KINDS)[number % len(KINDS)]
            ended = served.ends(KINDS[name](list(served.parts), random))
            counts[name][ended] += 1
            if ended == "hung":
                say(f"stream {number}, {name}: it hung")
            if (number + 1) % SOUND_EVERY == 0 or number + 1 == asked.streams:
                served.must_answer()
                served.memory_mb.append(served.resident_mb())
                say(f"{number + 1} streams, {served.memory_mb[-1]:.0f} MB")
        lines = served.lines()
    report = Report(asked.output)
    report.add(heading("Hostile streams", "serve_fuzz", arguments, "cpu"))
    ways = ("told", "closed", "hung up", "hung")
    report.add(table(("stream", *ways), [[n, *(str(c[way]) for way in ways)] for n, c in counts.items()]))
    memory = [f"{mb:.0f}" for mb in (served.memory_mb[0], max(served.memory_mb), served.memory_mb[-1])]
    report.add(
        f"The server lived. Its memory: {memory[0]} MB at first, {memory[1]} MB at most, {memory[2]} MB in the end."
    )
    report.add(f"Sessions in its log, by how they ended: {dict(lines)}.")
    if any(count["hung"] for count in counts.values()):
        raise SystemExit(1)


@dataclass
class Served:
    """A server as a process of its own, and a scan to send it, as messages."""

    folder: Path
    parts: Parts = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scan = self.folder / "scan.h5"
        write_ismrmrd(simulate_phantom(SimulationConfig(matrix=32, frames=4, coils=2, spokes=5)), self.scan)
        document = read_document(self.scan, GROUP)
        self.parts = [
            struct.pack("<H1024s", 1, b"gridding"),
            struct.pack("<HI", 3, len(document)) + document,
            _text(5, json.dumps({"parameters": {"images": "float"}})),
            struct.pack("<H", 1026) + ismrmrd.Waveform.from_array(np.ones((2, 8), np.uint32)).to_bytes(),
        ]
        for part in acquisition_parts(self.scan, GROUP):
            for head, data, points in zip(part.head, part.data, part.trajectory, strict=True):
                self.parts.append(struct.pack("<H", 1008) + head.tobytes() + points.tobytes() + data.tobytes())
        self.parts.append(CLOSE)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._log = (self.folder / "log").open("w+")
        command = [sys.executable, "-m", "dainr.cli", "serve", "--port", str(self.port), "--method", "gridding"]
        self._process = subprocess.Popen(
            [*command, "--device", "cpu", "--set", "nufft=finufft"], stdout=subprocess.DEVNULL, stderr=self._log
        )
        while "listening" not in (self.folder / "log").read_text():
            time.sleep(0.1)
        self.must_answer()
        self.memory_mb.append(self.resident_mb())

    def ends(self, content: bytes) -> str:
        """Send a stream and hang up one's own end; how the session ends."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as connection:
            with suppress(OSError):
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)
            came = b""
            try:
                while part := connection.recv(2**16):
                    came = came[-(2**16) :] + part
            except TimeoutError:
                return "hung"
            except OSError:
                return "hung up"
        return "told" if len(came) > len(CLOSE) else "closed" if came == CLOSE else "hung up"

    def must_answer(self) -> None:
        """A sound scan gets its images. Raises DainrError where it does not."""
        images = self.folder / "images.h5"
        count = send_scan(self.scan, f"127.0.0.1:{self.port}", images, Wish("gridding"), say=lambda _: None)
        if count != 4:
            raise RuntimeError(f"{count} images of 4 came back")

    def resident_mb(self) -> float:
        """What the server and the process it forks from hold in memory."""
        fields = (line.split() for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines())
        return next(float(words[1]) / 1024 for words in fields if words[0] == "VmRSS:")

    def lines(self) -> Counter[str]:
        """The sessions in the log, by how they ended."""
        self._log.flush()
        told = [line[line.index("{") :] for line in (self.folder / "log").read_text().splitlines() if '"ended"' in line]
        return Counter(json.loads(line)["ended"] for line in told)

    def close(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait()
        self._log.close()


def _text(kind: int, content: str) -> bytes:
    return struct.pack("<HI", kind, len(content)) + content.encode()


def _end(content: bytes, random: Random) -> bytes:
    """The stream, mostly without its end."""
    return content if random.random() < WHOLE else content.removesuffix(CLOSE)


def cut(parts: Parts, random: Random) -> bytes:
    """Cut off anywhere, within a message mostly."""
    content = b"".join(parts)
    return content[: random.integers(len(content) - 2)]


def flip(parts: Parts, random: Random) -> bytes:
    """Some bytes are others, most of them near the start."""
    content = bytearray(_end(b"".join(parts), random))
    for _ in range(random.integers(1, 30)):
        place = int(len(content) * random.random() ** 3)
        content[place] = random.integers(256)
    return bytes(content)


def lengths(parts: Parts, random: Random) -> bytes:
    """A header or text says another length than it has."""
    number = int(random.integers(1, 3))
    wrong = int(random.choice([0, 1, len(parts[number]) - 7, len(parts[number]), 2**16, 2**31, 2**32 - 1]))
    parts[number] = parts[number][:2] + struct.pack("<I", wrong) + parts[number][6:]
    return _end(b"".join(parts), random)


def heads(parts: Parts, random: Random) -> bytes:
    """The sizes in the head of a readout are others: samples, coils, components of the trajectory."""
    number = int(random.integers(4, len(parts) - 1))
    head = ismrmrd.AcquisitionHeader.from_buffer_copy(parts[number][2:342])
    for name in ("number_of_samples", "active_channels", "trajectory_dimensions"):
        if random.random() < 0.5:
            setattr(head, name, int(random.choice([0, 1, 3, 1000, 2**15, 2**16 - 1])))
    parts[number] = parts[number][:2] + bytes(head) + parts[number][342:]
    return _end(b"".join(parts), random)


def orders(parts: Parts, random: Random) -> bytes:
    """Messages in another order, some missing, some twice."""
    chosen = random.integers(len(parts), size=random.integers(1, len(parts)))
    return _end(b"".join(parts[number] for number in chosen), random)


def kinds(parts: Parts, random: Random) -> bytes:
    """A message of a kind that there is not, or that only servers send."""
    other = struct.pack("<H", int(random.choice([0, 6, 7, 8, 1009, 1012, 1022, 1023, 1030, 1050, 2**16 - 1])))
    parts.insert(int(random.integers(len(parts))), other + random.bytes(int(random.integers(2000))))
    return b"".join(parts)


def endless(parts: Parts, random: Random) -> bytes:
    """A header or text without an end."""
    kind = int(random.choice([2, 3, 5]))
    length = int(random.choice([2**20, 2**24, 2**26]))
    return parts[0] + struct.pack("<HI", kind, length) + random.bytes(2**17)


def wishes(parts: Parts, random: Random) -> bytes:
    """Configurations and parameters that nobody can mean."""
    words = ["config", "images", "preset", "budget", "device", "set", "slices", "\0", "../..", "NaN", "é" * 50, "-1"]
    values: list[Any] = [None, True, [], {}, -1, 2**70, 1e300, "", "x" * 5000, *words]
    some = {str(random.choice(words)): values[random.integers(len(values))] for _ in range(4)}
    parts[0] = struct.pack("<H1024s", 1, str(random.choice(words)).encode())
    parts[2] = _text(int(random.choice([2, 5])), json.dumps({"parameters": some})[: random.integers(1, 300)])
    return _end(b"".join(parts), random)


def noise(parts: Parts, random: Random) -> bytes:
    """Nothing but chance."""
    return random.bytes(int(random.integers(5000)))


def headers(parts: Parts, random: Random) -> bytes:
    """A document that is none, or says of the measurement what cannot be."""
    document = parts[1][6:]
    for _ in range(random.integers(1, 4)):
        digits = [place for place, byte in enumerate(document) if 48 <= byte < 58]
        if not digits:
            break
        place = digits[random.integers(len(digits))]
        document = (
            document[:place] + random.choice([b"9" * 12, b"-1", b"nan", b"", b"<", b"&x;"]) + document[place + 1 :]
        )
    parts[1] = struct.pack("<HI", 3, len(document)) + document
    return _end(b"".join(parts), random)


KINDS: dict[str, Callable[[Parts, Random], bytes]] = {
    function.__name__: function
    for function in (cut, flip, lengths, heads, orders, kinds, endless, wishes, noise, headers)
}

if __name__ == "__main__":
    main()
