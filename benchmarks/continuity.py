"""What the field shows between the frames and pixels it was fitted to, beside interpolating the same reconstruction.

    python -m benchmarks.continuity SCAN REFERENCE [--methods default,paper] [-o continuity.md]

Time: every second or third frame is fitted, those between are rendered at their own times and scored; those after the
last fitted frame cannot be rendered and are left out. Space: the scan is fitted at N / 1.2, N / 1.5 and N / 2 pixels a
side and rendered at all N.

A field's pixels are aligned by the edges of the field of view: pixel p of N lies at (p + 0.5) / N. A scan's are aligned
by their centres: index n // 2 of the fitted matrix is index N // 2 of the reference. Hence, with s = N / n, rendered
pixel p lies in the pixels of the reference at

    p + d,   d = 0.5 - s / 2 + N // 2 - s (n // 2),

and the reference is shifted to those places (by its Fourier transform) before anything is scored. The interpolations
are taken there too, of the complex images; all contenders meet the same truth. The first slice is used.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.interpolate import make_interp_spline
from torch.nn import functional

from benchmarks.common import Report, add_common, heading, say, table
from dainr.assess.scores import Evaluation, evaluate
from dainr.errors import DainrError
from dainr.io import load
from dainr.io.images.series import read_series
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.method import Dainr
from dainr.methods.recon import Recon
from dainr.prepare.frames import frame_times, frames_as_stored
from dainr.prepare.resize import resize_matrix
from dainr.scan import SET_ASIDE, Scan
from dainr.settings.build import build_config
from dainr.settings.presets import preset_names, read_preset

TIMES = (2, 3)  # more frames than were fitted
FACTORS = (1.2, 1.5, 2.0)  # more pixels a side than were fitted
COLUMNS = ("preset", "more", "shown by", "PSNR dB", "SSIM", "dynamic PSNR dB")

OVER_TIME = {"linear": 1, "cubic": 3}  # degree of the spline through the fitted frames

Scores = dict[str, Evaluation]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print rows for each preset and each way of more frames or pixels."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--methods", default="default,paper", help="presets of the neural field, separated by commas")
    add_common(parser)
    asked = parser.parse_args(arguments)
    scan = replace(frames_as_stored(load(asked.scan)).select_slices([0]), reference=None)
    truth = np.abs(read_series(asked.reference)[:1])
    if truth.shape != (1, scan.n_frames, *scan.matrix):
        raise SystemExit(f"{asked.reference}: its shape {truth.shape} is not that of the scan's frames")
    report = Report(asked.output)
    report.add(heading("Between frames and pixels", "continuity", arguments, asked.device))
    report.add(
        f"First slice of {asked.scan.name}. Interpolations are of the images of the same fit, as the field's are."
    )
    report.add(table(COLUMNS, []))
    for preset in asked.methods.split(","):
        if preset not in preset_names():
            say(f"{preset}: left out, there is no such preset")
            continue
        config = build_config(DainrConfig, read_preset(preset), [f"device={asked.device}", *asked.pairs])
        tries = {f"{every} times the frames": partial(in_time, scan, truth, config, every) for every in TIMES}
        tries |= {f"{factor:g} times the pixels": partial(in_space, scan, truth, config, factor) for factor in FACTORS}
        for more, score in tries.items():
            say(f"{preset}: {more}")
            for row in _rows(preset, more, score):
                report.extend(row)


def in_time(scan: Scan, truth: np.ndarray, config: DainrConfig, every: int) -> Scores:
    """Fit frames 0, `every`, ...; score those between, rendered and interpolated, and the fitted ones themselves."""
    recon = reconstruct(few_frames(scan, every), config)
    known, images = recon.cine.times, recon.cine.data
    last = every * (len(known) - 1)
    between = [frame for frame in range(last) if frame % every]
    assert scan.frame is not None
    full, _ = frame_times(scan.times[0], scan.frame[0])
    rendered = recon.render(times=np.interp(full[between], full[: last + 1 : every], known).tolist())
    unseen = truth[:, between]
    contenders = {"the field": rendered.data}
    contenders |= {name: over_time(images[0], full[: last + 1 : every], full[between], name) for name in OVER_TIME}
    scores = {name: evaluate(shown, unseen) for name, shown in contenders.items()}
    return scores | {"frames that were fitted": evaluate(images, truth[:, : last + 1 : every])}


def over_time(images: np.ndarray, known: np.ndarray, asked: np.ndarray, by: str) -> np.ndarray:
    """Complex images `frame y x` interpolated from their times to others, one slice of them."""
    made = make_interp_spline(known, images, k=min(OVER_TIME[by], len(known) - 1))
    return np.asarray(made(asked))[None].astype(np.complex64)


def in_space(scan: Scan, truth: np.ndarray, config: DainrConfig, factor: float) -> Scores:
    """Fit on a coarser matrix; score the full one, rendered and interpolated, at the places the field renders."""
    full = scan.matrix
    coarse = (round(full[0] / factor), round(full[1] / factor))
    recon = reconstruct(resize_matrix(scan, coarse), config)
    there = sampled_where_rendered(truth, coarse)
    images = {"the field": recon.render(matrix=full).data}
    images |= {name: interpolate(recon.cine.data, full, name) for name in ("bilinear", "bicubic")}
    images["zero-filled k-space"] = zero_fill(recon.cine.data, full)
    return {name: evaluate(image, there) for name, image in images.items()}


def reconstruct(scan: Scan, config: DainrConfig) -> Recon:
    """Fit a scan in this process."""
    method = Dainr()
    config, _ = method.resolve(scan, config)
    return method(scan, config)


def few_frames(scan: Scan, every: int) -> Scan:
    """The readouts of frames 0, `every`, 2 `every`, ... alone, as frames 0, 1, 2, ..."""
    assert scan.frame is not None
    return frames_as_stored(replace(scan, frame=np.where(scan.frame % every, SET_ASIDE, scan.frame // every)))


def offset(fine: int, coarse: int) -> float:
    """d of the first lines: how far beyond pixel p of the reference's axis rendered pixel p lies, in its pixels."""
    s = fine / coarse
    return 0.5 - s / 2 + fine // 2 - s * (coarse // 2)


def sampled_where_rendered(truth: np.ndarray, coarse: tuple[int, int]) -> np.ndarray:
    """A series where the pixels lie that a field fitted on the coarse matrix renders at the series' own matrix."""
    shift = (offset(truth.shape[-2], coarse[0]), offset(truth.shape[-1], coarse[1]))
    return fourier_shift(truth, shift).real


def fourier_shift(images: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    """The trigonometric interpolant of images `... y x` at every pixel plus a shift (y, x)."""
    ky, kx = (np.fft.fftfreq(n) * d for n, d in zip(images.shape[-2:], shift, strict=True))
    return np.fft.ifft2(np.fft.fft2(images) * np.exp(2j * np.pi * np.add.outer(ky, kx)))


def interpolate(images: np.ndarray, matrix: tuple[int, int], mode: str) -> np.ndarray:
    """Complex images `slice frame y x` interpolated to a matrix, aligned by the edges as a field is."""
    parts = torch.view_as_real(torch.from_numpy(np.ascontiguousarray(images[0]))).permute(0, 3, 1, 2)
    fine = functional.interpolate(parts, matrix, mode=mode, align_corners=False)
    return torch.view_as_complex(fine.permute(0, 2, 3, 1).contiguous()).numpy()[None]


def zero_fill(images: np.ndarray, matrix: tuple[int, int]) -> np.ndarray:
    """The same by zeros around their k-space, which aligns the centres, and the shift to where a field renders."""
    coarse = images.shape[-2], images.shape[-1]
    before = [n // 2 - m // 2 for n, m in zip(matrix, coarse, strict=True)]
    after = [n - m - b for n, m, b in zip(matrix, coarse, before, strict=True)]
    axes = (-2, -1)
    kspace = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(images, axes)), axes)
    padded = np.pad(kspace, [(0, 0), (0, 0), *zip(before, after, strict=True)])
    fine = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(padded, axes)), axes)
    return fourier_shift(fine, (offset(matrix[0], coarse[0]), offset(matrix[1], coarse[1])))


def _rows(preset: str, more: str, score: Callable[[], Scores]) -> list[list[str]]:
    try:
        scores = score()
    except DainrError as error:
        return [[preset, more, f"not possible: {error}", "", "", ""]]
    figures = {name: (e.whole.psnr, e.whole.ssim, e.dynamic.psnr) for name, e in scores.items()}
    return [[preset, more, name, f"{a:.2f}", f"{b:.4f}", f"{c:.2f}"] for name, (a, b, c) in figures.items()]


if __name__ == "__main__":
    main()
