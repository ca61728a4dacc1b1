"""Errors of frames are in units of the noise of the fully sampled image."""

import numpy as np

from benchmarks.frames import in_noise


def test_a_frame_that_is_off_by_noise_of_one_has_an_error_of_one() -> None:
    random = np.random.default_rng(0)
    reference = 100 * random.random((3, 80, 80)) * np.linspace(0.2, 1, 3)[:, None, None]
    images = reference.copy()
    images[1] += random.standard_normal((80, 80))
    errors = in_noise(images, 7 * reference)
    np.testing.assert_allclose(errors, [0, 1, 0], atol=0.1)
