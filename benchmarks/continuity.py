"""What the field shows between the frames and pixels it was fitted to, beside interpolating the same reconstruction.

    python -m benchmarks.continuity SCAN REFERENCE [--methods default,paper] [-o continuity.md]

Time: the even frames are fitted, the odd ones rendered at their own times and scored; those after the last even frame
cannot be rendered and are left out. Space: the scan is fitted at n / 1.5 and n / 2 pixels a side and rendered at all N.

A field's pixels are aligned by the edges of the field of view: pixel p of N lies at (p + 0.5) / N. A scan's are aligned
by their centres: index n // 2 of the fitted matrix is index N // 2 of the reference. Hence, with s = N / n, rendered
pixel p lies in the pixels of the reference at

    p + d,   d = 0.5 - s / 2 + N // 2 - s (n // 2),

and the reference is shifted to those places (by its Fourier transform) before anything is scored. The interpolations
are taken there too, of the complex images; all contenders meet the same truth. The first slice is used.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
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

FACTORS = (1.0, 1.5, 2.0)  # more pixels than were fitted; 1: the frames instead
COLUMNS = ("", "PSNR dB", "SSIM", "dynamic PSNR dB")

Scores = dict[str, Evaluation]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table in time and one for each factor in space, for each preset."""
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
    for preset in asked.methods.split(","):
        if preset not in preset_names():
            say(f"{preset}: left out, there is no such preset")
            continue
        config = build_config(DainrConfig, read_preset(preset), [f"device={asked.device}", *asked.pairs])
        for factor in FACTORS:
            title = "twice the frames" if factor == 1 else f"{factor:g} times the pixels"
            say(f"{preset}: {title}")
            report.add(f"## Preset `{preset}`, {title}\n\n{_table(scan, truth, config, factor)}")


def in_time(scan: Scan, truth: np.ndarray, config: DainrConfig) -> Scores:
    """Fit the even frames; score the odd ones, rendered and interpolated, and the even ones themselves."""
    recon = reconstruct(even_frames(scan), config)
    known, images = recon.cine.times, recon.cine.data
    n = min(scan.n_frames // 2, len(known) - 1)  # odd frames that lie between two even ones
    assert scan.frame is not None
    full, _ = frame_times(scan.times[0], scan.frame[0])
    share = (full[1 : 2 * n : 2] - full[0 : 2 * n : 2]) / (full[2 : 2 * n + 1 : 2] - full[0 : 2 * n : 2])
    rendered = recon.render(times=((1 - share) * known[:n] + share * known[1 : n + 1]).tolist())
    w = share[None, :, None, None]
    between = (1 - w) * images[:, :n] + w * images[:, 1 : n + 1]
    odd = truth[:, 1 : 2 * n : 2]
    return {
        "odd frames, the field": evaluate(rendered.data, odd),
        "odd frames, linear interpolation": evaluate(between, odd),
        "even frames, as fitted": evaluate(images, truth[:, ::2]),
    }


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


def even_frames(scan: Scan) -> Scan:
    """The readouts of frames 0, 2, 4, ... alone, as frames 0, 1, 2, ..."""
    assert scan.frame is not None
    return frames_as_stored(replace(scan, frame=np.where(scan.frame % 2, SET_ASIDE, scan.frame // 2)))


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


def _table(scan: Scan, truth: np.ndarray, config: DainrConfig, factor: float) -> str:
    try:
        scores = in_time(scan, truth, config) if factor == 1 else in_space(scan, truth, config, factor)
    except DainrError as error:
        return f"Not possible: {error}"
    figures = {name: (e.whole.psnr, e.whole.ssim, e.dynamic.psnr) for name, e in scores.items()}
    return table(COLUMNS, [[name, f"{a:.2f}", f"{b:.4f}", f"{c:.2f}"] for name, (a, b, c) in figures.items()])


if __name__ == "__main__":
    main()
