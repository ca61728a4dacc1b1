"""How close the state chosen by held-out readouts comes to the best any step had.

    python benchmarks/heldout.py SCAN REFERENCE [--preset default] [--set key=value ...]

The fit never sees the reference: this script renders each validated state itself and scores it.
"""

import dainr  # noqa: F401 - before torch, for it decides how threads wait

# isort: split
import argparse
import json
from pathlib import Path

import numpy as np
import torch

from dainr.assess.scores import evaluate
from dainr.fields.field import DynamicField
from dainr.fit.state import Step
from dainr.io import load
from dainr.methods.dainr.method import Dainr, DainrConfig, render_series
from dainr.prepare.frames import frames_as_stored
from dainr.settings.build import build_config
from dainr.settings.presets import DEFAULT_PRESET, read_preset


def main() -> None:
    """Fit, score every validated state of the first slice, print the table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scan")
    parser.add_argument("reference", type=Path)
    parser.add_argument("--preset", default=DEFAULT_PRESET)
    parser.add_argument("--set", dest="pairs", action="append", default=[])
    arguments = parser.parse_args()
    scan = frames_as_stored(load(arguments.scan)).select_slices([0])
    reference = np.load(arguments.reference)[:1]
    method = Dainr()
    config, _ = method.resolve(scan, build_config(DainrConfig, read_preset(arguments.preset), arguments.pairs))
    rows: list[tuple[int, float, float, float]] = []

    def score(step: Step) -> None:
        if step.heldout is None:
            return
        assert isinstance(step.model, DynamicField)
        scores = evaluate(render_series(step.model)[None].cpu().numpy(), reference)
        rows.append((step.step, step.heldout, scores.whole.psnr, scores.dynamic.psnr))
        print(f"step {step.step:5d}  held-out {step.heldout:.4f}  PSNR {rows[-1][2]:.2f}  dynamic {rows[-1][3]:.2f}")

    recon = method(scan, config, [score])
    gridded = evaluate(recon.gridded, reference)
    chosen = evaluate(recon.cine.data, reference)
    best = max(rows, key=lambda row: row[2])
    print(
        json.dumps(
            {
                "scan": Path(arguments.scan).name,
                "gridded_psnr": gridded.whole.psnr,
                "chosen_psnr": chosen.whole.psnr,
                "chosen_step": recon.histories[0].best_step,
                "best_psnr": best[2],
                "best_step": best[0],
                "lost_db": best[2] - chosen.whole.psnr,
                "fit_seconds": recon.record["seconds"]["fit"],
                "threads": torch.get_num_threads(),
            }
        )
    )


if __name__ == "__main__":
    main()
