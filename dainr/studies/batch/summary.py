"""What a batch left: a table as CSV and JSON, and a page with a moving thumbnail of every case."""

import base64
import csv
import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import zoom

from dainr import __version__
from dainr.cine import Cine
from dainr.errors import BadScan
from dainr.io.hdf5 import write_whole
from dainr.io.images.cine import read_cine
from dainr.io.images.video import frame_rate, windowed
from dainr.machine.text import printable
from dainr.report.page import render
from dainr.runs.files import CINE, RECORD
from dainr.runs.stored import read_record_file
from dainr.studies.batch.work import Job, Outcome

log = logging.getLogger(__name__)

COLUMNS = (
    *(
        "case",
        "status",
        "verdict",
        "heldout_error",
        "noise_error",
        "image_error",
        "method",
        "preset",
        "steps",
        "slices",
    ),
    *("frames", "matrix", "seconds", "attempts", "why", "scan", "report"),
)
THUMBNAIL = 112  # pixels high
THUMBNAIL_FRAMES = 24


def write_summary(out: Path, jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Write summary.csv, summary.json and index.html into the batch's folder; the rows of the table."""
    by_name = {outcome.name: outcome for outcome in outcomes}
    rows = [_row(job, by_name[job.case.name]) for job in jobs if job.case.name in by_name]
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    thumbnails = {job.case.name: thumbnail(job.run) for job in jobs if (job.run / RECORD).is_file()}
    versions = {"versions": {"dainr": __version__}}
    page = render("batch.html", {}, ("batch.css",), record=versions, rows=rows, thumbnails=thumbnails)
    for name, text in (
        ("summary.csv", table.getvalue()),
        ("summary.json", json.dumps(rows, indent=1) + "\n"),
        ("index.html", page),
    ):
        with write_whole(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")
    return rows


def _row(job: Job, outcome: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    scan, why = (printable(text) for text in (outcome.path, outcome.why))
    row |= {"case": job.case.name, "status": outcome.status, "scan": scan, "why": why}
    row |= {"attempts": outcome.attempts, "seconds": outcome.seconds}
    if outcome.status != "done":
        return row
    try:
        return row | _figures(job)
    except BadScan as error:
        why = f"{printable(error.what)}: {printable(error.why)}; run the batch again."
        return row | {"status": "failed", "why": why}


def _figures(job: Job) -> dict[str, Any]:
    """What the record of a finished run adds to its row."""
    record = read_record_file(job.run / RECORD)
    if record["status"] != "done":
        raise BadScan(str(job.run), f"the run in it is {record['status']}, not done", "run the batch again")
    row: dict[str, Any] = {}
    fits = [s["fit"] for s in record["slices"] if "fit" in s]
    scan = record["scan"]
    row |= {"verdict": record["verdict"][0]["level"], "method": record["method"], "preset": record["preset"]}
    row |= {"slices": scan["slices"], "frames": scan["frames"], "matrix": "x".join(map(str, scan["matrix"]))}
    row["report"] = f"{job.case.name}/report.html"
    if fits:
        row["steps"] = sum(fit["steps"] for fit in fits)
    errors = {"heldout_error": "heldout_error", "heldout_noise_error": "noise_error", "image_error": "image_error"}
    for key, column in errors.items():
        values = [fit[key] for fit in fits if key in fit]
        if values:
            row[column] = round(float(np.mean(values)), 5)
    return row


def thumbnail(run: Path) -> str:
    """The middle slice of a run's cine as an animated WebP in a data URI, or nothing where there is no cine."""
    try:
        cine, _ = read_cine(run / CINE)
        return _moving(cine)
    except Exception as error:  # a picture is no reason to lose the table
        log.warning("%s: no picture (%s)", run.name, error)
        return ""


def _moving(cine: Cine) -> str:
    chosen = np.abs(cine.data[len(cine.data) // 2])
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), THUMBNAIL_FRAMES)).round().astype(int)]
    factor = THUMBNAIL / chosen.shape[1]
    frames = [Image.fromarray(frame) for frame in windowed(np.maximum(zoom(chosen, (1, factor, factor), order=1), 0))]
    file = io.BytesIO()
    frames[0].save(
        file,
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=round(1000 / frame_rate(cine)),
        loop=0,
        quality=60,
    )
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode("ascii")
