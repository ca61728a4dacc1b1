"""The patient's axes: left, posterior, superior in ISMRMRD and DICOM; right, anterior, superior in affines."""

import numpy as np
from jaxtyping import Float

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


def placement(
    affine: Float[np.ndarray, "4 4"], matrix: tuple[int, int]
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3 3"]]:
    """Centre of the first slice in mm and the directions of x, y and slice (rows), in LPS, of a RAS affine."""
    ny, nx = matrix
    columns = LPS_TO_RAS @ affine[:3, :3]
    centre = LPS_TO_RAS @ (affine @ np.array([nx // 2, ny // 2, 0.0, 1.0]))[:3]
    return centre, (columns / np.linalg.norm(columns, axis=0)).T
