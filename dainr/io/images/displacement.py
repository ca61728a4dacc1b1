"""Files of motion: NIfTI displacement fields as ITK reads them, dainr's own HDF5 (schema `dainr-motion`), and .npy.

NIfTI: five dimensions (x, y, slice, frame, 3), intent 1007 (vector), mm. The vectors are in LPS (left, posterior,
superior), as ITK takes those of this intent, while the affine is in RAS, as in every NIfTI file.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from dainr.io.hdf5 import new_hdf5, write_whole
from dainr.io.images.nifti import ALIGNED_COORDINATES, SCANNER_COORDINATES
from dainr.motion import Motion

SCHEMA, VERSION = "dainr-motion", 1
SUFFIXES = (".nii.gz", ".nii", ".npy", ".h5")
OF_ONE_VOLUME = (".nii.gz", ".nii")
LPS = np.array([-1.0, -1.0, 1.0])  # of RAS


def write_displacement(motion: Motion, path: Path) -> None:
    """Write motion in the format its suffix names; the file appears only once it is complete.

    .npy: float32 `slice frame 2 y x`, (x, y) in mm.
    """
    if path.name.endswith(OF_ONE_VOLUME):
        _write_nifti(motion, path)
    elif path.suffix == ".h5":
        _write_hdf5(motion, path)
    else:
        with write_whole(path, motion.displacement.nbytes) as temporary:
            np.save(temporary, motion.mm)


def vectors(motion: Motion) -> Float[np.ndarray, "x y slice frame 3"]:
    """The displacements in mm, LPS, of slices that are one stack."""
    affine = motion.orientation()
    axes = affine[:3, :2] / np.linalg.norm(affine[:3, :2], axis=0)  # of columns and rows, in RAS
    along = np.einsum("c,ca,sfayx->xysfc", LPS, axes, motion.mm)
    return np.ascontiguousarray(along.astype(np.float32))


def _write_nifti(motion: Motion, path: Path) -> None:
    import nibabel  # here, for it takes a while and few results are written in this format

    affine, data = motion.orientation(), vectors(motion)
    image = nibabel.nifti1.Nifti1Image(data, affine)
    code = ALIGNED_COORDINATES if motion.affine is None else SCANNER_COORDINATES
    image.set_sform(affine, code=code)
    image.set_qform(affine, code=code)
    step = float(np.diff(motion.times).mean()) if len(motion.times) > 1 else 0.0
    image.header.set_zooms((*np.linalg.norm(affine[:3, :3], axis=0), step, 1.0))
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_intent("vector", (), motion.kind)
    image.header["descrip"] = b"dainr: displacement, mm, LPS"
    image.header["toffset"] = float(motion.times[0])
    size = 0 if path.suffix == ".gz" else data.nbytes  # packed, it is not known before
    with write_whole(path, size) as temporary:
        nibabel.loadsave.save(image, temporary)


def _write_hdf5(motion: Motion, path: Path) -> None:
    arrays = {"displacement": motion.mm, "jacobian": motion.jacobian, "found": motion.found, "times": motion.times}
    with write_whole(path) as temporary, new_hdf5(temporary) as file:
        for name, array in arrays.items():
            file[name] = array
        file["displacement"].attrs["axes"], file["displacement"].attrs["unit"] = "slice frame (x, y) y x", "mm"
        file.attrs["schema"], file.attrs["version"], file.attrs["kind"] = SCHEMA, VERSION, motion.kind
        file.attrs["reference"] = "canonical" if motion.reference is None else motion.reference
        file.attrs["fov_mm"], file.attrs["slice_thickness_mm"] = motion.fov_mm, motion.slice_thickness_mm
        for name in ("affine", "planes"):
            if (value := getattr(motion, name)) is not None:
                file.attrs[name] = value
        if motion.assumed:
            file.attrs["assumed"] = " ".join(motion.assumed)
