"""Networks and their losses side by side on generated scenes: which learns what, and what happens with another mask.

    python -m benchmarks.networks [--parts order,start,one-mask,...] [--seeds 3] [--steps 300]

Scenes for training and for the test are apart. Figures are means over the test scenes, then mean and standard deviation
over the seeds, which draw the network, the order of the scenes, splits and transforms. All of a table have the same
scenes, steps and learning rate.
"""

import argparse
import copy
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.cohort import (
    BARE,
    FIRST_TEST,
    KT,
    LINES,
    ONE_MASK,
    RADIAL,
    Case,
    Sampling,
    Size,
    build,
    cohort,
    gridded,
    judged,
    train,
)
from benchmarks.common import Report, heading, say, table
from benchmarks.per_scan import scan_table
from dainr.losses.equivariance import EquivarianceConfig
from dainr.losses.learning import LossConfig, LossName
from dainr.losses.splitting import SplittingConfig
from dainr.networks.unrolled import ARCHITECTURES
from dainr.networks.unrolled.crnn import CRNN, CRNNConfig
from dainr.networks.unrolled.unrolled import Regulariser, Start, UnrolledNetwork

SOLVING = "crnn-proximal"  # crnn that solves for the data in each cascade, as cinenet does
SMALL = {"channels": 12, "cascades": 2}  # of the crnn that losses are compared with
SCORES = ("PSNR dB", "SSIM", "dynamic PSNR dB")
ADAPTING = SplittingConfig(ratio=0.2)  # of ssdu, by the scan itself: a frame has few lines to part
TRANSFORMS = {  # shift, rotation, diffeomorphism, in turn
    "all three, by chance": (True, True, True, False),
    "all three, in turn": (True, True, True, True),
    "shift alone": (True, False, False, False),
    "rotation alone": (False, True, False, False),
    "diffeomorphism alone": (False, False, True, False),
    "no shift": (False, True, True, False),
    "no rotation": (True, False, True, False),
    "no diffeomorphism": (True, True, False, False),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each part."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help="which tables")
    parser.add_argument("--networks", default=",".join(ARCHITECTURES), help=f"of the order; also {SOLVING}")
    parser.add_argument("--losses", default="mc,ssdu,ddei,supervised", help="of one-mask, one-coil and many-masks")
    parser.add_argument("--start", choices=get_args(Start), default="average", help="first images there")
    parser.add_argument("--ratio", type=float, default=0.0, help="of ssdu there: the share of readouts that judges")
    parser.add_argument("--adapting", default="60", help="of masks: steps by the scan itself, for several a row each")
    parser.add_argument("--adapting-rates", default="3e-4", help="of masks: learning rates of that, likewise")
    parser.add_argument("--adapting-losses", default="ssdu", help="of masks: losses of that, likewise")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=300, help="of each training")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--scenes", type=int, default=24, help="to learn from, of each sampling; a third more judge")
    parser.add_argument("--matrix", type=int, default=40)
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to write beside stdout")
    asked = parser.parse_args(arguments)
    report = Report(asked.output)
    report.add(heading("Networks", "networks", arguments, "cpu"))
    for part in asked.parts.split(","):
        if part not in PARTS:
            parser.error(f"there is no part {part}: choose of {', '.join(PARTS)}")
        report.add(PARTS[part](asked))


def order(asked: argparse.Namespace) -> str:
    """Every network by references, half of the scenes lines, half spokes."""
    learn = [case for sampling in (LINES, RADIAL) for case in cases(sampling, asked)]
    tests = [test_cases(sampling, asked) for sampling in (LINES, RADIAL)]
    columns = ["network", "parameters", *(f"{s.name}: {score}" for s in (LINES, RADIAL) for score in SCORES)]
    rows = [["gridded", "", *(cell([value]) for scores in map(gridded, tests) for value in scores)]]
    for name in asked.networks.split(","):
        found = []
        for seed in seeds(asked):
            network = learned(in_order(name, seed), learn, LossConfig(loss="supervised"), asked, seed)
            found.append(np.concatenate([judged(network, test) for test in tests]))
            say(f"order {name} {seed}: {found[-1].round(3)}")
        n_parameters = sum(p.numel() for p in in_order(name, 0).parameters())
        rows.append([f"`{name}`", f"{n_parameters:,}", *spread(found)])
    return f"Order of the networks, loss `supervised`:\n\n{table(columns, rows)}"


def in_order(name: str, seed: int) -> nn.Module:
    """A network of the order, of its default sizes."""
    if name != SOLVING:
        return build(name, seed)
    torch.manual_seed(seed)
    sizes = CRNNConfig()
    return UnrolledNetwork([CRNN(sizes)], sizes.cascades, "proximal", sizes.start)


class Nothing(Regulariser):
    """Leaves images as they are."""

    def forward(self, x: Tensor, state: Any, cyclic: bool) -> tuple[Tensor, Any]:
        """The same images."""
        return x, state


def start(asked: argparse.Namespace) -> str:
    """What first images and data consistency give where nothing is learned."""
    tests = [test_cases(sampling, asked) for sampling in (LINES, RADIAL)]
    rows = []
    for first in ("gridded", "average"):
        for kind in ("gradient", "proximal"):
            for cascades in (1, 3):
                network = UnrolledNetwork([Nothing()], cascades, kind, first)
                values = [cell([value]) for test in tests for value in judged(network, test)]
                rows.append([f"{first}, {kind}", str(cascades), *values])
    columns = [
        "first images, consistency",
        "cascades",
        *(f"{s.name}: {score}" for s in (LINES, RADIAL) for score in SCORES),
    ]
    return f"Nothing learned:\n\n{table(columns, rows)}"


def losses(asked: argparse.Namespace, sampling: Sampling) -> str:
    """One network by each loss."""
    parted = SplittingConfig(ratio=asked.ratio)
    kinds = {name: LossConfig(loss=cast(LossName, name), splitting=parted) for name in asked.losses.split(",")}
    return f"Losses; {compared(sampling, kinds, asked)}"


def transforms(asked: argparse.Namespace) -> str:
    """One network by `ddei` with some of its transforms."""
    kinds = {"measurements alone (mc)": LossConfig(loss="mc")}
    for name, (shift, rotation, diffeomorphism, in_turn) in TRANSFORMS.items():
        equivariance = EquivarianceConfig(
            shift=shift, rotation=rotation, diffeomorphism=diffeomorphism, in_turn=in_turn
        )
        kinds[name] = LossConfig(loss="ddei", equivariance=equivariance)
    return f"Transforms:\n\n{compared(KT, kinds, asked)}"


def masks(asked: argparse.Namespace) -> str:
    """A network applied to lines without calibration, which it never saw; then adapted to each scan.

    One that learned from such scans says what can be had of them.
    """
    learn, bare = cases(LINES, asked), cases(BARE, asked)
    tests = {name: test_cases(s, asked) for name, s in (("as", LINES), ("bare", BARE))}
    rows: dict[str, list[np.ndarray]] = {}
    seconds: dict[str, list[float]] = {}
    ways = adaptings(asked)
    for seed in seeds(asked):
        network = learned(small(seed), learn, LossConfig(loss="supervised"), asked, seed)
        rows.setdefault("as trained, and with the lines restored", []).append(judged(network, tests["as"]))
        rows.setdefault("without calibration lines", []).append(judged(network, tests["bare"]))
        other = learned(small(seed), bare, LossConfig(loss="supervised"), asked, seed)
        rows.setdefault("without, trained on such scans", []).append(judged(other, tests["bare"]))
        for way, (loss, rate, steps) in ways.items():
            for start, adapted in (("adapted", network), ("from nothing", small(seed))):
                began = time.process_time()
                found = np.mean([own(adapted, case, loss, steps, rate, seed) for case in tests["bare"]], axis=0)
                rows.setdefault(f"without, {start}, {way}", []).append(found)
                seconds.setdefault(way, []).append((time.process_time() - began) / len(tests["bare"]))
                say(f"masks {seed}: {start}, {way}: {found.round(3)}")
    took = "; ".join(f"{way} {np.mean(s):.1f} s" for way, s in seconds.items())
    cells = [["gridded, without", *(cell([value]) for value in gridded(tests["bare"]))]]
    cells += [[name, *spread(found)] for name, found in rows.items()]
    return f"Another mask; adapting takes, of one core: {took}.\n\n{table(('scan', *SCORES), cells)}"


def adaptings(asked: argparse.Namespace) -> dict[str, tuple[LossConfig, float, int]]:
    """The ways to learn from a scan itself, by what a table calls them."""
    return {
        f"`{loss}`, rate {rate}, {steps} steps": (
            LossConfig(loss=cast(LossName, loss), splitting=ADAPTING), float(rate), int(steps)
        )
        for loss in asked.adapting_losses.split(",")
        for rate in asked.adapting_rates.split(",")
        for steps in asked.adapting.split(",")
    }  # fmt: skip


def own(network: nn.Module, case: Case, loss: LossConfig, steps: int, rate: float, seed: int) -> np.ndarray:
    """Scores of a scan by a copy of the network that learned from its measurements."""
    network = copy.deepcopy(network)
    train(network, [case], loss, steps, rate, seed)
    return judged(network, [case])


def compared(sampling: Sampling, kinds: dict[str, LossConfig], asked: argparse.Namespace) -> str:
    """A table of losses, of one way to measure."""
    learn, test = cases(sampling, asked), test_cases(sampling, asked)
    rows = [["gridded", *(cell([value]) for value in gridded(test))]]
    for name, loss in kinds.items():
        found = []
        for seed in seeds(asked):
            found.append(judged(learned(small(seed, asked.start), learn, loss, asked, seed), test))
            say(f"{sampling.name}, {name}, {seed}: {found[-1].round(3)}")
        rows.append([name, *spread(found)])
    return f"{sampling.name}:\n\n{table(('loss', *SCORES), rows)}"


def small(seed: int, start: str = "average") -> nn.Module:
    """The network that losses are compared with; its first images are the gridded frames or near the time average."""
    return build("crnn", seed, **SMALL, start=start)


def seeds(asked: argparse.Namespace) -> range:
    """The seeds of a table."""
    return range(asked.first_seed, asked.first_seed + asked.seeds)


def cases(sampling: Sampling, asked: argparse.Namespace) -> list[Case]:
    """The scenes to learn from."""
    return cohort(sampling, asked.scenes, Size(asked.matrix, asked.frames))


def test_cases(sampling: Sampling, asked: argparse.Namespace) -> list[Case]:
    """The scenes that judge."""
    return cohort(sampling, max(asked.scenes // 3, 1), Size(asked.matrix, asked.frames), FIRST_TEST)


def learned(
    network: nn.Module, learn: Sequence[Case], loss: LossConfig, asked: argparse.Namespace, seed: int
) -> nn.Module:
    """The network after its training."""
    train(network, learn, loss, asked.steps, asked.rate, seed)
    return network


def spread(found: Sequence[np.ndarray]) -> list[str]:
    """A cell for each score."""
    return [cell(values) for values in np.transpose(found)]


def cell(values: Sequence[float] | np.ndarray) -> str:
    """Mean and standard deviation over the seeds: in dB, or of SSIM, which is below one."""
    digits = 3 if np.mean(values) < 1 else 2
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"


PARTS: dict[str, Callable[[argparse.Namespace], str]] = {
    "order": order,
    "start": start,
    "one-mask": partial(losses, sampling=ONE_MASK),
    "one-coil": partial(losses, sampling=KT),
    "many-masks": partial(losses, sampling=LINES),
    "transforms": transforms,
    "masks": masks,
    "scan": scan_table,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
