"""ISMRMRD files that hold more than one cine: which is read is said, and options take the others."""

from itertools import product
from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from dainr.assess.describe import describe
from dainr.errors import BadRequest, BadScan
from dainr.io import ReadOptions
from dainr.io.scans.formats import read
from dainr.scan import Scan
from tests.io import header, random_complex, readout, write_file

NY, NX, COILS = 8, 8, 2
HEADER = header((NY, NX), fov=(80.0, 80.0))
NOISE = ismrmrd.ACQ_IS_NOISE_MEASUREMENT


def said(path: Path, **options: object) -> Scan:
    return read(path, ReadOptions.parsed(options))


def acquisitions(lines: range = range(NY), **counters: range) -> list[ismrmrd.Acquisition]:
    """Lines of constant samples that tell every counter: the number of it in its own digit."""
    made = []
    for values in product(*counters.values()):
        idx = dict(zip(counters, values, strict=True))
        level = 1.0 + sum(n * 10 ** (place + 1) for place, n in enumerate(values))
        for line in lines:
            data = np.full((COILS, NX), level, complex)
            made.append(readout(data, kspace_encode_step_1=line, stamp=len(made), center_sample=NX // 2, **idx))
    return made


def levels(scan: Scan) -> set[float]:
    return set(np.round(np.abs(scan.kspace).ravel()).tolist())


def in_groups(path: Path, **content: list[ismrmrd.Acquisition]) -> Path:
    for group, readouts in content.items():
        dataset = ismrmrd.Dataset(str(path), group, create_if_needed=True)
        dataset.write_xml_header(HEADER)
        for one in readouts:
            dataset.append_acquisition(one)
        dataset.close()
    return path


def noise(coils: int = COILS, dwell: float = 0.0, seed: int = 0) -> ismrmrd.Acquisition:
    return readout(random_complex(coils, 64, seed=seed), flags=(NOISE,), sample_time_us=dwell)


# ---- several measurements in a file


def test_the_last_measurement_is_read_and_another_by_its_name_or_number(tmp_path: Path) -> None:
    path = in_groups(tmp_path / "two.h5", meas_1=acquisitions(phase=range(2)), meas_2=acquisitions(phase=range(4)))
    last = said(path)
    assert last.n_frames == 4 and describe(last)["dataset"] == "meas_2"
    assert any("meas_2 is read; --dataset takes another: meas_1" in note for note in last.notes)
    assert said(path, dataset="meas_1").n_frames == said(path, dataset="0").n_frames == 2
    with pytest.raises(BadRequest, match=r"--dataset meas_3: .* holds meas_1, meas_2"):
        said(path, dataset="meas_3")


def test_a_measurement_of_noise_alone_is_no_image(tmp_path: Path) -> None:
    path = in_groups(tmp_path / "two.h5", a=acquisitions(phase=range(3)), noise=[noise()])
    scan = said(path)
    assert scan.n_frames == 3
    assert f"the measurement noise holds noise: --noise {path}:noise takes it" in scan.notes
    assert not any("holds noise" in note for note in said(path, noise=f"{path}:noise").notes)
    with pytest.raises(BadScan, match="no imaging readouts"):
        said(path, dataset="noise")


def test_one_measurement_needs_no_word(tmp_path: Path) -> None:
    path = in_groups(tmp_path / "one.h5", meas=acquisitions(phase=range(3)))
    assert not any("dataset" in note for note in said(path).notes)


# ---- noise


def test_noise_of_other_coils_is_left_aside_and_said(tmp_path: Path) -> None:
    images = acquisitions(phase=range(2))
    scan = said(write_file(tmp_path / "a.h5", HEADER, [noise(5), *images]))
    assert scan.noise is None and describe(scan)["noise_of_other_coils"] == 1
    assert any("noise of 5 coils left aside (1 readouts), the scan has 2: --noise" in note for note in scan.notes)
    both = said(write_file(tmp_path / "b.h5", HEADER, [noise(5), noise(), *images]))
    assert both.noise is not None and both.noise.shape == (COILS, 64)


def test_noise_from_another_file_or_group_at_the_bandwidth_of_the_scan(tmp_path: Path) -> None:
    images = acquisitions(phase=range(2))
    for one in images:
        one.sample_time_us = 2.0
    path = in_groups(tmp_path / "scan.h5", images=images, before=[noise(dwell=8.0, seed=1)])
    other = write_file(tmp_path / "noise.h5", HEADER, [noise(dwell=8.0, seed=2)])
    np.save(tmp_path / "noise.npy", random_complex(COILS, 70, seed=3))
    for asked, seed, n, factor in (
        (f"{path}:before", 1, 64, 2.0),
        (other, 2, 64, 2.0),
        (tmp_path / "noise.npy", 3, 70, 1.0),
    ):
        scan = said(path, noise=asked)
        np.testing.assert_allclose(scan.noise, factor * random_complex(COILS, n, seed=seed), rtol=1e-6)
        assert any(note.startswith("noise from ") for note in scan.notes)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("none.h5", "no such file"),
        ("scan.h5", "none of its 16 readouts is flagged as noise"),
        ("scan.h5:other", "it holds dataset"),
        ("coils.h5", "it has 5 coils, the scan 2"),
        ("real.npy", "no complex samples"),
        ("text.h5", "no acquisitions|cannot be read|damaged|no group"),
    ],
)
def test_what_is_no_noise_of_the_scan_is_refused(tmp_path: Path, name: str, why: str) -> None:
    path = write_file(tmp_path / "scan.h5", HEADER, acquisitions(phase=range(2)))
    write_file(tmp_path / "coils.h5", HEADER, [noise(5)])
    np.save(tmp_path / "real.npy", np.ones((2, 9)))
    (tmp_path / "text.h5").write_text("words")
    with pytest.raises(BadRequest, match=why) as caught:
        said(path, noise=tmp_path / name)
    assert str(caught.value).startswith("--noise ")


def test_a_file_of_noise_belongs_to_what_a_scan_is_read_from(tmp_path: Path) -> None:
    write_file(tmp_path / "a.h5", HEADER, [noise()])
    assert ReadOptions.parsed({"noise": tmp_path / "a.h5"}).files == [tmp_path / "a.h5"]
    assert ReadOptions.parsed({"noise": f"{tmp_path / 'a.h5'}:dataset"}).files == [tmp_path / "a.h5"]


# ---- contrasts, sets, repetitions, averages


@pytest.mark.parametrize(("counter", "option"), [("contrast", "contrast"), ("set", "set_index")])
def test_one_contrast_and_one_set_is_read_and_said(tmp_path: Path, counter: str, option: str) -> None:
    path = write_file(tmp_path / "a.h5", HEADER, acquisitions(phase=range(2), **{counter: range(3)}))
    first, last = said(path), said(path, **{option: 2})
    assert (levels(first), levels(last)) == ({1, 11}, {201, 211})
    for number, scan in enumerate((first, last)):
        assert describe(scan)[option] == 2 * number
        assert any(f"idx.{counter} has 3 values, {2 * number} is read, 32 readouts" in note for note in scan.notes)
    with pytest.raises(BadRequest, match="choose 0, 1, 2"):
        said(path, **{option: 7})


@pytest.mark.parametrize("counter", ["repetition", "average"])
def test_what_is_measured_again_is_never_merged_without_a_word(tmp_path: Path, counter: str) -> None:
    path = write_file(tmp_path / "a.h5", HEADER, acquisitions(phase=range(3), **{counter: range(2)}))
    first = said(path)
    assert (first.n_frames, levels(first)) == (3, {1, 11, 21})
    assert describe(first)[counter] == 0
    assert any(f"--{counter} takes another, --average yes all together" in note for note in first.notes)
    assert levels(said(path, **{counter: 1})) == {101, 111, 121}
    merged = said(path, average="yes")
    assert levels(merged) == {1, 11, 21, 101, 111, 121}
    assert merged.readouts_per_frame.tolist() == [[2 * NY] * 3]
    assert any("all are taken together, as was said" in note for note in merged.notes)
    with pytest.raises(BadRequest, match=f"--{counter} 2: there is no such {counter}; choose 0, 1"):
        said(path, **{counter: 2})


def test_parts_of_a_frame_that_repetitions_measured_are_one_and_said(tmp_path: Path) -> None:
    even, odd = acquisitions(range(0, NY, 2), phase=range(3)), acquisitions(range(1, NY, 2), phase=range(3))
    for one in odd:
        one.idx.repetition = 1
    path = write_file(tmp_path / "a.h5", HEADER, even + odd)
    scan = said(path)
    assert scan.readouts_per_frame.tolist() == [[NY] * 3]
    assert any(
        "each with other readouts: all are taken together, --repetition takes one" in note for note in scan.notes
    )
    assert said(path, repetition=1).readouts_per_frame.tolist() == [[NY // 2] * 3]


@pytest.mark.parametrize("again", [True, False])
def test_spokes_are_the_same_where_they_lie_alike_whatever_their_numbers(tmp_path: Path, again: bool) -> None:
    made = []
    for repetition, phase, n in product(range(2), range(2), range(5)):
        angle = 1.9 * (n if again else n + 5 * repetition)
        k = ((np.arange(NX) - NX // 2) / NX)[:, None] * [np.cos(angle), np.sin(angle)]
        made.append(readout(np.ones((COILS, NX)), k, phase=phase, repetition=repetition, stamp=len(made)))
    scan = said(write_file(tmp_path / "a.h5", header((NY, NX), fov=(80.0, 80.0), kind="radial"), made))
    assert scan.readouts_per_frame.tolist() == [[5 if again else 10] * 2]
    assert any(("0 alone is read" if again else "each with other readouts") in note for note in scan.notes)


def test_repetitions_that_are_the_frames_or_go_with_them_need_no_word(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.h5", HEADER, acquisitions(repetition=range(3)))
    assert said(path).n_frames == 3
    together = acquisitions(phase=range(3))
    for one in together:
        one.idx.repetition = one.idx.phase + 5
    for scan in (said(path), said(write_file(tmp_path / "b.h5", HEADER, together))):
        assert scan.n_frames == 3 and not any("together" in note for note in scan.notes)


def test_averages_of_what_is_in_no_frames_are_said(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.h5", HEADER, acquisitions(average=range(2)))
    scan = said(path)
    assert (scan.n_frames, scan.n_readouts) == (0, 2 * NY)
    assert any("in order of time: --average takes one" in note for note in scan.notes)
    assert said(path, average=1).n_readouts == NY


@pytest.mark.parametrize("given", [{"average": "no"}, {"repetition": -1}, {"contrast": "first"}, {"set_index": 1.5}])
def test_numbers_are_whole(given: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        ReadOptions.parsed(given)
