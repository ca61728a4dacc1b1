"""Networks as methods: what they learn from, weights, resuming, runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dainr.assess.scores import evaluate
from dainr.errors import BadRequest
from dainr.fit.state import RunState, Step
from dainr.methods import configure, get_method
from dainr.methods.recon import Recon
from dainr.methods.unrolled.method import NetworkMethod
from dainr.networks.unrolled import ARCHITECTURES
from dainr.networks.unrolled.stored import load_network, save_network
from dainr.report import build_report
from dainr.runs.folder import RunFolder
from dainr.runs.run import Request, load_run, reconstruct_into
from dainr.scan import Scan
from dainr.simulate import SimulationConfig, simulate_phantom

COMMON = ("nufft=compiled", "device=cpu", "iterations=3", "validate_every=2")
QUICK = (*COMMON, "channels=4", "cascades=2")
SMALL = {"crunet": (), "crnn": (), "dun-sre": ("consistency_channels=1",)}


def run(scan: Scan, name: str, *pairs: str, observers: Any = (), resume: RunState | None = None) -> Recon:
    method, (_, config) = get_method(name), configure(name, None, [*quick(name), *pairs])
    config, _ = method.resolve(scan, config)
    return method(scan, config, observers, resume)


def quick(name: str) -> tuple[str, ...]:
    return (*QUICK, *SMALL[name]) if name in SMALL else COMMON


def network_method(name: str) -> NetworkMethod:
    method = get_method(name)
    assert isinstance(method, NetworkMethod)
    return method


@pytest.fixture
def weights(radial_scan: Scan, tmp_path: Path) -> Path:
    """Weights of a small crnn after three steps."""
    _, config = configure("crnn", None, QUICK)
    stored, path = (
        network_method("crnn").stored(config, network_method("crnn").build(config.network)),
        tmp_path / "w.safetensors",
    )
    kept = run(radial_scan, "crnn").networks[0]
    save_network(path, replace(stored, tensors={name.removeprefix("network."): t for name, t in kept.items()}))
    return path


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_presets_are_the_sizes_for_a_laptop_and_those_that_were_published(name: str) -> None:
    architecture = ARCHITECTURES[name]
    assert configure(name, None)[1].network == configure(name, "default")[1].network == architecture.Config()
    assert configure(name, "paper")[1].network == architecture.paper


@pytest.mark.parametrize("sampling", [{"spokes": 9}, {"pattern": "vista", "acceleration": 6}], ids=str)
def test_the_weights_that_ship_are_better_than_where_they_start(sampling: dict[str, Any]) -> None:
    scan = simulate_phantom(SimulationConfig(**sampling, coils=4, frames=8, matrix=72))
    (_, config), method = configure("crunet", "trained", ["nufft=compiled", "device=cpu"]), get_method("crunet")
    found = method(scan, method.resolve(scan, config)[0])
    start = run(scan, "crunet", "iterations=1", "learning_rate=1e-9")
    score, before = (evaluate(recon.cine.data, scan.reference) for recon in (found, start))
    assert score.whole.psnr > before.whole.psnr + 1 and score.dynamic.psnr > before.dynamic.psnr


@pytest.mark.parametrize("name", sorted(ARCHITECTURES.keys() - SMALL.keys()))
def test_every_network_is_a_method(name: str, radial_scan: Scan) -> None:
    found = run(radial_scan, name, "iterations=2")
    assert found.cine.data.shape == (1, 6, 32, 32) and np.isfinite(found.cine.data).all()
    assert found.method == name and len(found.histories[0].losses) == 2


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("crunet", "ssdu"),
        *(("crnn", loss) for loss in ("ssdu", "ddei", "mc", "sure")),
        *(("dun-sre", loss) for loss in ("ssdu", "ddei", "sure")),
    ],
)
def test_a_fit_learns_by_every_loss_and_never_reads_the_reference(name: str, loss: str, cartesian_scan: Scan) -> None:
    found = run(replace(cartesian_scan, reference=None), name, f"loss={loss}", "iterations=12", "learning_rate=3e-3")
    losses = found.histories[0].losses
    assert np.isfinite(losses).all()
    if loss != "ddei":  # each step of which has a transform of its own, some harder than others
        assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert found.cine.data.shape == (1, 6, 32, 32) and found.fields == ()
    assert {"in_sample_error", "heldout_error", "image_error"} <= found.record["slices"][0]["fit"].keys()
    assert found.record["parameters"] > 100


def test_a_fit_from_weights_has_a_lower_rate_than_one_from_nothing(weights: Path, radial_scan: Scan) -> None:
    def rate(*pairs: str) -> float:
        config, _ = get_method("crnn").resolve(radial_scan, configure("crnn", None, [*COMMON, *pairs])[1])
        return float(config.fit.learning_rate)

    assert rate() == 3e-3
    assert rate(f"weights={weights}") == 3e-4
    assert rate(f"weights={weights}", "learning_rate=0.02") == 0.02


def test_a_fit_repeats_itself_and_another_seed_is_another(radial_scan: Scan) -> None:
    first, again, other = (run(radial_scan, "crnn", f"seed={seed}").cine.data for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize(("name", "loss"), [("crunet", "ssdu"), ("crnn", "ddei"), ("dun-sre", "ssdu")])
def test_a_resumed_fit_ends_bit_for_bit_as_if_it_had_never_stopped(name: str, loss: str, radial_scan: Scan) -> None:
    whole = run(radial_scan, name, f"loss={loss}", "iterations=5")
    left: list[Any] = []

    def stop(step: Step) -> bool:
        left.append(step.checkpoint())
        return step.step < 3

    run(radial_scan, name, f"loss={loss}", "iterations=5", observers=[stop])
    resumed = run(radial_scan, name, f"loss={loss}", "iterations=5", resume=RunState(current=(0, left[-1])))
    assert np.array_equal(resumed.cine.data, whole.cine.data)
    assert resumed.histories[0].losses == whole.histories[0].losses


def test_held_out_readouts_are_not_read_by_the_network(radial_scan: Scan) -> None:
    seen: list[float] = []
    found = run(radial_scan, "crnn", "holdout=0.2", observers=[lambda step: seen.append(step.heldout or 0) or True])
    assert 0.05 < found.record["slices"][0]["fit"]["heldout_error"] < 2
    assert found.record["slices"][0]["fit"]["best_step"] > 0 and max(seen) > 0


def test_weights_are_applied_as_they_are_and_bring_their_sizes(radial_scan: Scan, weights: Path) -> None:
    learned = run(radial_scan, "crnn").cine.data
    applied = run(radial_scan, "crnn", f"weights={weights}", "iterations=0", "channels=16")
    assert np.array_equal(applied.cine.data, learned)
    assert applied.histories[0].step == 0
    adapted = run(radial_scan, "crnn", f"weights={weights}", "iterations=2")
    assert not np.array_equal(adapted.cine.data, learned)


def test_weights_that_do_not_serve_are_refused(radial_scan: Scan, weights: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="they are of method crnn"):
        run(radial_scan, "crunet", f"weights={weights}")
    stored = load_network(str(weights), "crnn")
    name = next(iter(stored.tensors))
    for changed, why in (
        (stored.tensors | {name: torch.full_like(stored.tensors[name], torch.nan)}, "not finite"),
        (stored.tensors | {name: torch.zeros(3)}, "do not fit"),
    ):
        save_network(tmp_path / "bad.safetensors", replace(stored, tensors=changed))
        with pytest.raises(BadRequest, match=why):
            run(radial_scan, "crnn", f"weights={tmp_path / 'bad.safetensors'}")
    weights.write_bytes(weights.read_bytes()[:-50])
    with pytest.raises(BadRequest, match="cannot be read"):
        run(radial_scan, "crnn", f"weights={weights}")


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        ("loss=supervised", "never reads the reference"),
        ("iterations=0", "has learned nothing"),
        ("frames_per_step=2", "sees all frames at once"),
        ("channels=0", "too few"),
    ],
)
def test_settings_that_make_no_sense_are_refused(pair: str, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        configure("crnn", None, [*QUICK, pair])


def test_a_single_frame_is_refused(radial_scan: Scan) -> None:
    assert radial_scan.frame is not None
    with pytest.raises(BadRequest, match="single frame"):
        run(replace(radial_scan, frame=np.zeros_like(radial_scan.frame), reference=None), "crnn")


def test_a_run_is_kept_with_its_weights_and_read_back(radial_scan: Scan, tmp_path: Path) -> None:
    folder, (preset, config) = RunFolder(tmp_path / "run"), configure("crunet", None, QUICK)
    found = reconstruct_into(folder, radial_scan, Request("crunet", preset, "scan.h5", "0" * 64), config)
    read = load_run(folder.path)
    assert np.array_equal(read.cine.data, found.cine.data)
    assert all(torch.equal(tensor, read.networks[0][name]) for name, tensor in found.networks[0].items())
    assert "CRUNet-MR" in build_report(read, folder.read_config(), folder.read_record())
    with pytest.raises(BadRequest, match="fits no continuous field"):
        read.render(n_frames=12)
