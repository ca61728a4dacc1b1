"""Writing a cine as ISMRMRD images: complex, each with its place, its slice and its frame in idx.phase."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from dainr.cine import Cine
from dainr.io.hdf5 import new_sink, write_whole
from dainr.io.scans.patient_axes import placement

GROUP, IMAGES = "dataset", "image_0"
MILLISECONDS = 1e3


def write_images(cine: Cine, path: Path) -> None:
    """Write a cine's images, slice by slice; times are physiology time stamps, in ms after the first frame."""
    import ismrmrd  # here, for it takes a while and few results are written in this format

    with (
        write_whole(path, cine.data.size * 8) as temporary,
        new_sink(temporary) as sink,
        closing(ismrmrd.Dataset(sink, GROUP)) as dataset,
    ):
        for index in range(len(cine.data)):
            for frame in range(cine.data.shape[1]):
                dataset.append_image(IMAGES, image_of(cine, index, frame))


def image_of(cine: Cine, index: int, frame: int) -> Any:
    """One image of a cine whose slices are a stack, as `ismrmrd.Image`."""
    import ismrmrd

    image = ismrmrd.Image.from_array(np.ascontiguousarray(cine.data[index, frame], np.complex64), transpose=False)
    affine, thickness = cine.orientation(), cine.slice_thickness_mm
    centre, directions = placement(affine, (cine.data.shape[2], cine.data.shape[3]))
    image.position[:] = centre + index * directions[2] * np.linalg.norm(affine[:3, 2])
    image.read_dir[:], image.phase_dir[:], image.slice_dir[:] = directions
    image.field_of_view[:] = cine.fov_mm[1], cine.fov_mm[0], thickness
    image.slice, image.phase, image.image_index = index, frame, index * cine.data.shape[1] + frame
    image.physiology_time_stamp[0] = round(float(cine.times[frame] - cine.times[0]) * MILLISECONDS)
    return image
