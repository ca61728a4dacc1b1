"""Stacks of stars: partitions along kz become the slices they are of; what is no such stack is refused."""

from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from dainr.assess.describe import describe
from dainr.errors import BadScan
from dainr.io import ReadOptions
from dainr.io.scans.formats import read
from dainr.io.scans.ismrmrd_write import write_ismrmrd
from dainr.scan import Scan
from dainr.simulate import SimulationConfig, simulate_phantom
from tests.io import random_complex, readout, write_file

N, SPOKES, SAMPLES, COILS = 8, 5, 16, 2
KZ = np.arange(N) - N // 2
SLICES = random_complex(N, COILS, SPOKES, SAMPLES, seed=1)  # what the spokes of every slice measure


def partitions(slices: np.ndarray) -> np.ndarray:
    """Their transform along z as a sum, the centre at n // 2."""
    z = np.arange(len(slices)) - len(slices) // 2
    turn = np.exp(-2j * np.pi * np.outer(z, z) / len(slices)) / np.sqrt(len(slices))
    return np.einsum("kz,zcrs->kcrs", turn, slices)


def spoke(n: int, angle: float = 0.0) -> np.ndarray:
    """Where samples of a spoke lie (kx, ky)."""
    turn = n * 1.9416 + angle
    return ((np.arange(SAMPLES) - SAMPLES // 2) / SAMPLES)[:, None] * [np.cos(turn), np.sin(turn)]


def document(n: int = N, centre: int | None = N // 2, recon: tuple[int, float] | None = None) -> str:
    """A header of so many partitions of 4 mm; `recon`: slices and mm of the image along z."""
    xsd = ismrmrd.xsd

    def space(n_z: int, fov_z: float) -> ismrmrd.xsd.encodingSpaceType:
        size = xsd.matrixSizeType(x=SAMPLES, y=SAMPLES, z=n_z)
        return xsd.encodingSpaceType(matrixSize=size, fieldOfView_mm=xsd.fieldOfViewMm(x=160.0, y=160.0, z=fov_z))

    limits = xsd.encodingLimitsType()
    if centre is not None:
        limits.kspace_encoding_step_2 = xsd.limitType(minimum=0, maximum=n - 1, center=centre)
    encoding = xsd.encodingType(
        encodedSpace=space(n, 4.0 * n),
        reconSpace=space(*(recon or (n, 4.0 * n))),
        encodingLimits=limits,
        trajectory=xsd.trajectoryType("radial"),
    )
    conditions = xsd.experimentalConditionsType(H1resonanceFrequency_Hz=63870000)
    return xsd.ToXML(xsd.ismrmrdHeader(experimentalConditions=conditions, encoding=[encoding]))


def measured(keep=lambda partition, n: True, first: int = 0, angle: float = 0.0, **fields) -> list[ismrmrd.Acquisition]:
    """The readouts of all partitions and spokes that are kept, partitions numbered from `first`."""
    data, made = partitions(SLICES), []
    for n in range(SPOKES):
        for partition in range(N):
            if keep(partition, n):
                made.append(
                    readout(
                        data[partition, :, n],
                        spoke(n, angle * partition),
                        kspace_encode_step_1=n,
                        kspace_encode_step_2=partition - first,
                        stamp=n,
                        **fields,
                    )
                )
    return made


def refused(path: Path, word: str) -> None:
    with pytest.raises(BadScan, match=word):
        read(path)


def test_partitions_become_slices(tmp_path: Path) -> None:
    scan = read(write_file(tmp_path / "a.h5", document(), measured()))
    np.testing.assert_allclose(scan.kspace, SLICES, atol=1e-5)
    np.testing.assert_allclose(scan.trajectory[3, 2], spoke(2)[:, ::-1], atol=1e-6)
    assert scan.slice_thickness_mm == 4
    assert describe(scan)["partitions"] == N
    assert any("8 partitions are transformed along kz into 8 slices of 4 mm" in note for note in scan.notes)


def test_slices_lie_about_the_middle_of_the_slab(tmp_path: Path) -> None:
    directions = {"read_dir": (0, 1, 0), "phase_dir": (0, 0, 1), "slice_dir": (1, 0, 0), "position": (10, 20, 30)}
    scan = read(write_file(tmp_path / "a.h5", document(), measured(**directions)))
    assert scan.affine is not None
    centre = scan.affine @ [SAMPLES // 2, SAMPLES // 2, N // 2, 1]
    np.testing.assert_allclose(centre[:3], [-10, -20, 30], atol=1e-5)
    np.testing.assert_allclose(np.abs(scan.affine[:3, 2]), [4, 0, 0], atol=1e-5)
    np.testing.assert_allclose(scan.kspace[0], SLICES[0] if scan.affine[0, 2] < 0 else SLICES[-1], atol=1e-5)


def test_partitions_that_partial_fourier_left_out_are_zero_and_noise_stays_as_it_was(tmp_path: Path) -> None:
    """Two of eight are missing, at the beginning: the header tells the centre."""
    made = measured(lambda partition, n: partition >= 2, first=2)
    scan = read(write_file(tmp_path / "a.h5", document(centre=2), made))
    filled = partitions(SLICES)
    filled[:2] = 0
    z = np.arange(N) - N // 2
    back = np.exp(2j * np.pi * np.outer(z, z) / N) / np.sqrt(N)
    expected = np.sqrt(8 / 6) * np.einsum("zk,kcrs->zcrs", back, filled)
    np.testing.assert_allclose(scan.kspace, expected, atol=1e-5)
    assert np.mean(np.abs(scan.kspace) ** 2) == pytest.approx(np.mean(np.abs(SLICES) ** 2), rel=0.1)
    assert any("2 were not measured (partial Fourier): zero" in note for note in scan.notes)


def test_elliptic_corners_are_zero_and_said(tmp_path: Path) -> None:
    scan = read(write_file(tmp_path / "a.h5", document(), measured(lambda p, n: n < 3 or 2 <= p < 6)))
    assert (scan.n_slices, scan.n_readouts) == (N, SPOKES)
    np.testing.assert_allclose(scan.kspace[:, :, :3], SLICES[:, :, :3], atol=1e-5)
    assert any("from 4 to 8 of them (elliptic)" in note for note in scan.notes)


def test_slice_oversampling_is_cropped(tmp_path: Path) -> None:
    scan = read(write_file(tmp_path / "a.h5", document(recon=(4, 16.0)), measured()))
    np.testing.assert_allclose(scan.kspace, SLICES[2:6], atol=1e-5)


def test_slices_interpolated_by_the_scanner_stay_as_they_were_measured(tmp_path: Path) -> None:
    scan = read(write_file(tmp_path / "a.h5", document(recon=(16, 32.0)), measured()))
    assert (scan.n_slices, scan.slice_thickness_mm) == (N, 4)


def test_the_central_partition_is_the_strongest_where_the_header_tells_none(tmp_path: Path) -> None:
    made = measured(lambda partition, n: partition >= 2, first=2)
    for one in made:
        one.data[:] *= 20 if one.idx.kspace_encode_step_2 == 2 else 1
    scan = read(write_file(tmp_path / "a.h5", document(centre=None), made))
    told = read(write_file(tmp_path / "b.h5", document(centre=2), made))
    np.testing.assert_array_equal(scan.kspace, told.kspace)
    assert any("no central partition: 2 is, which holds the most energy" in note for note in scan.notes)


def test_lines_of_partitions_are_stacks_too(tmp_path: Path) -> None:
    made = measured()
    for one in made:
        one.resize(SAMPLES, COILS, 0)
        one.center_sample = SAMPLES // 2
    for one, whole in zip(made, measured(), strict=True):
        one.data[:] = whole.data
    lines = document().replace("<trajectory>radial", "<trajectory>cartesian")
    scan = read(write_file(tmp_path / "a.h5", lines, made))
    assert scan.is_cartesian
    np.testing.assert_allclose(scan.kspace, SLICES, atol=1e-5)


def test_a_stack_without_a_trajectory_is_placed_by_its_scheme(tmp_path: Path) -> None:
    made = measured()
    for one, whole in zip(made, measured(), strict=True):
        one.resize(SAMPLES, COILS, 0)
        one.data[:], one.center_sample = whole.data, SAMPLES // 2
    path = write_file(tmp_path / "a.h5", document(), made)
    refused(path, "--trajectory golden")
    scan = read(path, ReadOptions.parsed({"trajectory": "golden"}))
    np.testing.assert_allclose(scan.kspace, SLICES, atol=1e-5)
    np.testing.assert_allclose(scan.trajectory[5, 3], spoke(3)[:, ::-1], atol=1e-3)


def test_spokes_without_numbers_go_by_time(tmp_path: Path) -> None:
    made = measured()
    for one in made:
        one.idx.kspace_encode_step_1 = 0
    scan = read(write_file(tmp_path / "a.h5", document(), made))
    np.testing.assert_allclose(scan.kspace, SLICES, atol=1e-5)


def test_frames_have_stacks_of_their_own(tmp_path: Path) -> None:
    made = measured(phase=0) + measured(phase=1)
    scan = read(write_file(tmp_path / "a.h5", document(), made))
    assert scan.readouts_per_frame.tolist() == [[SPOKES] * 2] * N


@pytest.mark.parametrize(
    ("made", "word"),
    [
        (measured(lambda p, n: p % 2 == 0), "undersampled along kz: 5 of its 5 stacks"),
        (measured(lambda p, n: p < 3), "lack the central one, 4"),
        (measured(angle=0.3), "spokes of one number lie elsewhere in each partition"),
        (measured(first=-2), "go to 9, its header tells 8"),
    ],
)
def test_what_is_no_stack_is_refused(tmp_path: Path, made: list[ismrmrd.Acquisition], word: str) -> None:
    refused(write_file(tmp_path / "a.h5", document(), made), word)


def test_kz_beside_a_flat_trajectory_is_the_partition_and_a_changing_one_refused(tmp_path: Path) -> None:
    def with_third(slope: float) -> list[ismrmrd.Acquisition]:
        made = measured()
        for one in made:
            third = (one.idx.kspace_encode_step_2 - N // 2) / N + slope * np.arange(SAMPLES)
            points = np.concatenate([one.traj, third[:, None]], 1).astype(np.float32)
            one.resize(SAMPLES, COILS, 3)
            one.traj[:] = points
        data = iter(measured())
        for one in made:
            one.data[:] = next(data).data
        return made

    scan = read(write_file(tmp_path / "a.h5", document(), with_third(0.0)))
    np.testing.assert_allclose(scan.kspace, SLICES, atol=1e-5)
    refused(write_file(tmp_path / "b.h5", document(), with_third(0.01)), "three-dimensional: readouts leave")


def test_a_simulated_stack_is_read_as_the_slices_it_is_of(tmp_path: Path) -> None:
    config = SimulationConfig("stack-of-stars", spokes=8, frames=2, coils=2, matrix=16, partitions=4)
    scan: Scan = simulate_phantom(config)
    write_ismrmrd(scan, tmp_path / "sos.h5", partitions=True)
    back = read(tmp_path / "sos.h5")
    np.testing.assert_allclose(back.kspace, scan.kspace, atol=1e-4 * np.abs(scan.kspace).max())
    np.testing.assert_allclose(back.affine, scan.affine, atol=1e-3)
    np.testing.assert_array_equal(back.reference, scan.reference)
    np.testing.assert_array_equal(back.frame, scan.frame)
    brightness = scan.reference.sum((1, 2, 3))
    assert brightness[2] > brightness[0]  # slices differ: the slab's ends are smaller


def test_directions_that_mean_the_other_sign_of_the_transform_do_so_along_kz_too(tmp_path: Path) -> None:
    places = {"read_dir": (1, 0, 0), "phase_dir": (0, 1, 0), "slice_dir": (0, 0, 1)}
    siemens = document().replace(
        "<experimentalConditions>",
        "<acquisitionSystemInformation><systemVendor>SIEMENS</systemVendor></acquisitionSystemInformation>"
        "<experimentalConditions>",
    )
    scan = read(write_file(tmp_path / "a.h5", siemens, measured(**places)))
    assert scan.affine is not None
    first = scan.affine @ [0, 0, 0, 1]
    np.testing.assert_allclose(scan.kspace[0], SLICES[0] if first[2] > 0 else SLICES[-1], atol=1e-5)
    assert abs(first[2]) == pytest.approx(4 * (N // 2) if first[2] > 0 else 4 * (N // 2 - 1))
