"""How long a scan waits for its images: a server that is ready, one just started, and `dainr fit` as a command.

    python -m benchmarks.serve [--repeats 3] [--iterations 100] [--matrix 128] [--hold 5] [--slices 3] [-o serve.md]

Seconds from the last readout to the first and to the last image at the client; of the command, from its start to its
end, when its cine is on the disk. The fits are the same: how long each took by its own record is told as well, and what
was around it. A scan is sent as fast as the client can, and then at a scanner's pace: its readouts evenly over a
breath-hold of `--hold` seconds. A stack is sent at that pace too, a breath-hold for each of its slices, as large and
fitted as long as the other scan; its slices are fitted while others are sent, so that first images may be there before
the last readout: their seconds are then below zero. The server is started anew for each repeat, and the command runs
after it.
"""

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import ismrmrd
import numpy as np
from ismrmrd.serialization import ConfigFile

from benchmarks.common import DAINR, Report, add_common, heading, run_dainr, say, table, warm_up
from dainr.io.scans.ismrmrd_file import acquisition_parts, read_document
from dainr.io.scans.ismrmrd_messages import OF_IMAGES, Document, Messages, Writer
from dainr.io.scans.ismrmrd_write import GROUP, write_ismrmrd
from dainr.scan import OF_A_SLICE, Scan
from dainr.simulate import SimulationConfig, simulate_phantom

PAUSE_S = 2.0  # between two scans: the first one's report is then made
ROWS = (
    "a server just started",
    "a server that is ready",
    "the same, at a scanner's pace",
    "`dainr fit`",
)


@dataclass(frozen=True)
class Waited:
    """Seconds from the last readout to the first and to the last image, those of preparation and fit in them, and how
    long the scan was sent.
    """

    first: float
    last: float
    fit: float
    sending: float | None = None


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common(parser)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--matrix", type=int, default=128)
    parser.add_argument("--hold", type=float, default=5.0)
    parser.add_argument("--slices", type=int, default=3, help="of the stack; 0: none is measured")
    asked = parser.parse_args(arguments)
    options = ["--device", asked.device, "--iterations", str(asked.iterations)]
    options += [part for pair in asked.pairs for part in ("--set", pair)]
    warm_up(["default"], asked.device)
    with tempfile.TemporaryDirectory() as folder:
        scan = simulate_phantom(SimulationConfig(matrix=asked.matrix, frames=16, coils=8, spokes=13))
        found = of_one_slice(scan, Path(folder), options, asked.repeats, asked.hold)
        if asked.slices > 1:
            found |= of_a_stack(stack_of(scan, asked.slices), Path(folder), options, asked.hold)
    report = Report(asked.output)
    report.add(heading("From the last readout to the images", "serve", arguments, asked.device))
    columns = ("", "sending", "first image", "last image", "preparation and fit", "around them")
    report.add(table(columns, [[name, *cells(those)] for name, those in found.items()]))
    report.add(f"Seconds, medians of {asked.repeats}; those of a stack were measured once.")


def of_one_slice(scan: Scan, folder: Path, options: list[str], repeats: int, hold_s: float) -> dict[str, list[Waited]]:
    """The rows of a scan of one slice: each repeat starts a server, and after it comes the command."""
    found: dict[str, list[Waited]] = {name: [] for name in ROWS}
    path = folder / "scan.h5"
    write_ismrmrd(scan, path)
    for repeat in range(repeats):
        kept = folder / f"kept{repeat}"
        with served([*options, "--keep", str(kept)]) as port:
            for name, sending_s in zip(ROWS, (0.0, 0.0, hold_s), strict=False):
                found[name].append(waited(path, port, kept, sending_s))
                time.sleep(PAUSE_S)
        found[ROWS[-1]].append(of_command(path, folder / "run", options))
        say(f"{repeat + 1} of {repeats}")
    return found


def of_a_stack(stack: Scan, folder: Path, options: list[str], hold_s: float) -> dict[str, list[Waited]]:
    """The rows of a stack that is sent at a scanner's pace."""
    path, kept, n = folder / "stack.h5", folder / "kept_stack", stack.n_slices
    write_ismrmrd(stack, path)
    with served([*options, "--keep", str(kept)]) as port:
        time.sleep(PAUSE_S)
        paced = waited(path, port, kept, n * hold_s)
    rows = {f"{n} slices, at a scanner's pace": [paced]}
    return rows | {f"{n} slices, `dainr fit`": [of_command(path, folder / "run", options)]}


def stack_of(scan: Scan, n_slices: int) -> Scan:
    """So many slices, each measured as the one of the scan."""
    arrays = {name: getattr(scan, name) for name in OF_A_SLICE if name not in ("reference", "phase")}
    parts: dict[str, Any] = {n: None if array is None else np.repeat(array, n_slices, 0) for n, array in arrays.items()}
    return scan.changed(reference=None, phase=None, **parts)


def of_command(scan: Path, run: Path, options: list[str]) -> Waited:
    """The whole command."""
    done = run_dainr("fit", scan, "-o", run, "--force", "-q", *options)
    if done.code:
        raise RuntimeError(done.why)
    return Waited(done.seconds, done.seconds, seconds_of(run))


def cells(those: Sequence[Waited]) -> list[str]:
    """The medians, as cells of the table."""
    columns = (
        [w.first for w in those],
        [w.last for w in those],
        [w.fit for w in those],
        [w.last - w.fit for w in those],
    )
    sent = [w.sending for w in those if w.sending is not None]
    sending = f"{statistics.median(sent):.1f}" if sent else ""
    return [sending, *(f"{statistics.median(values):.1f}" for values in columns)]


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


def waited(scan: Path, port: int, kept: Path, sending_s: float) -> Waited:
    """Send a scan in so many seconds, and take the times at which its images come; `kept` is the server's folder."""
    readouts: list[Any] = []
    for part in acquisition_parts(scan, GROUP):
        columns = zip(part.head, part.data, part.trajectory, strict=True)
        readouts += [ismrmrd.Acquisition(head.tobytes(), data, points) for head, data, points in columns]
    times, texts = list[float](), list[str]()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        sink, source = (cast(BinaryIO, connection.makefile(mode)) for mode in ("wb", "rb"))

        def receive() -> None:
            for item in Messages(source, "server", OF_IMAGES):
                if isinstance(item, str):
                    texts.append(item)
                else:
                    times.append(time.perf_counter())

        receiver = threading.Thread(target=receive)
        receiver.start()
        begun_at = time.perf_counter()
        writer = Writer(sink)
        writer.send(ConfigFile("default"))
        writer.send(Document(read_document(scan, GROUP)))
        for number, readout in enumerate(readouts):
            if sending_s:
                time.sleep(max(0.0, begun_at + sending_s * number / len(readouts) - time.perf_counter()))
            writer.send(readout)
            if sending_s:
                writer.flush()
        writer.close()
        writer.flush()
        last_readout = time.perf_counter()
        receiver.join()
        sink.close()
        source.close()
    if not times:
        raise RuntimeError(f"no images came: {texts}")
    first, last = times[0] - last_readout, times[-1] - last_readout
    return Waited(first, last, seconds_of(max(kept.glob("*/run"))), last_readout - begun_at)


if __name__ == "__main__":
    main()
