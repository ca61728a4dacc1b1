"""Seeds of the fuzzer that are read with options: what is said of a file, and files that options name, damaged too."""

from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import numpy as np
import scipy.io

from dainr.io import ReadOptions, load
from dainr.io.scans.ismrmrd_write import write_ismrmrd
from dainr.simulate.simulate import SimulationConfig, simulate_phantom

SAID_SEEDS = (("grasp", "mat"), ("l_plus_s", "mat"), ("stack", "mrd"), ("spokes", "mrd"), ("groups", "mrd"))
SAID: dict[str, dict[str, Any]] = {  # a name ending in a suffix is a file beside the seed
    "grasp": {"pixel_mm": "1.5x1.2", "slice_mm": 4, "readout_ms": 3, "density": "density.npy"},
    "l_plus_s": {"frame_ms": 40, "affine": "affine.txt", "coil_maps": "maps.h5"},
    "stack": {"coil_maps": "maps.npy", "time_unit": "ms", "trajectory_unit": "cycles"},
    "spokes": {"trajectory": "tiny-golden:7", "noise": "noise.npy", "average": "yes"},
    "groups": {"dataset": "second", "noise": "groups.mrd:first", "contrast": 1, "set_index": 0, "repetition": 1},
}


def load_said(path: Path) -> Any:
    """Read a seed with what is said of it."""
    files = ("density", "affine", "coil_maps", "noise")
    said = SAID[path.stem]
    return load(path, ReadOptions.parsed({k: path.parent / v if k in files else v for k, v in said.items()}))


def write_said(paths: list[Path], random: np.random.Generator) -> None:
    """The seeds at these paths, in the order of SAID_SEEDS."""
    grasp, l_plus_s, stack, spokes, groups = paths
    k = ((np.arange(16) - 8) / 16)[:, None] * np.exp(1.9j * np.arange(6))
    maps = _complex(random, 8, 10, 2)
    scipy.io.savemat(grasp, {"kdata": _complex(random, 16, 6, 2), "k": k, "w": np.abs(k), "b1": maps})
    np.save(grasp.with_name("density.npy"), np.abs(k).T)
    scipy.io.savemat(l_plus_s, {"kdata": _complex(random, 10, 8, 3, 2), "b1": maps.swapaxes(0, 1)})
    np.savetxt(l_plus_s.with_name("affine.txt"), np.diag([2.0, 2.0, 8.0, 1.0]))
    with h5py.File(l_plus_s.with_name("maps.h5"), "w") as file:
        file["coil_maps"] = maps.transpose(2, 0, 1)
    slab = SimulationConfig("stack-of-stars", spokes=3, coils=2, frames=2, matrix=16, partitions=3)
    write_ismrmrd(simulate_phantom(slab), stack, partitions=True)
    np.save(stack.with_name("maps.npy"), _complex(random, 3, 2, 16, 16))
    _write(spokes, "dataset", "goldenangle", random, range(2))
    np.save(spokes.with_name("noise.npy"), _complex(random, 2, 64))
    _write(groups, "first", "cartesian", random, (), noise=True)
    _write(groups, "second", "cartesian", random, range(2))


def _complex(random: np.random.Generator, *shape: int) -> np.ndarray:
    return (random.normal(size=shape) + 1j * random.normal(size=shape)).astype(np.complex64)


def _write(
    path: Path, group: str, kind: str, random: np.random.Generator, repetitions: Any, noise: bool = False
) -> None:
    """A group of 8 readouts for each of two contrasts, two frames and the repetitions; or of noise alone."""
    xsd = ismrmrd.xsd
    space = xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=16, y=8, z=1), fieldOfView_mm=xsd.fieldOfViewMm(x=160.0, y=80.0, z=8.0)
    )
    encoding = xsd.encodingType(
        encodedSpace=space,
        reconSpace=space,
        encodingLimits=xsd.encodingLimitsType(),
        trajectory=xsd.trajectoryType(kind),
    )
    conditions = xsd.experimentalConditionsType(H1resonanceFrequency_Hz=63870000)
    dataset = ismrmrd.Dataset(str(path), group, create_if_needed=True)
    dataset.write_xml_header(xsd.ToXML(xsd.ismrmrdHeader(experimentalConditions=conditions, encoding=[encoding])))
    if noise:
        acquisition = ismrmrd.Acquisition.from_array(_complex(random, 2, 64))
        acquisition.set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
        dataset.append_acquisition(acquisition)
    for contrast, repetition, phase, line in np.ndindex(2, len(repetitions), 2, 8):
        acquisition = ismrmrd.Acquisition.from_array(_complex(random, 2, 16))
        idx = acquisition.idx
        idx.contrast, idx.repetition, idx.phase, idx.kspace_encode_step_1 = contrast, repetition, phase, line
        acquisition.center_sample, acquisition.acquisition_time_stamp = 8, 16 * phase + line
        dataset.append_acquisition(acquisition)
    dataset.close()
