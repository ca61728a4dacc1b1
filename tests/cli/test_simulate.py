from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from dainr.io import load

from . import assert_one_error, invoke, succeed

SMALL = ("--frames", 3, "--matrix", 16, "--coils", 2)


def test_a_radial_scan_as_asked(tmp_path: Path) -> None:
    result = succeed("simulate", tmp_path / "scan.h5", *SMALL, "--spokes", 5)
    assert result.stdout == ""
    scan = load(tmp_path / "scan.h5")
    assert (scan.n_frames, scan.matrix, scan.n_coils, scan.n_readouts) == (3, (16, 16), 2, 15)
    assert scan.noise is not None
    assert scan.reference is not None
    assert scan.reference.shape == (1, 3, 16, 16)


@pytest.mark.parametrize("pattern", ["vista", "uniform"])
def test_a_cartesian_scan_as_asked(tmp_path: Path, pattern: str) -> None:
    succeed("simulate", tmp_path / "scan.h5", *SMALL, "--pattern", pattern, "--acceleration", 2)
    scan = load(tmp_path / "scan.h5")
    assert scan.is_cartesian
    assert scan.readouts_per_frame.tolist() == [[8, 8, 8]]


def test_a_given_series_is_measured(tmp_path: Path) -> None:
    series = np.zeros((4, 20, 16), np.float32)
    series[:, 6:14, 5:11] = 1
    np.save(tmp_path / "cine.npy", series)
    succeed("simulate", tmp_path / "scan.h5", "--cine", tmp_path / "cine.npy", "--coils", 3)
    scan = load(tmp_path / "scan.h5")
    assert (scan.n_frames, scan.matrix, scan.n_coils) == (4, (20, 16), 3)


@pytest.mark.parametrize("pattern", ["radial", "uniform"])
def test_tissue_that_crosses_the_edges(tmp_path: Path, pattern: str) -> None:
    np.save(tmp_path / "cine.npy", np.ones((2, 30, 24), np.float32))
    for options in (SMALL, ("--cine", tmp_path / "cine.npy", "--coils", 2)):
        succeed("simulate", tmp_path / "scan.h5", *options, "--pattern", pattern, "--crop", "--force")
        scan = load(tmp_path / "scan.h5")
        assert scan.matrix == ((16, 16) if options is SMALL else (20, 16))
        assert scan.coil_maps is None and scan.reference is not None
        assert scan.reference[0, :, [0, -1]].max() > 0.1 * scan.reference.max()
        assert scan.reference[0, :, :, [0, -1]].max() > 0.1 * scan.reference.max()


def test_the_seed_decides_the_scan(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        succeed("simulate", tmp_path / name, *SMALL, "--seed", seed)
    a, b, c = (load(tmp_path / name).kspace for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_higher_snr_means_less_noise(tmp_path: Path) -> None:
    for name, snr in (("poor", 5), ("good", 500)):
        succeed("simulate", tmp_path / name, *SMALL, "--snr", snr)
    poor, good = (np.abs(load(tmp_path / name).noise).mean() for name in ("poor", "good"))
    assert poor == pytest.approx(100 * good, rel=1e-3)


def test_an_existing_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    out = tmp_path / "scan.h5"
    out.write_text("mine")
    assert_one_error(invoke("simulate", out, *SMALL), 2)
    assert out.read_text() == "mine"
    succeed("simulate", out, *SMALL, "--force")
    assert load(out).n_frames == 3


@pytest.mark.parametrize(
    "order",
    [
        ("scan", "--phantom", *SMALL),
        ("--phantom", "scan", *SMALL),
        (*SMALL, "scan", "--phantom"),
        ("scan", *SMALL, "--phantom", "beating"),
        ("--phantom=beating", "scan", *SMALL),
    ],
)
def test_phantom_alone_is_the_beating_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: tuple) -> None:
    monkeypatch.chdir(tmp_path)
    succeed("simulate", *order)
    succeed("simulate", "without", *SMALL)
    np.testing.assert_array_equal(load(Path("scan")).kspace, load(Path("without")).kspace)


@pytest.mark.parametrize(("name", "frames"), [("bolus", 40), ("decay", 20), ("breath", 60), ("extra-beat", 60)])
def test_other_phantoms_have_their_usual_number_of_frames(tmp_path: Path, name: str, frames: int) -> None:
    small = ("--matrix", 16, "--coils", 1, "--spokes", 2)
    succeed("simulate", "--phantom", name, tmp_path / "scan.h5", *small)
    scan = load(tmp_path / "scan.h5")
    assert scan.n_frames == frames
    assert scan.phase is None and scan.cyclic is False and scan.coil_maps is None
    succeed("simulate", "--phantom", name, tmp_path / "scan.h5", *small, "--frames", 3, "--force")
    assert load(tmp_path / "scan.h5").n_frames == 3


@pytest.mark.parametrize("words", [("--phantom", "dancing"), ("--phantom=dancing",), ("--phantom", "")])
def test_an_unknown_phantom_is_refused_by_name(tmp_path: Path, words: tuple[str, ...]) -> None:
    for order in ((tmp_path / "scan.h5", *words), (*words, tmp_path / "scan.h5")):
        result = invoke("simulate", *order)
        assert_one_error(result, 2)
        assert "beating, bolus, decay, breath, extra-beat or textured" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        ("--acceleration", 4),
        ("--pattern", "vista", "--spokes", 5),
        ("--pattern", "rosette"),
        ("--spokes", 0),
        ("--frames", 0),
        ("--matrix", 2),
        ("--coils", 0),
        ("--snr", 0),
        ("--pattern", "uniform", "--acceleration", 0.5),
    ],
)
def test_what_cannot_be_simulated_is_refused(tmp_path: Path, options: tuple[object, ...]) -> None:
    assert_one_error(invoke("simulate", tmp_path / "scan.h5", *options), 2)
    assert list(tmp_path.iterdir()) == []


def test_a_series_brings_its_own_frames(tmp_path: Path) -> None:
    np.save(tmp_path / "cine.npy", np.ones((4, 16, 16), np.float32))
    for option in (("--phantom",), ("--phantom", "bolus"), ("--frames", 4), ("--matrix", 16)):
        assert_one_error(invoke("simulate", tmp_path / "scan.h5", "--cine", tmp_path / "cine.npy", *option), 2)
    assert_one_error(invoke("simulate", tmp_path / "scan.h5", "--cine", tmp_path / "missing.npy"), 3)
    assert not (tmp_path / "scan.h5").exists()


def test_spirals_are_simulated_by_their_number_in_a_frame(tmp_path: Path) -> None:
    succeed("simulate", tmp_path / "scan.h5", "--pattern", "spiral", "--spokes", 3, "--frames", 4, "--matrix", 32)
    scan = load(tmp_path / "scan.h5")
    assert scan.readouts_per_frame.tolist() == [[3] * 4]
    assert_one_error(invoke("simulate", tmp_path / "b.h5", "--pattern", "spiral", "--acceleration", 3), 2)


def test_a_stack_of_stars_is_written_as_partitions_and_read_as_slices(tmp_path: Path) -> None:
    options = ("--pattern", "stack-of-stars", "--partitions", 4, "--spokes", 5, "--frames", 2, "--matrix", 16)
    succeed("simulate", tmp_path / "sos.h5", *options, "--coils", 2)
    with h5py.File(tmp_path / "sos.h5") as file:
        heads = file["dataset/data"]["head"]
    assert set(heads["idx"]["kspace_encode_step_2"].tolist()) == {0, 1, 2, 3}
    assert set(heads["idx"]["slice"].tolist()) == {0}
    scan = load(tmp_path / "sos.h5")
    assert (scan.n_slices, scan.n_frames, scan.n_readouts) == (4, 2, 10)
    assert_one_error(invoke("simulate", tmp_path / "a.h5", "--partitions", 4), 2)
    assert_one_error(invoke("simulate", tmp_path / "a.h5", *options, "--acceleration", 2), 2)


SCENES = ("simulate", "--scenes", 2, *SMALL[:2], "--matrix", 24, "--coils", 2)


def test_a_folder_of_scenes_to_train_with(tmp_path: Path) -> None:
    result = succeed(*SCENES, tmp_path / "scenes", "--spokes", 3, "--seed", 4)
    assert result.stdout == ""
    assert result.stderr == f"{tmp_path / 'scenes'}: 2 scenes, each a scan with its reference\n"
    files = sorted((tmp_path / "scenes").glob("*.h5"))
    assert [path.name for path in files] == ["scene_00000.h5", "scene_00001.h5"]
    assert not np.array_equal(*(load(path).kspace for path in files))
    first = files[0].read_bytes()
    result = succeed("simulate", "--scenes", 3, *SCENES[3:], tmp_path / "scenes", "--spokes", 3, "--seed", 4, "-q")
    assert result.stderr == ""
    assert files[0].read_bytes() == first and len(list((tmp_path / "scenes").glob("*.h5"))) == 3


def test_ctrl_c_says_how_many_scenes_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object) -> Iterator[int]:
        yield 0
        raise KeyboardInterrupt

    monkeypatch.setattr("dainr.studies.scenes.write_scenes", stop)
    result = invoke(*SCENES, tmp_path / "scenes")
    assert_one_error(result, 130)
    assert "1 of 2 scenes are there; start it again to go on" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        *(("--phantom", "bolus"), ("--cine", "cine.npy"), ("--crop",), ("--partitions", 4)),
        *(("--pattern", "stack-of-stars"), ("--pattern", "vista", "--spokes", 3)),
        *(("--pattern", "radial", "--acceleration", 3), ("--calibration", 24), ("--jobs", 0), ("--scenes", 0)),
    ],
)
def test_what_scenes_cannot_have_is_refused(tmp_path: Path, options: tuple[object, ...]) -> None:
    assert_one_error(invoke(*SCENES, tmp_path / "scenes", *options), 2)
    assert list(tmp_path.iterdir()) == []


def test_calibration_and_jobs_of_a_scan(tmp_path: Path) -> None:
    lines = ("--pattern", "fixed", "--acceleration", 4)
    succeed("simulate", tmp_path / "scan.h5", *SMALL, *lines, "--calibration", 4)
    assert load(tmp_path / "scan.h5").readouts_per_frame.tolist() == [[7, 7, 7]]
    assert_one_error(invoke("simulate", tmp_path / "b.h5", "--calibration", 4), 2)
    assert_one_error(invoke("simulate", tmp_path / "b.h5", "--jobs", 2), 2)
