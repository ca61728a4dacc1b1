"""The page of a comparison: scores, and all methods and the reference playing as one, with their errors beneath.

Every image is brought to the reference by the least-squares scale of the scores, e = | s |x| - |r| | / max |r|, and
shown in one window; the errors of all methods share one colour scale.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import tomli_w
from jaxtyping import Float

from dainr.assess.metrics import METRICS
from dainr.assess.scores import DYNAMIC_SHARE, SSIM_WINDOW, dynamic_region, scaled
from dainr.cine import Cine
from dainr.io.images.video import WINDOW_PERCENTILE, windowed
from dainr.report.figures import player, png, profile, sprite
from dainr.report.page import render

COLOURS = matplotlib.colormaps["inferno"](np.linspace(0, 1, 256), bytes=True)[:, :3]
FACTORS = (1, 2, 4, 5, 10, 20, 25, 50, 100)  # errors are shown so many times enlarged
ERROR_PERCENTILE = 99
MARGIN = 1.4  # of the enlarged part over the part that moves
SHOWN = ("whole", "dynamic")  # regions


def build_comparison(record: dict[str, Any], cines: Mapping[str, Cine], reference: np.ndarray) -> str:
    """The page as HTML text, from a comparison's record, the cine of each method that has one, and the reference."""
    of_slices = zip(*(cine.data for cine in cines.values()), reference, strict=True)
    slices = [_scaled_slice(images, truth) for *images, truth in of_slices]
    factor = error_factor([np.stack([np.abs(a[i] - truth) for a, truth in slices]) for i in range(len(cines))])
    done = [entry for entry in record["methods"] if entry["status"] == "done"]
    return render(
        "comparison.html",
        player(next(iter(cines.values())), [_slice_data(*one, factor) for one in slices]),
        ("comparison.css",),
        record=record,
        scan=record["scan"],
        rows=score_rows(done),
        failed=[entry for entry in record["methods"] if entry["status"] == "failed"],
        players=[(f"m{i}", name) for i, name in enumerate(cines)],
        headings=[METRICS[name].heading.replace(" dB", ", dB") for _, name in columns(done)],
        per_region=len(columns(done)) // len(SHOWN),
        factor=factor,
        gradient=", ".join("#{:02x}{:02x}{:02x}".format(*colour) for colour in COLOURS[::51]),
        settings=[(entry["name"], tomli_w.dumps(entry["config"])) for entry in done],
        dynamic_percent=f"{100 * DYNAMIC_SHARE:.0f}",
        ssim_window=SSIM_WINDOW,
        aspect=round(record["scan"]["fov_mm"][1] / record["scan"]["fov_mm"][0], 4),
    )


def columns(done: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Region and name of the scores that the methods have."""
    return [(region, name) for region in SHOWN for name in done[0]["scores"][region]]


def score_rows(done: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row of the table for each method: its entry, and its scores as text, each with whether it is the best."""
    shown = []
    for region, name in columns(done):
        values, metric = [entry["scores"][region][name] for entry in done], METRICS[name]
        best = metric.form.format(max(values) if metric.larger_is_better else min(values))
        shown.append([(text := metric.form.format(value), text == best) for value in values])
    return [{"entry": entry, "cells": cells} for entry, *cells in zip(done, *shown, strict=True)]


def error_factor(errors: Sequence[Float[np.ndarray, "slice frame y x"]]) -> int:
    """How many times the methods' errors are shown enlarged: the better half of the methods stays within the scale."""
    levels = sorted(float(np.percentile(error, ERROR_PERCENTILE)) for error in errors)
    level = levels[(len(levels) - 1) // 2]
    return max((factor for factor in FACTORS if factor * level <= 1), default=FACTORS[0])


def moving_part(truth: Float[np.ndarray, "frame y x"]) -> tuple[int, int, int, int]:
    """x, y, width and height, in pixels, of the part of the image around what moves; of the image's own shape."""
    n_rows, n_columns = truth.shape[1:]
    rows, columns = np.nonzero(dynamic_region(truth))
    (top, bottom), (left, right) = (np.percentile(index, (5, 95)) for index in (rows, columns))
    share = min(1.0, MARGIN * max((bottom - top) / n_rows, (right - left) / n_columns, 0.15))
    height, width = round(share * n_rows), round(share * n_columns)
    x = np.clip(round((left + right - width) / 2), 0, n_columns - width)
    y = np.clip(round((top + bottom - height) / 2), 0, n_rows - height)
    return int(x), int(y), width, height


def _scaled_slice(
    images: Sequence[np.ndarray], truth: np.ndarray
) -> tuple[list[Float[np.ndarray, "frame y x"]], Float[np.ndarray, "frame y x"]]:
    """Every method's images and the reference as the scores compare them, relative to the reference's maximum."""
    magnitude = np.abs(truth).astype(np.float64)
    pairs = [scaled(np.abs(image).astype(np.float64), magnitude) for image in images]
    return [image.astype(np.float32) for image, _ in pairs], pairs[0][1].astype(np.float32)


def _slice_data(
    images: Sequence[Float[np.ndarray, "frame y x"]], truth: Float[np.ndarray, "frame y x"], factor: int
) -> dict[str, Any]:
    """Films and profiles of one slice: the reference, and the image and the error of each method."""
    column = int(np.argmax(truth.std(0).sum(0)))
    white = float(np.percentile(truth, WINDOW_PERCENTILE))
    data: dict[str, Any] = {"column": column, "zoom": moving_part(truth)}

    def show(kind: str, frames: np.ndarray, top: float, colours: np.ndarray | None = None) -> None:
        grey = windowed(frames, top)
        data[kind] = png(sprite(grey), colours)
        data[f"{kind}_profile"] = png(profile(grey, column), colours)

    show("reference", truth, white)
    for i, image in enumerate(images):
        show(f"m{i}", image, white)
        show(f"m{i}_error", np.abs(image - truth), 1 / factor, COLOURS)
    return data
