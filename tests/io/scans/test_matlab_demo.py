"""The layouts of GRASP's and L+S's demos: the object stands where it was, at its size, whatever MATLAB's axes are."""

from pathlib import Path

import jaxtyping
import numpy as np
import pytest

from dainr.errors import BadRequest, BadScan
from dainr.io import ReadOptions
from dainr.io.scans.formats import read
from dainr.methods import configure, get_method
from dainr.prepare.binning import Binning
from dainr.scan import Scan
from tests.io import centred_fft, exact_kspace, random_complex
from tests.io.scans.test_matlab import write

NY, NX, COILS, SPOKES, FRAMES = 20, 16, 3, 40, 2
ANGLES = np.arange(SPOKES * FRAMES) * np.pi * (np.sqrt(5) - 1) / 2
RADIUS = (np.arange(40) - 20) / 40
K = RADIUS[:, None] * np.exp(1j * ANGLES)  # sample spoke; the real part along the first axis of the image
MAPS = random_complex(COILS, NY, NX)


@pytest.fixture(autouse=True)
def checks_as_users_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong shapes must be refused by the program's own checks; the annotations are only checked in tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def block() -> np.ndarray:
    """One block off the centre, its long side along y, and a spot."""
    image = np.zeros((NY, NX), complex)
    image[3:9, 4:7] = 1
    image[14, 11] = 2
    return image


def samples(images: np.ndarray, k: np.ndarray) -> np.ndarray:
    """What spokes measure of coil images: `sample spoke coil`."""
    trajectory = np.stack([k.real, k.imag], -1).transpose(1, 0, 2)
    return exact_kspace(images, trajectory).transpose(2, 1, 0)


@pytest.mark.parametrize("version", ["7.3", "hdf5", "5"])
@pytest.mark.parametrize("name", ["kdata", "rawdata"])
def test_spokes_with_all_that_goes_with_them(version: str, name: str, tmp_path: Path) -> None:
    variables = {name: samples(block() * MAPS, K), "k": K, "w": np.abs(K), "b1": MAPS.transpose(1, 2, 0)}
    scan = read(write(tmp_path / "liver.mat", version, **variables))
    assert (scan.matrix, scan.n_coils, scan.n_readouts, scan.n_samples) == ((NY, NX), COILS, SPOKES * FRAMES, 40)
    np.testing.assert_allclose(scan.trajectory[0, :, :, 0], K.real.T, atol=1e-6)
    np.testing.assert_allclose(scan.kspace[0], exact_kspace(block() * MAPS, scan.trajectory[0]), atol=1e-4)
    assert scan.coil_maps is not None and scan.density is not None
    np.testing.assert_allclose(scan.coil_maps[0], MAPS, rtol=1e-6)
    np.testing.assert_allclose(scan.density[0], np.abs(K).T, atol=1e-6)
    assert (scan.frame, scan.assumed) == (None, ("pixel_mm", "slice_mm", "readout_ms"))


def test_the_object_is_seen_where_it_is_and_as_large(tmp_path: Path) -> None:
    maps = np.ones((1, NY, NX), complex)
    variables = {"kdata": samples(block() * maps, K)[:, :, 0], "k": K, "w": np.abs(K), "b1": maps[0]}
    scan = Binning(spokes_per_frame=2 * SPOKES).applied(read(write(tmp_path / "liver.mat", "7.3", **variables)))
    _, config = configure("gridding", None, ["device=cpu", "nufft=finufft"])
    image = np.abs(get_method("gridding")(scan, config).cine.data[0, 0])
    assert np.corrcoef(image.ravel(), block().real.ravel())[0, 1] > 0.95


def test_spokes_in_frames(tmp_path: Path) -> None:
    k = K.reshape(40, FRAMES, SPOKES).swapaxes(1, 2)
    kdata = np.stack([samples(block() * MAPS * (1 + t), k[:, :, t]) for t in range(FRAMES)], -1)
    scan = read(write(tmp_path / "sorted.mat", "7.3", kdata=kdata, k=k, w=np.abs(k)))
    assert (scan.matrix, scan.n_frames) == ((20, 20), FRAMES)
    assert scan.frame is not None and scan.density is not None
    np.testing.assert_allclose(scan.trajectory[0, :, :, 1], K.imag.T, atol=1e-6)
    np.testing.assert_allclose(scan.density[0], np.abs(K).T, atol=1e-6)
    second = scan.frame[0] == 1
    expected = 2 * exact_kspace(block() * MAPS, scan.trajectory[0, second])
    np.testing.assert_allclose(scan.kspace[0][:, second], expected, atol=1e-4)
    assert any("oversampled 2 times: the matrix is 20 x 20" in note for note in scan.notes)


@pytest.mark.parametrize("swapped", [False, True], ids=["frame-coil", "coil-frame"])
@pytest.mark.parametrize("version", ["7.3", "5"])
def test_lines_with_coil_maps(version: str, swapped: bool, tmp_path: Path) -> None:
    """Axes x, y, frame, coil; where coil maps show that the last two are the other way round, they are read so."""
    images = np.stack([block() * MAPS * (1 + t) for t in range(4)])  # frame coil y x
    kdata = centred_fft(images).transpose(3, 2, 0, 1).copy()
    for t in range(4):
        kdata[:, np.arange(NY) % 2 != t % 2, t] = 0
    kdata = kdata.swapaxes(2, 3) if swapped else kdata
    scan = read(write(tmp_path / "perf.mat", version, kdata=kdata, b1=MAPS.transpose(2, 1, 0)))
    assert (scan.matrix, scan.n_coils, scan.n_frames) == ((NY, NX), COILS, 4)
    check_lines(scan, images)
    assert scan.coil_maps is not None
    np.testing.assert_allclose(scan.coil_maps[0], MAPS, rtol=1e-6)


def check_lines(scan: Scan, images: np.ndarray) -> None:
    assert scan.is_cartesian and scan.frame is not None
    for t, coil_images in enumerate(images):
        mine = scan.frame[0] == t
        assert mine.sum() == NY // 2
        expected = exact_kspace(coil_images, scan.trajectory[0, mine])
        np.testing.assert_allclose(scan.kspace[0][:, mine], expected, atol=1e-4)


def test_the_oversampling_of_spokes_can_be_said_where_nothing_tells_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mat", "5", kdata=samples(block() * MAPS, K), k=K)
    assert read(path, ReadOptions.parsed({"oversampling": 1})).matrix == (40, 40)
    with_maps = write(tmp_path / "b.mat", "5", kdata=samples(block() * MAPS, K), k=K, b1=MAPS.transpose(1, 2, 0))
    lines = write(tmp_path / "c.mat", "5", kspace_full=centred_fft(block() * MAPS).transpose(2, 1, 0))
    for other, why in ((with_maps, "coil maps b1"), (lines, "on their grid")):
        with pytest.raises(BadRequest, match=why):
            read(other, ReadOptions.parsed({"oversampling": 1}))
    with pytest.raises(BadRequest, match="no factor"):
        ReadOptions.parsed({"oversampling": 0.5})


COMPLEX = samples(block() * MAPS, K)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"kdata": COMPLEX}, "kdata has 3 axes and there is no k"),
        ({"kdata": np.abs(COMPLEX), "k": K}, "kdata is not complex"),
        ({"kdata": COMPLEX, "k": K[:, :5]}, "kdata 40 x 80 x 3, k 40 x 5"),
        ({"kdata": COMPLEX, "k": np.abs(K)}, "do not belong together"),
        ({"kdata": COMPLEX, "k": K, "w": np.ones(40)}, "its density weights do not fit"),
        ({"kdata": COMPLEX, "k": K, "w": -np.abs(K)}, "negative"),
        ({"kdata": COMPLEX, "k": 20 * K}, "divide it by the matrix size"),
        ({"kdata": COMPLEX, "k": K, "b1": np.ones((NY, NX, 2), complex)}, r"its coil maps are \(2, 20, 16\)"),
        ({"kdata": COMPLEX, "k": K, "b1": np.ones((NY, NX, 3, 2), complex)}, "b1 has 4 axes"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    variables: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadScan, match=message):
        read(write(tmp_path / "some.mat", "7.3", **variables))


def test_a_real_heart_in_five_interleaved_groups(data_folder: Path) -> None:
    scan = read(data_folder / "heart_radial_frame.mat")
    assert (scan.n_coils, scan.n_readouts, scan.n_samples, scan.matrix) == (12, 25, 256, (128, 128))
    echoes = np.abs(scan.kspace[0]).sum(0).argmax(1)
    assert 124 <= echoes.min() <= echoes.max() <= 132
    spoke = np.arange(scan.n_readouts)
    place = spoke % 5 * 5 + spoke // 5  # as docs/formats.md has it
    groups = Binning(spokes_per_frame=5).applied(scan.changed(times=0.002 * place[None]))
    angles = np.degrees(np.arctan2(*np.moveaxis(groups.trajectory[0, :, -1], -1, 0))) % 180
    for group in np.sort(angles.reshape(5, 5), axis=1):
        np.testing.assert_allclose(np.diff(group), 36, atol=1)
