"""Motion and its geometry: views of their own places, and files for each."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.export import export_motion, motion_targets
from dainr.motion import Motion


def views() -> Motion:
    """Two slices above each other, and one across them."""
    upright = np.diag([2.0, 2.0, 5.0, 1.0])
    second, across = upright.copy(), np.array([[0, 0, 5.0, 3], [2, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 0, 1]])
    second[2, 3] = 5
    displacement = np.arange(3, dtype=np.float32)[:, None, None, None, None] * np.ones((1, 2, 2, 6, 8), np.float32)
    found = np.ones((3, 2, 6, 8), bool)
    planes = np.stack([upright, second, across])
    return Motion(displacement, found, "lagrangian", None, np.arange(2.0), (12.0, 16.0), 5.0, None, planes)


def test_each_view_has_a_file_with_its_own_place_and_axes(tmp_path: Path) -> None:
    targets = motion_targets(views(), tmp_path / "motion.nii.gz")
    assert [path.name for path in targets] == ["motion_view1.nii.gz", "motion_view2.nii.gz"]
    export_motion(views(), tmp_path / "motion.nii.gz")
    stack, across = (nibabel.load(path) for path in targets)
    assert stack.shape == (8, 6, 2, 2, 3) and across.shape == (8, 6, 1, 2, 3)
    np.testing.assert_allclose(np.asarray(stack.dataobj)[0, 0, 1, 0], [-2, -2, 0])  # LPS: x and y turned round
    np.testing.assert_allclose(np.asarray(across.dataobj)[0, 0, 0, 0], [0, -4, 4])  # along y and z


def test_other_formats_hold_all_views(tmp_path: Path) -> None:
    export_motion(views(), tmp_path / "motion.npy")
    assert np.load(tmp_path / "motion.npy").shape == (3, 2, 2, 6, 8)


def test_several_views_cannot_be_tracked_as_a_stack() -> None:
    from dainr.cli.tracked import check_one_stack

    with pytest.raises(BadRequest, match="its slices are 2 views"):
        check_one_stack(views().cine(np.zeros((3, 2, 6, 8))))
