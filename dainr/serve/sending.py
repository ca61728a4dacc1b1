"""The images of a run on their way to a client, and what is said of them."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dainr.runs.folder import RECORD, RunFolder
from dainr.runs.run import read_run_cine
from dainr.serve.asked import AS_STARTED, Order
from dainr.serve.images import Measured, Series, images_of, unit_of
from dainr.serve.peer import Peer


@dataclass(frozen=True)
class Sent:
    """What has been sent."""

    images: int
    verdict: str  # its level


def has_images(run: Path) -> bool:
    """Whether a run has come as far as its images and its verdict, though perhaps not to its end."""
    try:
        return "verdict" in json.loads((run / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def send_run(peer: Peer, run: Path, order: Order, measured: Measured, preview: bool) -> Sent:
    """Send the images of a run that has them, those of its error map after them, and the verdict as a text.

    Raises Left, and BadScan where the run is damaged.
    """
    folder = RunFolder(run)
    record = folder.read_record()
    cine, beside = read_run_cine(folder)
    overall, *findings = record["verdict"]
    comment = ["a preview: the full fit follows"] if preview else [f"{overall['level']}: {overall['text']}"]
    series = Series(
        kind="preview" if preview else "cine",
        method=record["method"],
        comment=comment,
        pixels=_pixels(order, measured),
        unit_s=unit_of(record),
    )
    count = 0
    for image in images_of(cine, series, measured):
        peer.send(image)
        count += 1
    if not preview and "error_map" in beside:
        errors = replace(cine, data=beside["error_map"].astype(np.complex64))
        about = ["in 80 % of the pixels the error is expected to be below this"]
        for image in images_of(errors, replace(series, kind="error map", comment=about), measured):
            peer.send(image)
            count += 1
    peer.flush()
    if not preview:
        peer.say("dainr: " + " ".join(finding["text"] for finding in (overall, *findings)))
    return Sent(count, overall["level"])


def _pixels(order: Order, measured: Measured) -> str:
    """16 bits where a scanner asks, by its header or by Open Recon's configuration; else numbers as they are."""
    if order.images != "auto":
        return order.images
    named = order.config.lower() in AS_STARTED[2:]
    return "int16" if measured.bits is not None or named else "float"
