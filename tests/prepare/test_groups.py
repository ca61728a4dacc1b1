"""Groups of readouts: each its own, the centre of lines together, one pattern or many."""

from dataclasses import replace

import numpy as np
import torch

from dainr.operators.measured import Measurements
from dainr.prepare import PrepareConfig, prepare_slice
from dainr.prepare.frame_data import frame_data
from dainr.prepare.groups import measurements
from dainr.scan import Scan


def groups_of(scan: Scan, **settings: float) -> Measurements:
    prepared = prepare_slice(scan, 0, PrepareConfig(**settings), 0)
    return measurements(prepared, frame_data(prepared, ~prepared.held_out, "finufft", torch.device("cpu")), True)


def test_every_spoke_is_a_group_that_counts_as_much_as_another(radial_scan: Scan) -> None:
    found = groups_of(radial_scan, holdout=0.0)
    assert (found.n_frames, found.n_groups, found.centre, found.cyclic) == (6, 9, False, True)
    assert found.filled.all() and not found.shared_pattern


def test_held_out_spokes_are_in_no_group(radial_scan: Scan) -> None:
    found = groups_of(radial_scan, holdout=0.2)
    assert 6 * 9 * 0.7 <= found.filled.sum() <= 6 * 9 * 0.85


def test_central_lines_are_the_first_group(cartesian_scan: Scan) -> None:
    found = groups_of(cartesian_scan, holdout=0.0)
    centre = found.of((torch.arange(found.n_groups) == 0).expand(found.n_frames, -1))
    images = torch.fft.ifftshift(centre.rhs, dim=(1, 2))
    spectrum = torch.fft.fftshift(torch.fft.fft2(images), dim=(1, 2)).abs().mean((0, 2))
    assert found.centre and found.filled[:, 0].all()
    assert spectrum[14:19].min() > 3 * spectrum[[4, 8, 24, 28]].max()  # coils smear a line a little


def test_one_pattern_for_all_frames_is_seen(cartesian_scan: Scan) -> None:
    first = cartesian_scan.frame == 0
    assert cartesian_scan.frame is not None
    numbers = np.flatnonzero(first[0])
    every = np.tile(numbers, cartesian_scan.n_frames)
    same = replace(
        cartesian_scan,
        kspace=cartesian_scan.kspace[:, :, every],
        trajectory=cartesian_scan.trajectory[:, every],
        times=np.sort(cartesian_scan.times[:, every], 1),
        frame=np.repeat(np.arange(cartesian_scan.n_frames), len(numbers))[None],
        phase=None,
    )
    assert groups_of(same, holdout=0.0).shared_pattern
    assert not groups_of(cartesian_scan, holdout=0.0).shared_pattern


def test_lines_say_how_often_such_lines_are_measured(cartesian_scan: Scan) -> None:
    found = groups_of(cartesian_scan, holdout=0.0)
    outer = found.occurrence[:, 1:][found.filled[:, 1:]]
    assert float(found.occurrence[:, 0].min()) > 2 * float(outer.min())
    assert float(outer.min()) > 0
    assert float(found.occurrence.max()) <= 1
    n_lines = cartesian_scan.kspace.shape[2] / cartesian_scan.n_frames
    of_lines = found.of(found.filled / found.occurrence).weight / found.of().weight * n_lines
    assert 0.8 * 32 < float(of_lines) < 1.2 * 32  # divided by it, they stand for all lines


def test_spokes_need_no_occurrence(radial_scan: Scan) -> None:
    assert (groups_of(radial_scan, holdout=0.0).occurrence == 1).all()


def test_lines_are_there_as_arrays_without_those_held_out(cartesian_scan: Scan, radial_scan: Scan) -> None:
    found = groups_of(cartesian_scan, holdout=0.2).of()
    assert found.on_grid is not None
    samples = found.on_grid()
    torch.testing.assert_close(samples.combine(samples.kspace), found.rhs, atol=1e-4, rtol=1e-4)
    everything = groups_of(cartesian_scan, holdout=0.0).of().on_grid
    assert everything is not None and (everything().weights > 0).sum() > (samples.weights > 0).sum()
    assert groups_of(radial_scan, holdout=0.0).of().on_grid is None
