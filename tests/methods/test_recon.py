"""What a reconstruction renders, and what it refuses to."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dainr.cine import Cine
from dainr.errors import BadRequest
from dainr.fields.canonical import CanonicalConfig
from dainr.fields.deformation import DeformationConfig
from dainr.fields.hash_grid import GridConfig
from dainr.fields.pointwise import PointwiseField
from dainr.methods.recon import Recon, put_away

TIMES, MATRIX, SCALES = [0.0, 0.25, 0.5], (8, 12), (2.0, 30.0)


@pytest.fixture
def recon() -> Recon:
    """Two slices, three frames, with an affine."""
    torch.manual_seed(0)
    table = GridConfig(levels=2, finest=16, log2_table=10)
    canonical, deformation = CanonicalConfig(table=table, width=8), DeformationConfig(width=8, layers=2)
    fields = tuple(PointwiseField(deformation, canonical, "native", TIMES, MATRIX, None) for _ in SCALES)
    with torch.no_grad():
        images = [s * f.render(TIMES, MATRIX).numpy() for f, s in zip(fields, SCALES, strict=True)]
    affine = np.diag([3.0, 2.0, 8.0, 1.0])
    cine = Cine(np.stack(images), np.array(TIMES), (16.0, 36.0), 8.0, affine)
    return Recon("dainr", cine, {}, np.abs(cine.data), fields, SCALES)


def test_asked_for_nothing_it_gives_the_cine_as_it_is(recon: Recon) -> None:
    assert recon.render() is recon.cine
    assert recon.render(matrix=MATRIX) is recon.cine


def test_rendering_the_times_of_the_frames_gives_the_frames(recon: Recon) -> None:
    np.testing.assert_allclose(recon.render(times=TIMES).data, recon.cine.data, rtol=1e-5)
    np.testing.assert_allclose(recon.render(n_frames=3).data, recon.cine.data, rtol=1e-5)
    np.testing.assert_allclose(recon.render(times=[0.25]).data, recon.cine.data[:, 1:2], rtol=1e-5)


def test_more_frames_are_evenly_spaced_in_time(recon: Recon) -> None:
    cine = recon.render(n_frames=5)
    assert cine.times.tolist() == [0.0, 0.125, 0.25, 0.375, 0.5]
    assert cine.data.shape == (2, 5, *MATRIX)
    np.testing.assert_allclose(cine.data[:, ::2], recon.cine.data, rtol=1e-5)


def test_another_matrix_keeps_field_of_view_and_place(recon: Recon) -> None:
    cine = recon.render(matrix=(24, 36))
    assert cine.data.shape == (2, 3, 24, 36)
    assert cine.fov_mm == recon.cine.fov_mm
    np.testing.assert_allclose(cine.data[..., 1::3, 1::3], recon.cine.data, rtol=1e-2, atol=1e-4 * abs(cine.data).max())
    for pixel in ((0, 0), (11, 7)):
        before = recon.cine.orientation() @ [*pixel, 0, 1]
        np.testing.assert_allclose(cine.orientation() @ [3 * pixel[0] + 1, 3 * pixel[1] + 1, 0, 1], before, atol=1e-9)


def test_a_matrix_without_an_affine_gets_none(recon: Recon) -> None:
    bare = replace(recon, cine=replace(recon.cine, affine=None))
    assert bare.render(matrix=(5, 5)).affine is None


@pytest.mark.parametrize("request_", [{"n_frames": 5}, {"times": [0.1]}, {"matrix": (16, 24)}])
def test_a_method_without_a_field_has_nothing_between_its_frames(recon: Recon, request_: dict[str, object]) -> None:
    gridding = replace(recon, method="gridding", fields=(), scales=())
    with pytest.raises(BadRequest, match="method gridding fits no continuous field; export without --frames"):
        gridding.render(**request_)
    assert gridding.render(matrix=MATRIX) is recon.cine


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ([], "finite numbers; give seconds"),
        ([0.1, float("nan")], "finite numbers; give seconds"),
        ([-0.1], "lasts from 0 to 0.5 s; choose times within it"),
        ([0.1, 0.6], "lasts from 0 to 0.5 s; choose times within it"),
    ],
)
def test_times_outside_the_scan_are_refused(recon: Recon, times: list[float], reason: str) -> None:
    with pytest.raises(BadRequest, match=reason):
        recon.render(times=times)


@pytest.mark.parametrize("n_frames", [0, -3])
def test_a_cine_without_frames_is_refused(recon: Recon, n_frames: int) -> None:
    with pytest.raises(BadRequest, match="no number of frames; choose 1 to"):
        recon.render(n_frames=n_frames)


@pytest.mark.parametrize("matrix", [(0, 8), (8, 1), (-4, 4), (5000, 8)])
def test_matrices_that_are_no_image_are_refused(recon: Recon, matrix: tuple[int, int]) -> None:
    with pytest.raises(BadRequest, match=f"--matrix {matrix[0]}x{matrix[1]}: .*choose 2 to 4096"):
        recon.render(matrix=matrix)


def test_a_network_put_away_is_the_same_and_can_be_fitted_on(recon: Recon) -> None:
    field = recon.fields[0]
    assert isinstance(field, PointwiseField)
    before = {name: tensor.clone() for name, tensor in [*field.named_parameters(), *field.named_buffers()]}
    places = [p.data_ptr() for p in field.parameters()]
    put_away(field)
    after = dict([*field.named_parameters(), *field.named_buffers()])
    assert before.keys() == after.keys()
    for name, tensor in after.items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
        assert tensor.requires_grad == (name in dict(field.named_parameters()))
    assert not set(places) & {p.data_ptr() for p in field.parameters()}
    field.render(TIMES, MATRIX).abs().sum().backward()
    torch.optim.SGD(field.parameters(), 0.1).step()
    assert any((tensor != before[name]).any() for name, tensor in field.named_parameters())


def test_a_network_on_another_device_is_put_away_from_it(recon: Recon, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device that only knows shapes stands for a GPU; what comes from it is zeros."""
    field = recon.fields[0].to("meta")
    assert isinstance(field, PointwiseField)
    field.displacement([0.0], MATRIX)
    assert {tensor.device.type for kept in field._constants.values() for tensor in kept} == {"meta"}
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: torch.zeros(tensor.shape, dtype=tensor.dtype))
    put_away(field)
    assert {tensor.device.type for tensor in (*field.parameters(), *field.buffers())} == {"cpu"}
    assert not field._constants
    assert not any(parameter.data.numpy().flags.owndata for parameter in field.parameters())  # it lies on disk


def test_without_room_a_network_stays_in_memory(recon: Recon, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise BadRequest("temporary files", "there is no room for them (full)", "set TMPDIR to a folder with more")

    monkeypatch.setattr("dainr.machine.disk.dump", no_room)
    wanted = recon.render(times=[0.1]).data
    for field in recon.fields:
        put_away(field)
    np.testing.assert_array_equal(recon.render(times=[0.1]).data, wanted)
