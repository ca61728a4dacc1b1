"""What a step of the warped field should take on a graphics card, on paper: bytes and launches.

    python -m benchmarks.gpu.budget [--matrix 192] [--frames 25] [--coils 8] [--spokes 13] [--bandwidth 3.35]

Every array that a pass reads or writes counts once, as if nothing stayed in a cache; arithmetic is hidden behind it. A
launch that is recorded costs its gap to the next. What `make gpu-check` measures stands beside it, once it has.
"""

import argparse
import math
from dataclasses import dataclass

from benchmarks.common import table
from dainr.fields.hash_grid import GridConfig, grid_levels
from dainr.fields.warped import WarpedConfig
from dainr.operators.nufft.window import WIDTH, oversampled

REAL, COMPLEX, INDEX = 4, 8, 4  # bytes
GAP_US = 1.5  # between two launches of a CUDA graph
LAUNCHES = (
    340  # of a step, which the tests hold it to: operations in plain torch, of which kernels take several at once
)


@dataclass(frozen=True)
class Sizes:
    """Numbers of one slice, counted as the passes go through them."""

    matrix: int
    frames: int
    coils: int
    spokes: int

    @property
    def series(self) -> float:
        """Bytes of the images of all frames."""
        return COMPLEX * self.frames * self.matrix**2

    @property
    def grids(self) -> float:
        """Bytes of the oversampled grids of all frames and coils."""
        return COMPLEX * self.frames * self.coils * math.prod(oversampled((self.matrix, self.matrix)))

    @property
    def points(self) -> int:
        """Samples of one coil; readouts are oversampled twice."""
        return self.frames * self.spokes * 2 * self.matrix

    @property
    def weights(self) -> float:
        """Bytes of an interpolation matrix."""
        return (REAL + INDEX) * WIDTH**2 * self.points


def passes(sizes: Sizes) -> dict[str, float]:
    """Bytes that each part of a step moves, forward and backward."""
    config, series, grids = WarpedConfig(), sizes.series, sizes.grids
    levels = grid_levels(GridConfig(config.levels, config.features_per_level, config.base, sizes.matrix, 15, "hash"))
    table_bytes = REAL * config.features_per_level * (levels[-1].offset + levels[-1].size)
    corners = 4 * config.levels * sizes.matrix**2 * (REAL + INDEX)
    features = REAL * config.levels * config.features_per_level * sizes.matrix**2
    hidden = REAL * config.width * sizes.matrix**2
    samples, coil_images = COMPLEX * sizes.coils * sizes.points, COMPLEX * sizes.coils * sizes.frames * sizes.matrix**2
    free = series  # the innovation: as many numbers as the images
    return {
        "hash grid, canonical network": 2 * corners + 3 * features + 8 * hidden + 2 * table_bytes,
        "mixture and innovation": 6 * series,
        "warp": 8 * series,
        "coil images, padded and transformed": 2 * coil_images + 6 * grids,  # product, padding, two passes of the FFT
        "grid to points": 3 * grids + sizes.weights + samples,  # layout, product
        "Huber loss": 4 * samples,
        "points to grid": 3 * grids + sizes.weights + 2 * samples,
        "transformed back, sums over coils": 4 * grids + 3 * coil_images,
        "priors": 4 * 3 * series,
        "optimiser": 7 * free + 7 * table_bytes,  # parameter, gradient, two moments; three are written
    }


def gram_by_nufft(sizes: Sizes) -> float:
    """Bytes of A^H A by the operator and its adjoint."""
    parts = passes(sizes)
    return sum(parts[name] for name in parts if "points" in name or "transformed" in name)


def gram_by_toeplitz(sizes: Sizes) -> float:
    """Bytes of A^H A as a convolution on twice the field of view: padding, a kernel between two FFTs of two passes."""
    coil_images = COMPLEX * sizes.coils * sizes.frames * sizes.matrix**2
    kernel = COMPLEX * sizes.frames * 4 * sizes.matrix**2
    return 5 * coil_images + (6 + 2 + 4) * 4 * coil_images + kernel


def main() -> None:
    """Print a row for each part, their sum, and the time both bounds give."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("matrix", 192), ("frames", 25), ("coils", 8), ("spokes", 13)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--bandwidth", type=float, default=3.35, help="TB/s; 3.35: an H100, 4.8: an H200")
    given = parser.parse_args()
    sizes = Sizes(given.matrix, given.frames, given.coils, given.spokes)
    parts = passes(sizes)
    rows = [[name, f"{moved / 1e6:.0f}", f"{moved / given.bandwidth / 1e9:.3f}"] for name, moved in parts.items()]
    total = sum(parts.values())
    memory, launches = total / given.bandwidth / 1e9, 1e-3 * GAP_US * LAUNCHES
    rows.append(["all", f"{total / 1e6:.0f}", f"{memory:.3f}"])
    rows.append([f"gaps of {LAUNCHES} launches, {GAP_US:g} us each", "", f"{launches:.3f}"])
    rows.append(["a step, if nothing overlaps", "", f"{memory + launches:.3f}"])
    print(table(["part", "MB", "ms"], rows))
    grams = gram_by_nufft(sizes), gram_by_toeplitz(sizes)
    print(f"\nA^H A: {grams[0] / 1e6:.0f} MB by the NUFFT, {grams[1] / 1e6:.0f} MB as a Toeplitz operator.")


if __name__ == "__main__":
    main()
