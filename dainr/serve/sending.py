"""The images of a run on their way to a client, and what is said of them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dainr.cine import Cine
from dainr.runs.folder import RECORD, RunFolder
from dainr.runs.run import read_run_cine
from dainr.serve.asked import AS_STARTED, Order
from dainr.serve.images import Measured, Series, images_of, unit_of
from dainr.serve.peer import Peer
from dainr.serve.slices import read_slice

ALIKE = 1e-3  # of the brightest pixel, and in mm: images and places that differ by less are alike


@dataclass(frozen=True)
class Sent:
    """What has been sent."""

    images: int
    verdict: str  # its level


@dataclass(frozen=True)
class SlicesSent:
    """Slices that the client has before the run has ended, and where they lie."""

    folder: Path
    numbers: frozenset[int] = frozenset()


def version_of(run: Path) -> str:
    """What tells the record of a run from the one before it, without reading it: a fit needs the processors."""
    try:
        state = (run / RECORD).stat()
    except OSError:
        return ""
    return f"{state.st_mtime_ns} {state.st_ino} {state.st_size}"


def has_images(run: Path) -> bool:
    """Whether a run has come as far as its images and its verdict, though perhaps not to its end."""
    try:
        return "verdict" in json.loads((run / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def send_run(peer: Peer, run: Path, order: Order, measured: Measured, preview: bool, before: SlicesSent) -> Sent:
    """Send the images of a run that has them, those of its error map after them, and the verdict as a text.

    Slices that have been sent before are left out; where their images are others now they are sent again, which is
    said. Raises Left, and BadScan where the run is damaged.
    """
    folder = RunFolder(run)
    record = folder.read_record()
    cine, beside = read_run_cine(folder)
    overall, *findings = record["verdict"]
    same = [index for index in before.numbers if _is_as_sent(cine, before.folder, index)]
    if others := sorted(before.numbers.difference(same)):
        numbers = ", ".join(map(str, others))
        peer.say(f"dainr: sent again, for what came after them has changed them: slices {numbers}")
    comment = ["a preview: the full fit follows"] if preview else [f"{overall['level']}: {overall['text']}"]
    series = Series(
        kind="preview" if preview else "cine",
        method=record["method"],
        comment=comment,
        pixels=pixels_of(order, measured),
        unit_s=unit_of(record),
    )
    count = _send(peer, images_of(cine, series, measured, leave_out=same))
    if not preview and "error_map" in beside:
        count += _send(
            peer, images_of(_errors(cine, beside["error_map"]), _of_errors(series), measured, leave_out=same)
        )
    peer.flush()
    if not preview:
        peer.say("dainr: " + " ".join(finding["text"] for finding in (overall, *findings)))
    return Sent(count, overall["level"])


def send_slice(peer: Peer, folder: Path, index: int, order: Order, measured: Measured) -> int:
    """Send the images of a slice that is made while others are not, and its error map; how many there were.

    Raises Left, and BadScan where its files are damaged.
    """
    cine, errors, about = read_slice(folder, index)
    series = Series("cine", about.method, about.comment, pixels_of(order, measured), about.unit_s)
    count = _send(peer, images_of(cine, series, measured, index))
    if errors is not None:
        count += _send(peer, images_of(_errors(cine, errors), _of_errors(series), measured, index))
    peer.flush()
    return count


def _send(peer: Peer, images: Iterable[Any]) -> int:
    count = 0
    for image in images:
        peer.send(image)
        count += 1
    return count


def _errors(cine: Cine, error_map: np.ndarray) -> Cine:
    return replace(cine, data=error_map.astype(np.complex64))


def _of_errors(series: Series) -> Series:
    about = ["in 80 % of the pixels the error is expected to be below this"]
    return replace(series, kind="error map", comment=about)


def _is_as_sent(cine: Cine, folder: Path, index: int) -> bool:
    """Whether a slice of the whole cine has the images and the place that were sent of it."""
    if index >= len(cine.data):
        return False
    was, _, _ = read_slice(folder, index)
    now = cine.data[index]
    alike = was.data.shape[1:] == now.shape and np.allclose(was.data[0], now, rtol=0, atol=ALIKE * np.abs(now).max())
    return (
        alike and np.allclose(was.times, cine.times) and np.allclose(_corner(was, 0), _corner(cine, index), atol=ALIKE)
    )


def _corner(cine: Cine, index: int) -> np.ndarray:
    """Where the first pixel of a slice lies, in mm; nowhere where nothing says it."""
    if cine.planes is not None:
        return cine.planes[index, :3, 3]
    corner: np.ndarray = np.zeros(3) if cine.affine is None else cine.affine[:3, 3] + index * cine.affine[:3, 2]
    return corner


def pixels_of(order: Order, measured: Measured) -> str:
    """16 bits where a scanner asks, by its header or by Open Recon's configuration; else numbers as they are."""
    if order.images != "auto":
        return order.images
    named = order.config.lower() in AS_STARTED[2:]
    return "int16" if measured.bits is not None or named else "float"
