"""Damaged scan files: each must give a clear error or a scan, never a traceback, a hang or all the memory.

    python -m benchmarks.fuzz [--inputs 100000] [--seed 0] [--keep FOLDER] [-o fuzz.md]

Small files of every format, some read with options and files that these name, are changed at random: bytes, blocks,
ends. One that makes the readers go from line to line as none before it is changed further. Readers may take 4 GB and
5 s. A file whose reader crashed or found no end, and one that went wrong, is kept in a folder, to be read again.
"""

import argparse
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import numpy as np
import scipy.io

from benchmarks.common import Report, heading, say, table
from benchmarks.fuzz_others import write_stream, write_twix
from benchmarks.fuzz_said import SAID_SEEDS, load_said, write_said
from benchmarks.reached import Reached
from dainr.errors import BadRequest, BadScan
from dainr.io import load, load_mask
from dainr.io.scans import reading
from dainr.io.scans.bart import write_cfl
from dainr.io.scans.formats import WRITERS
from dainr.io.scans.reading import LOST
from dainr.simulate.simulate import SimulationConfig, simulate_phantom

MEMORY, PATIENCE_S = 4 << 30, 5.0
KINDS = ("a scan or mask", "a clear error", "a clear error of a reader that was lost", "an exception")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print how many inputs of each format ended how; the exit code is 1 where one ended badly."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz_failures"), help="folder for inputs to look at")
    parser.add_argument("-o", "--output", type=Path)
    asked = parser.parse_args(arguments)
    reading.PATIENCE_S = PATIENCE_S  # the files are tiny
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))  # of the readers' process, too
    with tempfile.TemporaryDirectory() as folder, Reached(Path(folder) / "ways") as reached:
        seeds = write_seeds(Path(folder))
        counts = {path.name: Counter[str]() for path in seeds}
        corpus = {path.name: [path] for path in seeds}
        reached.goes_new_ways()
        first, place = len(reached.ways), Path(folder) / "damaged"
        for number in range(asked.inputs):
            random = np.random.default_rng([asked.seed, number])
            mine = corpus[seeds[number % len(seeds)].name]
            seed = mine[random.integers(len(mine))]
            shutil.rmtree(place, ignore_errors=True)
            damaged = damage(seed, place, random)
            ended = how_it_ends(damaged)
            counts[seed.name][ended] += 1
            if reached.goes_new_ways():
                mine.append(shutil.copytree(place, Path(folder) / "corpus" / str(number)) / seed.name)
            if ended in KINDS[2:]:
                shutil.copytree(place, asked.keep / f"{number}_{ended.replace(' ', '_')}", dirs_exist_ok=True)
                say(f"input {number}, {seed.name}: {ended}")
    report = Report(asked.output)
    report.add(heading("Damaged files", "fuzz", arguments, "cpu"))
    report.add(
        f"{len(reached.ways)} ways from line to line of the readers, {first} of them by sound files;"
        f" {sum(map(len, corpus.values())) - len(seeds)} damaged files went a new one."
    )
    report.add(table(("file", *KINDS), [[name, *(str(c[kind]) for kind in KINDS)] for name, c in counts.items()]))
    if any(c[KINDS[3]] for c in counts.values()):
        raise SystemExit(1)


def write_seeds(folder: Path) -> list[Path]:
    """A small scan in every format, each in a folder of its own with what belongs to it."""
    scan = simulate_phantom(SimulationConfig(pattern="uniform", acceleration=3, coils=2, frames=3, matrix=16))
    lines = range(0, scan.n_readouts, 3)
    scan = scan.changed(calibration=scan.kspace[:, :, lines], calibration_trajectory=scan.trajectory[:, lines])
    paths = [folder / name / f"{name}.{suffix}" for name, suffix in SEEDS]
    for path in paths:
        path.parent.mkdir()
    WRITERS["native"](scan, paths[0])
    WRITERS["ismrmrd"](scan, paths[1])
    random = np.random.default_rng(0)
    kspace = (random.normal(size=(12, 10, 2, 1, 3)) + 1j * random.normal(size=(12, 10, 2, 1, 3))).astype(np.complex64)
    kspace[:, 1::2] = 0
    write_cfl(paths[2], kspace[:, :, :, 0].reshape(12, 10, 1, 2, *[1] * 6, 3))
    angle = np.arange(6) * 1.9
    radius = np.arange(-8, 8) / 2
    points = np.stack(
        [np.multiply.outer(radius, np.cos(angle)), np.multiply.outer(radius, np.sin(angle)), np.zeros((16, 6))]
    )
    write_cfl(paths[3], random.normal(size=(1, 16, 6, 2)))
    write_cfl(paths[3].with_name(f"{paths[3].stem}_traj"), points)
    with h5py.File(paths[4], "w", userblock_size=512) as file:
        stored = np.empty(kspace.shape[::-1], [("real", "<f4"), ("imag", "<f4")])
        stored["real"], stored["imag"] = kspace.T.real, kspace.T.imag
        file["kspace_sub04"] = stored
    with paths[4].open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    scipy.io.savemat(paths[5], {"kspace_full": kspace})
    write_lines(paths[6], random)
    with h5py.File(paths[7], "w") as file:
        file["mask"] = (random.uniform(size=(3, 10, 12)) < 0.5).astype(float)
    scipy.io.savemat(paths[8], {"mask04": (random.uniform(size=(12, 10, 3)) < 0.5).astype(np.uint8)})
    write_twix(paths[9], random)
    write_stream(paths[10], random)
    write_said(paths[11:], random)
    for path in paths:
        LOADERS.get(path.stem, load)(path)
    return paths


def write_lines(path: Path, random: np.random.Generator) -> None:
    """Two slices of lines: stamps of the ECG, calibration, readouts twice oversampled, the echo early, a pilot tone."""
    xsd = ismrmrd.xsd
    spaces = [
        xsd.encodingSpaceType(
            matrixSize=xsd.matrixSizeType(x=16 * times, y=12, z=1),
            fieldOfView_mm=xsd.fieldOfViewMm(x=300.0 * times, y=240.0, z=8.0),
        )
        for times in (2, 1)
    ]
    encoding = xsd.encodingType(
        encodedSpace=spaces[0],
        reconSpace=spaces[1],
        encodingLimits=xsd.encodingLimitsType(),
        trajectory=xsd.trajectoryType("cartesian"),
    )
    header = xsd.ismrmrdHeader(
        experimentalConditions=xsd.experimentalConditionsType(H1resonanceFrequency_Hz=63870000), encoding=[encoding]
    )
    tone = xsd.userParameterLongType(name="PilotTone", value=1)
    header.userParameters = xsd.userParametersType(userParameterLong=[tone])
    dataset = ismrmrd.Dataset(str(path), "dataset", create_if_needed=True)
    dataset.write_xml_header(xsd.ToXML(header))
    for number in range(40):
        data = (random.normal(size=(2, 26)) + 1j * random.normal(size=(2, 26))).astype(np.complex64)
        acquisition = ismrmrd.Acquisition.from_array(data)
        acquisition.center_sample, acquisition.acquisition_time_stamp = 10, 100 + 3 * number
        acquisition.physiology_time_stamp[0] = 3 * number % 50
        acquisition.idx.slice, acquisition.idx.kspace_encode_step_1 = number % 2, number // 2 % 12
        acquisition.idx.phase = number // 14
        first, second, third = np.roll(np.eye(3), number % 2, axis=0)  # the slices are views of their own
        acquisition.read_dir[:], acquisition.phase_dir[:], acquisition.slice_dir[:] = first, second, third
        acquisition.idx.user[5] = 6
        dataset.append_acquisition(acquisition)
        if number < 20:  # and lines for calibration alone
            acquisition.set_flag(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
            dataset.append_acquisition(acquisition)
    dataset.close()


SEEDS = (
    *(("native", "h5"), ("ismrmrd", "mrd"), ("cartesian", "cfl"), ("radial", "cfl"), ("matlab73", "mat")),
    *(("matlab5", "mat"), ("lines", "mrd"), ("mask73", "mat"), ("mask5", "mat"), ("twix", "dat"), ("stream", "bin")),
    *SAID_SEEDS,
)
LOADERS: dict[str, Callable[[Path], Any]] = {"mask73": load_mask, "mask5": load_mask}
LOADERS |= {name: load_said for name, _ in SAID_SEEDS}


def damage(seed: Path, place: Path, random: np.random.Generator) -> Path:
    """A copy of a seed's folder with one file of it changed."""
    shutil.copytree(seed.parent, place)
    files = sorted(place.iterdir())
    path = files[random.integers(len(files))]
    content = bytearray(path.read_bytes())
    head = max(1, min(len(content), 4096)) if random.uniform() < 0.7 else len(content)  # where the structure lies
    for _ in range(random.integers(1, 9)):
        at, size = int(random.integers(head)), int(random.integers(1, 65))
        kind = random.integers(5)
        if kind == 0:
            content[at : at + 1] = random.bytes(1)
        elif kind == 1:
            content[at : at + size] = bytes(len(content[at : at + size]))
        elif kind == 2:
            content[at : at + size] = b"\xff" * len(content[at : at + size])
        elif kind == 3:
            content[at:at] = random.bytes(size)
        else:
            source = int(random.integers(len(content)))
            content[at : at + size] = content[source : source + size]
    if random.uniform() < 0.2:
        del content[int(random.integers(len(content) + 1)) :]
    path.write_bytes(content)
    return place / seed.name


def how_it_ends(path: Path) -> str:
    """Read a file, and say how that ended."""
    try:
        LOADERS.get(path.stem, load)(path)
    except (BadScan, BadRequest) as error:
        return KINDS[2 if error.why == LOST else 1]
    except Exception as error:
        say(str(error))
        return KINDS[3]
    return KINDS[0]


if __name__ == "__main__":
    main()
