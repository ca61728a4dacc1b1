"""How long a scan waits for its images: a server that is ready, one just started, and `dainr fit` as a command.

    python -m benchmarks.serve [--repeats 3] [--iterations 200] [--matrix 128] [-o serve.md]

Seconds from the last readout to the first and to the last image at the client; of the command, from its start to its
end, when its cine is on the disk. The fits are the same: how long each took by its own record is told as well, and what
was around it.
"""

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import ismrmrd
from ismrmrd.serialization import ConfigFile

from benchmarks.common import DAINR, Report, add_common, heading, run_dainr, say, table, warm_up
from dainr.io.scans.ismrmrd_file import acquisition_parts, read_document
from dainr.io.scans.ismrmrd_messages import OF_IMAGES, Document, Messages, Writer
from dainr.io.scans.ismrmrd_write import GROUP, write_ismrmrd
from dainr.simulate import SimulationConfig, simulate_phantom

PAUSE_S = 5.0  # between two scans: the first one's report is then made


@dataclass(frozen=True)
class Waited:
    """Seconds from the last readout to the first and to the last image, and those of preparation and fit in them."""

    first: float
    last: float
    fit: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common(parser)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--matrix", type=int, default=128)
    asked = parser.parse_args(arguments)
    options = ["--device", asked.device, "--iterations", str(asked.iterations)]
    options += [part for pair in asked.pairs for part in ("--set", pair)]
    warm_up(["default"], asked.device)
    found: dict[str, list[Waited]] = {"a server that is ready": [], "a server just started": [], "`dainr fit`": []}
    with tempfile.TemporaryDirectory() as folder:
        scan = Path(folder) / "scan.h5"
        write_ismrmrd(simulate_phantom(SimulationConfig(matrix=asked.matrix, frames=16, coils=8, spokes=13)), scan)
        for repeat in range(asked.repeats):
            kept = Path(folder) / f"kept{repeat}"
            with served([*options, "--keep", str(kept)]) as port:
                found["a server just started"].append(waited(scan, port, kept))
                time.sleep(PAUSE_S)
                found["a server that is ready"].append(waited(scan, port, kept))
            done = run_dainr("fit", scan, "-o", Path(folder) / "run", "--force", "-q", *options)
            if done.code:
                raise RuntimeError(done.why)
            found["`dainr fit`"].append(Waited(done.seconds, done.seconds, seconds_of(Path(folder) / "run")))
            say(f"{repeat + 1} of {asked.repeats}")
    report = Report(asked.output)
    report.add(heading("From the last readout to the images", "serve", arguments, asked.device))
    columns = ("", "first image", "last image", "preparation and fit", "around them")
    report.add(table(columns, [[name, *cells(those)] for name, those in found.items()]))
    report.add(f"Seconds, medians of {asked.repeats}.")


def cells(those: Sequence[Waited]) -> list[str]:
    """The medians, as cells of the table."""
    columns = (
        (w.first for w in those),
        (w.last for w in those),
        (w.fit for w in those),
        (w.last - w.fit for w in those),
    )
    return [f"{statistics.median(values):.1f}" for values in columns]


def seconds_of(run: Path) -> float:
    """What preparation and fit of a run took, by its record."""
    return float(json.loads((run / "run.json").read_text())["seconds"]["total"])


@contextmanager
def served(options: Sequence[str]) -> Iterator[int]:
    """The port of a server that has just begun to listen."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [*DAINR, "serve", "--port", str(port), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    try:
        while "listening" not in process.stderr.readline():
            if process.poll() is not None:
                raise RuntimeError("the server has ended")
        yield port
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


def waited(scan: Path, port: int, kept: Path) -> Waited:
    """Send a scan, and take the times at which its images come; `kept` is the server's folder."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        sink, source = (cast(BinaryIO, connection.makefile(mode)) for mode in ("wb", "rb"))
        writer = Writer(sink)
        writer.send(ConfigFile("default"))
        writer.send(Document(read_document(scan, GROUP)))
        readouts: list[Any] = []
        for part in acquisition_parts(scan, GROUP):
            columns = zip(part.head, part.data, part.trajectory, strict=True)
            readouts += [ismrmrd.Acquisition(head.tobytes(), data, points) for head, data, points in columns]
        for readout in readouts:
            writer.send(readout)
        writer.close()
        last_readout, times, texts = time.perf_counter(), list[float](), list[str]()
        for item in Messages(source, "server", OF_IMAGES):
            if isinstance(item, str):
                texts.append(item)
            else:
                times.append(time.perf_counter() - last_readout)
        sink.close()
        source.close()
    if not times:
        raise RuntimeError(f"no images came: {texts}")
    return Waited(times[0], times[-1], seconds_of(max(kept.glob("*/run"))))


if __name__ == "__main__":
    main()
