"""Check a GPU and measure dainr on it.

    python -m benchmarks.gpu --device cuda --out gpu-check [--data FOLDER] [--budget 25m]

Leaves result.json, result.md, a log and traces of steps in the folder. The same command goes on with what is left;
--again STAGE measures a stage anew, --again failed all cases that did not end well. On a CPU it is a rehearsal with
small scans. The exit code is 0 if everything is done and nothing is wrong.
"""

import argparse
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.common import say
from benchmarks.gpu.ledger import PAGE, RESULT, Ledger
from benchmarks.gpu.plan import STAGES
from benchmarks.gpu.run import LOG, run_all
from benchmarks.gpu.stage import Scope
from dainr.errors import DainrError
from dainr.machine.device import resolve_device
from dainr.settings.build import parse_seconds

FAILED = "failed"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is to do, then write and print the page."""
    asked = _parser().parse_args(arguments)
    try:
        device, budget_s = _device(asked.device), parse_seconds(asked.budget, "--budget")
    except DainrError as error:
        raise SystemExit(str(error)) from error
    scope = Scope(str(device), device.type == "cpu", asked.out.resolve(), asked.data and asked.data.resolve())
    scope.out.mkdir(parents=True, exist_ok=True)
    if asked.begun is not None:
        _take_over(asked.begun, scope.out)
    ledger = Ledger(scope)
    ledger.forget(asked.again)
    left = run_all(scope, ledger, budget_s, asked.only)
    ledger.write_page(left)
    print((scope.out / PAGE).read_text(encoding="utf-8"))
    faults = ledger.faults()
    if left:
        say(f"{len(left)} cases are left: run the same command again.")
    if faults:
        say(f"{len(faults)} faults: see {scope.out / PAGE} and {scope.out / LOG}.")
    if left or faults:
        raise SystemExit(1)


def _device(name: str) -> torch.device:
    """The device of that name. One on a GPU is not tried here: this process would then take memory on it."""
    is_there = torch.cuda.is_available() and name.startswith("cuda")
    return torch.device(name) if is_there else resolve_device(name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu: a rehearsal")
    parser.add_argument("--out", type=Path, default=Path("gpu-check"), help="folder for what is found")
    parser.add_argument("--data", type=Path, help="folder of the shared scans sax13 and cutkt8")
    parser.add_argument("--budget", default="25m", help="time for all: 25m, 540s")
    parser.add_argument("--only", action="append", default=[], choices=STAGES, help="this stage; may be repeated")
    parser.add_argument("--again", action="append", default=[], choices=[*STAGES, FAILED], help="measure it anew")
    parser.add_argument(
        "--begun", type=Path, help="folder of an earlier call whose results are to be continued in --out"
    )
    return parser


def _take_over(begun: Path, out: Path) -> None:
    """Go on from the results of another folder, unless there are some."""
    if (begun / RESULT).is_file() and not (out / RESULT).exists():
        for name in (RESULT, LOG):
            if (begun / name).is_file():
                shutil.copy(begun / name, out / name)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the case that runs ends with this process
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("Interrupted: the same command goes on.") from None
