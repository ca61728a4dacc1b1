"""What the report shows of motion."""

import base64
import logging
from dataclasses import replace

import numpy as np
import pytest

from dainr.methods.recon import Recon
from dainr.report.motion import MOST_A_SIDE, STEPS, motion_pictures
from tests.methods.test_displacement import MATRIX, TIMES, field, recon

__all__ = ["recon"]  # a fixture


def test_a_grid_and_colours_of_every_slice(recon: Recon) -> None:
    found = motion_pictures(recon)
    assert found is not None
    (one,), facts = found
    assert (one["rows"], one["columns"]) == MATRIX  # no finer than the pixels
    steps = np.frombuffer(base64.b64decode(one["nodes"]), "<i2").reshape(len(TIMES), 2, *MATRIX)
    motion, brightness = recon.displacement(reference=0.0), np.abs(recon.cine.data[0]).mean(0)
    seen = brightness > 0.05 * brightness.max()  # elsewhere is air
    np.testing.assert_allclose(steps[:, 0] * MATRIX[1] / STEPS, motion.displacement[0, :, 0], atol=0.01)
    assert facts.largest_mm == pytest.approx((np.hypot(*motion.mm[0].transpose(1, 0, 2, 3)) * seen).max())
    assert facts.folded == 0 and not facts.assumed and facts.points == motion.found.size


def test_folding_and_assumed_pixels_are_said(recon: Recon, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        found = motion_pictures(replace(recon, fields=(field(9.0),), cine=replace(recon.cine, assumed=("pixel_mm",))))
    assert found is not None and found[1].folded > 0 and found[1].assumed


def test_the_grid_is_no_more_than_a_page_can_hold(recon: Recon) -> None:
    large = replace(recon, cine=replace(recon.cine, data=np.zeros((1, 3, 400, 300), np.complex64)))
    found = motion_pictures(large)
    assert found is not None and (found[0][0]["rows"], found[0][0]["columns"]) == (MOST_A_SIDE, MOST_A_SIDE)


def test_without_fields_or_a_second_frame_there_is_nothing_to_show(recon: Recon) -> None:
    assert motion_pictures(replace(recon, fields=())) is None
    single = replace(recon.cine, data=recon.cine.data[:, :1], times=recon.cine.times[:1])
    assert motion_pictures(replace(recon, cine=single)) is None
