"""NIfTI-1: magnitude in four dimensions (x, y, slice, time), mm and s, scanner affine to overlay other images."""

from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from dainr.cine import Cine
from dainr.io.hdf5 import write_whole

SCANNER_COORDINATES, ALIGNED_COORDINATES = 1, 2


def write_nifti(cine: Cine, path: Path) -> None:
    """Write the magnitude of a cine as .nii or .nii.gz; the file appears only once it is complete."""
    write_maps(np.abs(cine.data).astype(np.float32), cine, path)


def write_maps(maps: Shaped[np.ndarray, "slice frame y x"], cine: Cine, path: Path) -> None:
    """Write real numbers, or labels, with the times and the place of a cine."""
    import nibabel  # here, for it takes a while and few results are written in this format

    data = np.ascontiguousarray(maps.transpose(3, 2, 0, 1))
    affine = cine.orientation()
    image = nibabel.nifti1.Nifti1Image(data, affine)
    code = ALIGNED_COORDINATES if cine.affine is None else SCANNER_COORDINATES
    image.set_sform(affine, code=code)
    image.set_qform(affine, code=code)
    zooms = (*np.linalg.norm(affine[:3, :3], axis=0), cine.frame_spacing)
    image.header.set_zooms(zooms)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"dainr"
    image.header["toffset"] = float(cine.times[0])
    size = 0 if path.suffix == ".gz" else data.nbytes  # packed, it is not known before
    with write_whole(path, size) as temporary:
        nibabel.loadsave.save(image, temporary)
