"""How far networks are from turning along with a scan, and what it buys when one does.

    python -m benchmarks.equivariance [--parts errors,buys] [--seeds 3] [--learned] [--only dun-sre] [--blobs 5,7]

`errors`: of untrained layers and networks, relative to what their weights change of the images, medians over draws of
the weights; smooth series, in a circle, double precision. Whole networks read scans: spokes with coil maps at every
angle, lines at 90 degrees, all turned along. `buys`: networks that learned by references from 1, 4 and 16 scans
measured by lines, none of them turned, on other scans as they are and turned by 90 degrees.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.cohort import FIRST_TEST, LINES, Case, Size, cohort, gridded, judged, train
from benchmarks.common import Report, heading, say, table
from benchmarks.networks import SCORES, cell, spread
from benchmarks.turning import (
    WIDTHS,
    Widths,
    learned_part,
    measured_on_grid,
    quarter,
    quarter_on_grid,
    smooth_on_grid,
    smooth_series,
    smooth_spokes,
    turn_error,
    untaught,
)
from dainr.losses.learning import LossConfig
from dainr.networks.unrolled import ARCHITECTURES, UnrolledNetwork
from dainr.networks.unrolled.dun_sre import DunSreConfig
from dainr.networks.unrolled.group_filters import Order
from dainr.networks.unrolled.group_layers import SLOPE, Inner, Lift, Project, Temporal, wrapped
from dainr.operators.measured import Measured

ANGLES = (90.0, 45.0, 30.0)
LEARNED = "`dun-sre`, learned consistency"
CHANNELS = 4  # of dun-sre, for each of four rotations
SIZES: dict[str, dict[str, Any]] = {  # of dun-sre: its twins have no rotations
    "`dun-sre`": {"channels": CHANNELS},
    "plain twin, equal parameters": {"order": 1, "channels": 2 * CHANNELS},
    "plain twin, equal channels": {"order": 1, "channels": 4 * CHANNELS},
    LEARNED: {"channels": CHANNELS, "consistency_channels": 2},
}
EIGHT = {"`dun-sre`, order 8": {"order": 8, "channels": CHANNELS}}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each part."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help="which tables")
    parser.add_argument("--seeds", type=int, default=3, help="how many, of trainings")
    parser.add_argument("--draws", type=int, default=5, help="how many, of the weights whose errors are measured")
    parser.add_argument("--learned", action="store_true", help="dun-sre with its learned consistency learns, too")
    parser.add_argument("--steps", type=int, default=150, help="of each training")
    parser.add_argument("--rate", type=float, default=5e-3, help="learning rate")
    parser.add_argument("--scans", default="1,4,16", help="to learn from")
    parser.add_argument("--tests", type=int, default=6, help="scans that judge")
    parser.add_argument("--matrix", type=int, default=24, help="of the scans to learn from")
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--smooth", type=int, default=48, help="the matrix of the smooth series")
    parser.add_argument("--blobs", type=_widths, default=WIDTHS, help="their standard deviations in pixels, from,to")
    parser.add_argument("--only", default="", help="networks whose names hold this")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to write beside stdout")
    asked = parser.parse_args(arguments)
    report = Report(asked.output)
    report.add(heading("Equivariance", "equivariance", arguments, "cpu"))
    for part in asked.parts.split(","):
        if part not in PARTS:
            parser.error(f"there is no part {part}: choose of {', '.join(PARTS)}")
        report.add(PARTS[part](asked))


def _widths(text: str) -> Widths:
    first, last = map(float, text.split(","))
    return first, last


def errors(asked: argparse.Namespace) -> str:
    """Layers between a lift and a projection, networks without data, and networks as they are."""
    n, n_frames = asked.smooth, asked.frames
    rows = []
    orders: tuple[Order, ...] = (1, 4, 8)
    for order in orders:
        for name in LAYERS:
            rows.append([f"{name}, order {order}", *layer_errors(name, order, asked), *[""] * (len(ANGLES) + 1)])
    spokes = {degrees: smooth_spokes(n, n_frames, 3, degrees, asked.blobs) for degrees in (0.0, *ANGLES)}
    samples = smooth_on_grid(n, n_frames, 3, asked.blobs)
    lines = {0.0: measured_on_grid(samples), 90.0: measured_on_grid(quarter_on_grid(samples))}
    for name, make in networks().items():
        if asked.only not in name:
            continue
        found = []
        for draw in range(asked.draws):
            torch.manual_seed(draw)
            network = make().double()
            by_itself = [turn_error(partial(alone, network, asked), degrees) for degrees in ANGLES]
            found.append([*by_itself, turn_error(partial(of_scan, network, lines), 90.0)])
            found[-1] += [turn_error(partial(of_scan, network, spokes), degrees) for degrees in ANGLES]
        rows.append([name, *(f"{median(values):.1e}" for values in zip(*found, strict=True))])
        say(str(rows[-1]))
    columns = [
        *(f"alone, {degrees:.0f}°" for degrees in ANGLES),
        "lines, 90°",
        *(f"spokes, {degrees:.0f}°" for degrees in ANGLES),
    ]
    return f"Errors of what is learned, medians of {asked.draws}:\n\n{table(('what', *columns), rows)}"


def networks() -> dict[str, Callable[[], UnrolledNetwork]]:
    """Every network of its default size, and all forms of dun-sre."""

    def make(name: str, sizes: dict[str, Any]) -> UnrolledNetwork:
        return ARCHITECTURES[name].build(ARCHITECTURES[name].Config(**sizes))

    found: dict[str, Callable[[], UnrolledNetwork]] = {}
    for name in sorted(ARCHITECTURES.keys() - {"dun-sre"}):
        found[f"`{name}`"] = partial(make, name, {})
    for label, sizes in (SIZES | EIGHT).items():
        found[label] = partial(make, "dun-sre", sizes)
    return found


@torch.no_grad()
def alone(network: UnrolledNetwork, asked: argparse.Namespace, degrees: float) -> Tensor:
    """What the first regulariser adds to a smooth series."""
    parts = _parts(asked, degrees)
    return network.regularisers[0](parts, None, True)[0] - parts


def of_scan(network: UnrolledNetwork, scans: dict[float, Measured], degrees: float) -> Tensor:
    """What the network's weights change of the images of a scan."""
    return learned_part(network, scans[degrees])


def _parts(asked: argparse.Namespace, degrees: float) -> Tensor:
    """A smooth series, its real and imaginary parts as channels: `frame part y x`."""
    return torch.view_as_real(smooth_series(asked.smooth, asked.frames, degrees, widths=asked.blobs)).permute(
        0, 3, 1, 2
    )


class Between(nn.Module):
    """A lift, a layer or none, and a projection, with leaky ReLUs between."""

    def __init__(self, kind: type[Inner] | type[Temporal] | None, order: Order) -> None:
        super().__init__()
        self.lift, self.project = Lift(2, CHANNELS, order), Project(CHANNELS, 2, order)
        self.layer = None if kind is None else kind(CHANNELS, CHANNELS, order)

    def forward(self, x: Tensor) -> Tensor:
        """Of the size of the input."""
        h = functional.leaky_relu(self.lift(wrapped(x, 3 * self.lift.margin)), SLOPE)
        if isinstance(self.layer, Inner):
            h = functional.leaky_relu(self.layer(h), SLOPE)
        else:
            m = self.lift.margin
            h = h[..., m:-m, m:-m]
            h = h if self.layer is None else functional.leaky_relu(self.layer(h, True), SLOPE)
        return self.project(h)


LAYERS: dict[str, type[Inner] | type[Temporal] | None] = {
    "lift, project": None,
    "lift, inner, project": Inner,
    "lift, temporal, project": Temporal,
}


@torch.no_grad()
def layer_errors(name: str, order: Order, asked: argparse.Namespace) -> list[str]:
    """The error at each angle."""
    found = []
    for draw in range(asked.draws):
        torch.manual_seed(draw)
        layers = Between(LAYERS[name], order).double()

        def change(degrees: float, layers: Between = layers) -> Tensor:
            return layers(_parts(asked, degrees))

        found.append([turn_error(change, degrees) for degrees in ANGLES])
    return [f"{median(values):.1e}" for values in zip(*found, strict=True)]


def buys(asked: argparse.Namespace) -> str:
    """Scores of scans as they are and turned, by how many scans a network learned from."""
    counts, labels = (
        [int(count) for count in asked.scans.split(",")],
        [label for label in SIZES if asked.learned or label != LEARNED],
    )
    size = Size(asked.matrix, asked.frames)
    learn, tests = cohort(LINES, max(counts), size), cohort(LINES, asked.tests, size, FIRST_TEST)
    rows = [["gridded", "", "", *(cell([value]) for value in gridded(tests)), "", "", ""]]
    nothing = untaught(ARCHITECTURES["dun-sre"].build(DunSreConfig()))
    scores = (*judged(nothing, tests), *on_turned(nothing, tests))
    rows.append(["nothing learned", "", "", *(cell([value]) for value in scores)])
    found: dict[tuple[str, int], list[np.ndarray]] = {}
    for seed in range(asked.seeds):
        for label in labels:
            for count in counts:
                torch.manual_seed(seed)
                network = ARCHITECTURES["dun-sre"].build(DunSreConfig(**SIZES[label]))
                chosen = [learn[(seed * count + number) % len(learn)] for number in range(count)]
                train(network, chosen, LossConfig(loss="supervised"), asked.steps, asked.rate, seed)
                scores = (*judged(network, tests), *on_turned(network, tests))
                found.setdefault((label, count), []).append(np.array(scores))
                say(f"{label}, {count} scans, seed {seed}: {np.round(scores, 3)}")
    for (label, count), values in found.items():
        network = ARCHITECTURES["dun-sre"].build(DunSreConfig(**SIZES[label]))
        n_parameters = sum(p.numel() for p in network.parameters())
        rows.append([label, f"{n_parameters:,}", str(count), *spread(values)])
    columns = ["network", "parameters", "scans", *SCORES, *(f"turned: {score}" for score in SCORES)]
    return f"What it buys, {asked.steps} steps:\n\n{table(columns, rows)}"


@torch.no_grad()
def on_turned(network: nn.Module, cases: Sequence[Case]) -> np.ndarray:
    """PSNR, SSIM and dynamic PSNR of the scans turned by 90 degrees."""
    found = []
    for case in cases:
        known = case.measurements.of().on_grid
        assert known is not None
        images = network(measured_on_grid(quarter_on_grid(known())))
        found.append(case.scores(quarter_back(images)))
    return np.mean(found, axis=0)


def quarter_back(images: Tensor) -> Tensor:
    """The series turned by -90 degrees, so that it is judged by the same pixels."""
    for _ in range(3):
        images = quarter(images, images.shape[-1] // 2)
    return images


PARTS: dict[str, Callable[[argparse.Namespace], str]] = {"errors": errors, "buys": buys}

if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
