"""MRD version 2 streams: read as the ISMRMRD files that hold the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dainr.errors import BadScan, MissingBackend
from dainr.io.scans import formats
from tests import io

pytest.importorskip("mrd", reason="mrd-python is not installed")
import mrd

NY, NX = 12, 16


def space(matrix: tuple[int, int], fov: tuple[float, float]) -> Any:
    return mrd.EncodingSpaceType(
        matrix_size=mrd.MatrixSizeType(x=matrix[1], y=matrix[0], z=1),
        field_of_view_mm=mrd.FieldOfViewMm(x=fov[1], y=fov[0], z=8.0),
    )


def header(kind: Any = mrd.Trajectory.CARTESIAN) -> Any:
    """As `tests.io.header((NY, 2 * NX), (NY, NX), (240, 640), (240, 320), centre_line=5, tr_ms=5)`."""
    limits = mrd.EncodingLimitsType(kspace_encoding_step_1=mrd.LimitType(minimum=0, maximum=NY - 1, center=5))
    encoding = mrd.EncodingType(
        encoded_space=space((NY, 2 * NX), (240.0, 640.0)),
        recon_space=space((NY, NX), (240.0, 320.0)),
        encoding_limits=limits,
        trajectory=kind,
    )
    return mrd.Header(
        encoding=[encoding],
        experimental_conditions=mrd.ExperimentalConditionsType(h1resonance_frequency_hz=63870000),
        sequence_parameters=mrd.SequenceParametersType(t_r=[5.0]),
    )


def item(data: np.ndarray, trajectory: np.ndarray | None = None, flags: int = 0, **fields: Any) -> Any:
    """One readout of a stream; `fields` are counters or fields of its head."""
    idx = {name: value for name, value in fields.items() if hasattr(mrd.EncodingCounters(), name)}
    head = mrd.AcquisitionHeader(
        flags=mrd.AcquisitionFlags(flags),
        idx=mrd.EncodingCounters(**idx),
        channel_order=list(range(len(data))),
        **{name: value for name, value in fields.items() if name not in idx},
    )
    points = {} if trajectory is None else {"trajectory": np.ascontiguousarray(trajectory.T, np.float32)}
    return mrd.StreamItem.Acquisition(mrd.Acquisition(head=head, data=data.astype(np.complex64), **points))


def write(path: Path, head: Any, items: list[Any]) -> Path:
    with path.open("wb") as file, mrd.BinaryMrdWriter(file) as stream:
        stream.write_header(head)
        stream.write_data(items)
    return path


def places() -> dict[str, np.ndarray]:
    names = ("position", "read_dir", "phase_dir", "slice_dir")
    values = ([10, -20, 30], [0, 1, 0], [1, 0, 0], [0, 0, -1])
    return {name: np.array(value, np.float32) for name, value in zip(names, values, strict=True)}


@pytest.fixture
def lines() -> list[dict[str, Any]]:
    """Two frames of lines and a noise measurement, as fields that both formats have."""
    kspace, noise = io.random_complex(2, 2 * NY, 2 * NX), io.random_complex(2, 2 * NX, seed=1)
    measured = [{"data": noise, "flags": 1 << 18}]
    for n in range(2 * NY):
        counters = {"kspace_encode_step_1": n % NY, "phase": n // NY}
        measured.append({"data": kspace[:, n], "acquisition_time_stamp": 100 + 2 * n, "center_sample": NX} | counters)
    return measured


def test_a_stream_is_read_as_the_file_that_holds_the_same(lines: list[dict[str, Any]], tmp_path: Path) -> None:
    stream = write(tmp_path / "a.bin", header(), [item(**places(), **line) for line in lines])
    document = io.header((NY, 2 * NX), (NY, NX), (240.0, 640.0), (240.0, 320.0), centre_line=5, tr_ms=5)
    readouts = []
    for line in lines:
        fields = {name: value for name, value in line.items() if name not in ("data", "flags")}
        flags = (19,) if line.get("flags") else ()
        readouts.append(io.readout(line["data"], flags=flags, **places(), **fields))
    found, expected = formats.read(stream), formats.read(io.write_file(tmp_path / "b.mrd", document, readouts))
    for name in ("kspace", "trajectory", "times", "frame", "affine", "noise"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.notes == expected.notes and found.matrix == (NY, NX)


def test_trajectories_are_read(tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 20, 2))
    items = [item(io.random_complex(2, 20, seed=n), points[n], repetition=n) for n in range(4)]
    scan = formats.read(write(tmp_path / "a.bin", header(mrd.Trajectory.RADIAL), items))
    np.testing.assert_allclose(scan.trajectory[0], points[..., ::-1], atol=1e-6)  # ky, kx


def test_a_truncated_stream_is_refused(lines: list[dict[str, Any]], tmp_path: Path) -> None:
    path = write(tmp_path / "a.bin", header(), [item(**line) for line in lines])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 9 // 10])
    with pytest.raises(BadScan, match="its MRD stream cannot be read"):
        formats.read(path)


def test_without_its_package_the_refusal_says_what_to_install(
    lines: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.bin", header(), [item(**line) for line in lines])
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingBackend, match=r'pip install "dainr\[mrd\]"'):
        formats.read(path)
