"""A random scene measured by dainr's own simulator and reconstructed at three stages of quality.

fitted      the frames of a short fit               scale 2 of the multi-scale network
iterated    three iterations of temporal TV         scale 3
gridded     gridding alone                          scale 4
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from dainr.methods import get_method
from dainr.settings.build import build_config
from dainr.settings.presets import read_preset
from dainr.simulate.scenes import draw_scene
from dainr.simulate.simulate import SimulationConfig, simulate_cine

MATRIX, FRAMES = 96, 12
PERCENTILE = 99.5


def make_pairs(number: int, folder: Path) -> Path:
    """Scene `number`, reconstructed and true, magnitudes `frame y x` over the truth's percentile; kept in a file."""
    path = folder / f"{number}.npz"
    if path.is_file():
        return path
    random = np.random.default_rng(number)
    series = draw_scene(FRAMES, MATRIX, random)
    sampling = SimulationConfig(
        pattern="radial" if random.uniform() < 0.7 else "vista",
        spokes=int(random.choice([2, 3, 4, 5, 7, 9, 12])),
        acceleration=float(random.uniform(3, 9)),
        coils=int(random.choice([4, 6, 8])),
        snr=float(np.exp(random.uniform(np.log(15), np.log(80)))),
        frames=FRAMES,
        matrix=MATRIX,
        seed=number,
    )
    scan = simulate_cine(series, sampling)
    assert scan.reference is not None
    truth = scan.reference[0] / np.percentile(scan.reference, PERCENTILE)
    steps = int(random.choice([16, 30, 60]))
    field, temporal_tv = get_method("dainr"), get_method("grasp")
    config = build_config(field.Config, read_preset("fast"), [f"fit.iterations={steps}", "device=cpu"])
    fitted = field(scan, field.resolve(scan, replace(config, nufft="compiled"))[0])
    config = build_config(temporal_tv.Config, {}, ["iterations=3", "device=cpu", "nufft=compiled"])
    iterated = temporal_tv(scan, temporal_tv.resolve(scan, config)[0])
    stages = {
        "fitted": np.abs(fitted.cine.data[0]),
        "iterated": np.abs(iterated.cine.data[0]),
        "gridded": fitted.gridded[0],
    }
    pairs = {name: _scaled(np.abs(images), truth).astype(np.float16) for name, images in stages.items()}
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, **{"truth": truth.astype(np.float16)} | pairs)
    temporary.replace(path)
    return path


def _scaled(images: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Images brought to the scale of the truth by least squares."""
    return np.vdot(images, truth) / np.vdot(images, images) * images
