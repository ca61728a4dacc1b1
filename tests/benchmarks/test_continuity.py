"""The truth lies where a field renders; interpolations too, in space and time; only fitted frames are fitted."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import continuity
from dainr.cine import Cine
from dainr.kernels.coordinates import pixel_coordinates
from dainr.scan import Scan

SIZES = [((24, 30), (16, 20)), ((24, 20), (12, 10)), ((18, 21), (9, 14)), ((25, 27), (13, 14))]


def image(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A smooth periodic image; y, x in fields of view from the centre."""
    return 3 + np.cos(2 * np.pi * (y + 0.1)) + np.sin(2 * np.pi * (2 * x - y)) + 0.5 * np.cos(4 * np.pi * y + 1)


def on_matrix(matrix: tuple[int, int]) -> np.ndarray:
    """The image as a scan of this matrix shows it: index n // 2 is the centre."""
    return image(*np.meshgrid(*((np.arange(n) - n // 2) / n for n in matrix), indexing="ij"))[None, None]


def as_rendered(coarse: tuple[int, int], full: tuple[int, int]) -> np.ndarray:
    """The image as a field renders it that has the right value at every pixel of the coarse matrix."""
    x, y = pixel_coordinates(full, torch.device("cpu")).double().numpy().T.reshape(2, *full)
    place = [((c + 1) / 2 * n - 0.5 - n // 2) / n for c, n in zip((y, x), coarse, strict=True)]
    return image(*place)[None, None]


@pytest.mark.parametrize(("full", "coarse"), SIZES)
def test_the_truth_lies_where_a_field_renders(full: tuple[int, int], coarse: tuple[int, int]) -> None:
    there = continuity.sampled_where_rendered(on_matrix(full), coarse)
    assert np.allclose(there, as_rendered(coarse, full), atol=1e-5)


@pytest.mark.parametrize(("full", "coarse"), SIZES)
def test_interpolations_lie_there_too(full: tuple[int, int], coarse: tuple[int, int]) -> None:
    truth, images = as_rendered(coarse, full), on_matrix(coarse).astype(np.complex64)
    scale = np.prod(coarse) / np.prod(full)
    assert np.allclose(continuity.zero_fill(images, full), truth * scale, atol=1e-4)
    inner = np.s_[..., 4:-4, 4:-4]
    assert np.abs(continuity.interpolate(images, full, "bicubic") - truth)[inner].max() < 0.3
    assert np.abs(continuity.interpolate(images, full, "bilinear") - truth)[inner].max() < 0.8


@pytest.mark.parametrize(("by", "degree"), [("linear", 1), ("cubic", 3)])
def test_frames_between_are_interpolated_at_their_own_times(by: str, degree: int) -> None:
    known, asked = np.array([0.0, 1.0, 2.5, 3.0, 4.0]), np.array([0.4, 2.0, 3.9])
    made = continuity.over_time((1 + 2j) * known[:, None, None] ** degree, known, asked, by)
    assert np.allclose(made, ((1 + 2j) * asked[:, None, None] ** degree)[None], atol=1e-4)


def test_only_even_frames_are_kept(radial_scan: Scan) -> None:
    even = continuity.few_frames(radial_scan, 2)
    assert radial_scan.frame is not None
    assert even.readouts_per_frame.tolist() == [[9, 9, 9]]
    first = radial_scan.frame[0] == 4
    assert np.array_equal(even.kspace[:, :, even.frame[0] == 2], radial_scan.kspace[:, :, first])


def test_times_between_frames_are_those_of_the_odd_frames(radial_scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    reconstruct = continuity.reconstruct

    def watched(scan: Scan, config: continuity.DainrConfig) -> continuity.Recon:
        recon = reconstruct(scan, config)
        render = recon.render

        def record(times: list[float]) -> Cine:
            asked.extend(times)
            return render(times=times)

        object.__setattr__(recon, "render", record)
        return recon

    monkeypatch.setattr(continuity, "reconstruct", watched)
    config = continuity.build_config(
        continuity.DainrConfig, {}, ["fit.iterations=4", "coarse_steps=0", "start_steps=5", "device=cpu"]
    )
    assert radial_scan.reference is not None
    scores = continuity.in_time(radial_scan, radial_scan.reference, config, 2)
    full, _ = continuity.frame_times(radial_scan.times[0], radial_scan.frame[0])
    assert asked == pytest.approx(full[[1, 3]])
    assert list(scores) == ["the field", "linear", "cubic", "frames that were fitted"]


def test_the_script_writes_rows_for_time_and_each_factor(radial_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "continuity.md"
    pairs = [
        word
        for pair in ("fit.iterations=3", "coarse_steps=0", "start_steps=5", "nufft=finufft")
        for word in ("--set", pair)
    ]
    options = ["--methods", "default,nothing", "--device", "cpu", *pairs, "-o", str(out)]
    continuity.main([str(radial_file), str(radial_file), *options])
    text = out.read_text()
    rows = re.findall(r"^\| default \| ([\d.]+ times the \w+) \| [a-z].*?(?: \| [\d.]+){3} \|$", text, re.MULTILINE)
    assert {more: rows.count(more) for more in rows} == {
        "2 times the frames": 4,
        "3 times the frames": 4,
        "1.2 times the pixels": 4,
        "1.5 times the pixels": 4,
        "2 times the pixels": 4,
    }
