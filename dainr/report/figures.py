"""Pictures of a report: the frames for the player, x-t profiles, and curves as inline SVG."""

import base64
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from dainr.cine import Cine
from dainr.fit.state import FitState
from dainr.io.images.video import frame_rate, windowed
from dainr.machine import disk
from dainr.methods.recon import Recon

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it keeps its list of fonts is no news to a user
BLUE, ORANGE, GREY = "#1f5f99", "#c8641e", "#8a8f98"
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": "#333",
    "svg.fonttype": "none",
    "svg.hashsalt": "dainr",
}
PROFILE_WIDTH = 3  # pixels a frame in the x-t profile


def player_data(recon: Recon) -> dict[str, Any]:
    """Everything the player shows: per slice the frames of the fit and of gridding, each with its x-t profile."""
    return player(recon.cine, list(_slices(recon)))


def player(cine: Cine, slices: list[dict[str, Any]]) -> dict[str, Any]:
    """What a player needs to know of a cine, and what it shows of each slice."""
    n_frames, ny, nx = cine.data.shape[1:]
    return {
        "frames": n_frames,
        "height": ny,
        "width": nx,
        "aspect": round(cine.fov_mm[0] / cine.fov_mm[1], 4),
        "times": [round(float(t), 4) for t in cine.times],
        "rate": frame_rate(cine),
        "slices": slices,
    }


def _slices(recon: Recon) -> Iterator[dict[str, Any]]:
    """What is shown of each slice; one that lies on disk is in memory no longer than it takes."""
    for image, gridded in zip(recon.cine.data, recon.gridded, strict=True):
        yield _slice_data(np.abs(image), gridded)
        for array in (image, gridded):
            disk.release(array)


def fit_curves(history: FitState) -> str:
    """Loss of every step and held-out error of every validation, as SVG."""
    with axes(2.7) as (figure, axis):
        smooth = _smoothed(np.array(history.losses))
        axis.plot(
            np.arange(1, len(smooth) + 1), smooth / smooth[0], color=GREY, lw=1, label="loss, relative to the start"
        )
        steps = [v.step for v in history.validations]
        axis.plot(steps, [v.heldout for v in history.validations], color=BLUE, lw=1.6, label="held-out error")
        axis.axvline(history.best_step, color=ORANGE, lw=1, ls="--", label=f"state kept (step {history.best_step})")
        axis.set(xlabel="step", ylim=(0, None))
        axis.legend(frameon=False, fontsize=8)
        return svg(figure)


def training_curve(history: FitState) -> str:
    """Loss of every step, smoothed, and error of the validation scans, as SVG."""
    with axes(2.9) as (figure, axis):
        if history.losses:
            smooth = _smoothed(np.array(history.losses))
            axis.plot(np.arange(1, len(smooth) + 1), smooth, color=GREY, lw=1, label="loss of the step's scans")
        percent = [100 * v.heldout for v in history.validations]
        axis.set(xlabel="step", ylabel="loss")
        axis.set_yscale("log")
        other = axis.twinx()
        other.spines["right"].set_visible(True)
        other.set_ylabel("error of validation scans, %", color=BLUE)
        steps = [v.step for v in history.validations]
        other.plot(steps, percent, color=BLUE, lw=1.6, marker="o", ms=3, label="error of validation scans")
        other.axvline(history.best_step, color=ORANGE, lw=1, ls="--", label=f"state kept (step {history.best_step})")
        handles = [line for part in (axis, other) for line in part.get_legend_handles_labels()[0]]
        other.legend(handles=handles, frameon=False, fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        return svg(figure)


def frame_error_bars(errors: list[float]) -> str:
    """Residual of every frame relative to its data, as SVG."""
    with axes(1.9) as (figure, axis):
        worst = int(np.argmax(errors))
        colours = [ORANGE if i == worst else BLUE for i in range(len(errors))]
        axis.bar(np.arange(len(errors)), 100 * np.array(errors), color=colours, width=0.8)
        axis.set(xlabel="frame", ylabel="residual, % of signal")
        return svg(figure)


def budget_curve(curves: Mapping[str, tuple[list[float], list[float], list[float]]], chosen_s: float) -> str:
    """Held-out error beyond the noise against the time of the steps, a line a scan; PSNR of a scan alone; as SVG.

    `curves` has for each scan seconds, errors, and PSNR or nothing.
    """
    with axes(3.2) as (figure, axis):
        lines = []
        for seconds, errors, _ in curves.values():
            percent = [100 * error for error in errors]
            lines = axis.plot(seconds, percent, color=BLUE, lw=1.6, marker="o", ms=4, label="held-out error")
        lines.append(axis.axvline(chosen_s, color=ORANGE, lw=1.2, ls="--", label="enough"))
        axis.set(xlabel="time for the steps, s", ylabel="error beyond noise, %")
        axis.set_ylim(0, 1.1 * axis.get_ylim()[1])
        if len(curves) == 1 and len(psnr := next(iter(curves.values()))[2]) == len(seconds):
            other = axis.twinx()
            other.spines["right"].set_visible(True)
            other.set_ylabel("PSNR, dB")
            lines += other.plot(seconds, psnr, color=GREY, lw=1.2, ls="--", marker=".", label="PSNR")
        axis.legend(handles=lines, frameon=False, loc="lower right")
        return svg(figure)


def attempt_scores(scores: Sequence[tuple[int, float]], chosen: int) -> str:
    """Score of every finished attempt of a search by its number, the chosen one circled, as SVG."""
    with axes(2.7) as (figure, axis):
        axis.axhline(1, color=GREY, lw=1, ls="--", label="where the search began")
        axis.plot(*zip(*scores, strict=True), "o", color=BLUE, ms=5, label="attempt")
        axis.plot(chosen, dict(scores)[chosen], "o", ms=11, mfc="none", mec=ORANGE, mew=2, label="chosen")
        axis.set(xlabel="attempt", ylabel="error, relative to the start")
        axis.locator_params(axis="x", integer=True)
        axis.legend(frameon=False)
        return svg(figure)


def sprite(frames: np.ndarray) -> np.ndarray:
    """All frames below one another."""
    return frames.reshape(-1, frames.shape[-1])


def profile(frames: np.ndarray, column: int) -> np.ndarray:
    """One column of pixels over time: y downwards, time to the right."""
    return np.repeat(frames[:, :, column].T, PROFILE_WIDTH, axis=1)


def png(grey: UInt8[np.ndarray, "y x"], colours: UInt8[np.ndarray, "256 3"] | None = None) -> str:
    """A picture that stands in the page itself, as its address: of grey values, or of the colours given for them."""
    picture = Image.fromarray(grey)
    if colours is not None:
        picture.putpalette(colours.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def colours(palette: str) -> UInt8[np.ndarray, "256 3"]:
    """Those of a palette of matplotlib."""
    import matplotlib  # here, for it takes long to import

    found: np.ndarray = matplotlib.colormaps[palette](np.linspace(0, 1, 256), bytes=True)[:, :3]
    return found


def gradient(palette: str) -> str:
    """The colours of a scale from none to its end, as a page has them."""
    return ", ".join("#{:02x}{:02x}{:02x}".format(*colour) for colour in colours(palette)[::51])


def _slice_data(image: Float[np.ndarray, "frame y x"], gridded: Float[np.ndarray, "frame y x"]) -> dict[str, Any]:
    spread = image.std(0)
    column = int(np.argmax(spread.sum(0)))
    shown = {"fit": windowed(image), "gridded": windowed(gridded)}
    films = {kind: png(sprite(frames)) for kind, frames in shown.items()}
    profiles = {f"{kind}_profile": png(profile(frames, column)) for kind, frames in shown.items()}
    return {"column": column} | films | profiles


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Running mean over about a fiftieth of the curve, which single-frame steps need to be readable."""
    width = max(1, len(values) // 50)
    total = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - width, 0)
    return (total[ends] - total[starts]) / (ends - starts)


@contextmanager
def axes(height: float, rows: int = 1) -> Iterator[tuple[Any, Any]]:
    """A figure as wide as the page, and its axes, or those of several rows with one x; height in inches."""
    import matplotlib  # here, for it takes long to import: nothing is drawn before a fit has ended
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure((6.4, height), layout="constrained")
        yield figure, figure.subplots(rows, sharex=rows > 1)


def svg(figure: Any) -> str:
    """A figure as the text of an SVG element."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
