"""Scenes that networks learn from are what their references say, and every part of the benchmark fills its table."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import networks, per_scan
from benchmarks.cohort import BARE, FIRST_TEST, KT, LINES, ONE_MASK, RADIAL, Sampling, Size, cohort, mask

SMALL = Size(24, 4)


@pytest.mark.parametrize("sampling", [LINES, BARE, RADIAL, ONE_MASK, KT], ids=lambda sampling: sampling.name)
def test_the_complex_reference_explains_what_was_measured(sampling: Sampling) -> None:
    (case,) = cohort(sampling, 1, SMALL)
    measured, truth = case.measurements.of(), case.truth
    energy = float(measured.energy) / truth.numel()
    assert float(measured.misfit(truth)) < 0.05 * energy
    assert float(measured.misfit(truth.conj())) > 0.3 * energy
    assert case.scores(truth)[0] > 60 > case.scores(measured.rhs)[0]


def test_masks_are_new_for_every_scene_and_frame_but_where_one_serves_all() -> None:
    for sampling in (LINES, KT):
        first, second = (mask(sampling, number, Size()) for number in (0, 1))
        assert (first != first[..., :1]).any()
        assert sampling == LINES or (first != second).any()
    assert np.array_equal(mask(ONE_MASK, 0, SMALL), mask(ONE_MASK, 1, SMALL))
    assert cohort(ONE_MASK, 1, SMALL)[0].measurements.shared_pattern
    central = slice(Size().matrix // 2 - 2, Size().matrix // 2 + 2)
    assert mask(LINES, 0, Size())[:, central].all()
    assert not mask(BARE, 0, Size())[:, central].all()


def test_scenes_of_the_test_are_others() -> None:
    learn, test = cohort(KT, 1, SMALL)[0], cohort(KT, 1, SMALL, FIRST_TEST)[0]
    assert not torch.allclose(learn.truth.abs(), test.truth.abs(), atol=0.1)


def test_every_part_fills_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "TRANSFORMS", {"rotation alone": (False, True, False, False)})
    pairs = ("loss=ssdu", "channels=4", "cascades=2", "nufft=finufft")
    monkeypatch.setattr(per_scan, "CANDIDATES", (per_scan.Candidate("crnn", pairs, learns=True),))
    page = tmp_path / "networks.md"
    few = ["--networks", "unet3d,crnn-proximal", "--losses", "mc,ddei", "--seeds", "1", "--steps", "1", "--scenes", "1"]
    few += ["--start", "gridded", "--adapting", "1", "--adapting-losses", "ssdu,ddei"]
    networks.main([*few, "--matrix", "32", "--frames", "2", "-o", str(page)])
    rows = [line.split("|")[1:-1] for line in page.read_text().splitlines() if line.startswith("| ")]
    names = {row[0].strip() for row in rows}
    assert {
        "gridded, gradient",
        "average, proximal",
        "rotation alone",
        "without, adapted, `ddei`, rate 3e-4, 1 steps",
    } <= names
    assert {"without, trained on such scans", "without, from nothing, `ssdu`, rate 3e-4, 1 steps"} <= names
    assert {"`unet3d`", "`crnn-proximal`", "ddei", "`crnn` " + " ".join(pairs)} <= names
    assert networks.spread([np.array([20.0, 0.8]), np.array([22.0, 0.8])]) == ["21.00 ± 1.41", "0.800 ± 0.000"]
    with pytest.raises(SystemExit):
        networks.main(["--parts", "disorder"])
