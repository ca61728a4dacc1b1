"""The neural field end to end, on small phantoms: better than gridding, honest, reproducible, resumable."""

import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dainr.assess.scores import evaluate
from dainr.assess.verdict import judge
from dainr.errors import BadRequest, Diverged, MissingBackend, OutOfMemory
from dainr.fields.hash_grid import HashGrid
from dainr.fields.lookup import lookup_at_pixels
from dainr.fields.warped import WarpedCine
from dainr.fit.loop import TIE
from dainr.fit.state import Checkpoint, Observer, RunState, Step
from dainr.io import load
from dainr.kernels.compiling import plain_torch
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.method import Dainr
from dainr.methods.recon import Recon
from dainr.networks.weights import load_encoder
from dainr.prepare import prepare_slice
from dainr.prepare.frames import frames_as_stored
from dainr.scan import Scan
from dainr.settings.build import build_config
from dainr.simulate import SimulationConfig, simulate_phantom
from tests.conftest import TINY, TINY_PAPER, as_points
from tests.methods.classical.test_gridding import grid, stack

LONG = {"warped": 40, "pointwise": 150}  # iterations that reconstruct
both = pytest.mark.parametrize("form", LONG)


def configure(scan: Scan, form: str, *pairs: str) -> DainrConfig:
    tiny = TINY if form == "warped" else TINY_PAPER
    config, _ = Dainr().resolve(scan, build_config(DainrConfig, {}, [*tiny, "device=cpu", *pairs]))
    return config


def fit(
    scan: Scan, form: str, *pairs: str, observers: tuple[Observer, ...] = (), resume: RunState | None = None
) -> Recon:
    return Dainr()(scan, configure(scan, form, *pairs), observers, resume)


@pytest.fixture(scope="module", params=LONG)
def fitted(radial_scan: Scan, request: pytest.FixtureRequest) -> Recon:
    return fit(radial_scan, request.param, f"iterations={LONG[request.param]}")


def test_a_radial_scan_is_reconstructed_better_than_by_gridding(fitted: Recon, radial_scan: Scan) -> None:
    ours = evaluate(fitted.cine.data, radial_scan.reference)
    theirs = evaluate(grid(radial_scan).cine.data, radial_scan.reference)
    assert ours.whole.psnr > theirs.whole.psnr + 6
    assert ours.dynamic.psnr > theirs.dynamic.psnr + 3
    assert ours.whole.ssim > theirs.whole.ssim


def test_a_device_without_compiled_passes_reconstructs_as_well(radial_scan: Scan) -> None:
    """Plain torch and the NUFFT of sparse matrices: what a graphics card runs, here on the CPU."""
    images = []
    for path, nufft in ((nullcontext(), "compiled"), (plain_torch(), "sparse")):
        lookup_at_pixels.cache_clear()  # it keeps the products it was made with
        with path:
            images.append(fit(radial_scan, "warped", "iterations=20", f"nufft={nufft}").cine.data)
    lookup_at_pixels.cache_clear()
    compiled, plain = (evaluate(image, radial_scan.reference).whole.psnr for image in images)
    assert abs(compiled - plain) < 0.3
    assert np.linalg.norm(images[0] - images[1]) < 0.05 * np.linalg.norm(images[0])


def test_points_of_a_grid_are_fitted_as_their_lines_are(cartesian_scan: Scan) -> None:
    lines, points = (
        evaluate(fit(scan, "warped", "iterations=40").cine.data, cartesian_scan.reference)
        for scan in (cartesian_scan, as_points(cartesian_scan))
    )
    assert points.whole.psnr > lines.whole.psnr - 1


def test_readouts_at_their_own_times_blur_long_frames_less() -> None:
    scan = simulate_phantom(SimulationConfig(spokes=20, frames=4, matrix=48, coils=4))
    pairs = ("iterations=60", "encoder=none")
    binned, subframes = (
        evaluate(fit(scan, "warped", *pairs, f"subframes={n}").cine.data, scan.reference).dynamic.psnr for n in (1, 3)
    )
    assert subframes > binned + 0.25


@both
def test_subframes_of_a_scan_without_times_and_less_than_one_are_refused(radial_scan: Scan, form: str) -> None:
    at_once = replace(radial_scan, times=np.zeros_like(radial_scan.times))
    with pytest.raises(BadRequest, match="subframes=2"):
        fit(at_once, form, "iterations=1", "subframes=2")
    with pytest.raises(BadRequest, match="subframes=0"):
        configure(radial_scan, form, "subframes=0")
    assert fit(radial_scan, form, "iterations=2", "subframes=2").cine.data.shape == (1, 6, 32, 32)


@both
def test_a_cartesian_scan_is_reconstructed_better_than_by_gridding(cartesian_scan: Scan, form: str) -> None:
    ours = evaluate(fit(cartesian_scan, form, f"iterations={LONG[form]}").cine.data, cartesian_scan.reference)
    theirs = evaluate(grid(cartesian_scan).cine.data, cartesian_scan.reference)
    assert ours.whole.psnr > theirs.whole.psnr + 4
    assert ours.dynamic.psnr > theirs.dynamic.psnr + 3


def test_the_result_has_the_geometry_and_scale_of_the_scan(fitted: Recon, radial_scan: Scan) -> None:
    cine = fitted.cine
    assert cine.data.shape == fitted.gridded.shape == (1, 6, 32, 32)
    assert (cine.fov_mm, cine.slice_thickness_mm) == (radial_scan.fov_mm, radial_scan.slice_thickness_mm)
    image, truth = np.abs(cine.data), radial_scan.reference
    assert 0.8 < (image * truth).sum() / (image * image).sum() < 1.25


def test_the_record_holds_what_the_report_shows(fitted: Recon) -> None:
    record = json.loads(json.dumps(fitted.record))
    assert record["parameters"] == sum(p.numel() for p in fitted.fields[0].parameters())
    assert record["seconds"]["total"] >= record["seconds"]["fit"] > 0
    assert record["seconds"]["prepare"] > 0
    (only,) = record["slices"]
    assert only["prepare"]["held_out_readouts"] > 0
    figures = only["fit"]
    n_steps = fitted.histories[0].step
    assert (figures["steps"], figures["stopped"]) == (n_steps, "budget")
    assert n_steps in LONG.values()
    assert len(figures["frame_errors"]) == 6
    assert [v["step"] for v in figures["validations"]] == list(range(10, n_steps + 1, 10))
    errors = {v["step"]: v["heldout"] for v in figures["validations"]}
    assert errors[figures["best_step"]] == pytest.approx(figures["heldout_error"])
    assert figures["heldout_error"] <= (1 + TIE) * min(errors.values())
    assert 0 < 0.8 * figures["noise_error"] < figures["in_sample_error"] < 1  # a rich field follows some of the noise
    assert 0 < figures["heldout_noise_error"] < figures["heldout_error"] < 1
    assert figures["largest_displacement_pixels"] > 0
    assert judge(record)[0].level in ("good", "caution")


def test_the_cine_is_the_field_of_the_best_state(fitted: Recon) -> None:
    rendered = fitted.render(times=fitted.cine.times.tolist())
    np.testing.assert_allclose(rendered.data, fitted.cine.data, rtol=1e-4, atol=1e-4 * abs(fitted.cine.data).max())
    assert fitted.histories[0].best_step == fitted.record["slices"][0]["fit"]["best_step"]
    assert fitted.render(n_frames=11, matrix=(48, 40)).data.shape == (1, 11, 48, 40)


@both
@pytest.mark.usefixtures("two_threads")
def test_the_same_seed_gives_the_same_bits_and_another_does_not(radial_scan: Scan, form: str) -> None:
    first, second, third = (fit(radial_scan, form, "iterations=15", f"seed={seed}") for seed in (0, 0, 1))
    assert np.array_equal(first.cine.data, second.cine.data)
    assert first.histories[0].losses == second.histories[0].losses
    assert not np.allclose(first.cine.data, third.cine.data)


class Watcher:
    """Keeps the last parameters of every slice and the losses seen."""

    def __init__(self, stop_at: tuple[int, int] = (-1, -1)) -> None:
        self.parameters: dict[int, dict[str, Tensor]] = {}
        self.losses: list[float] = []
        self.checkpoints: list[Checkpoint] = []
        self.stop_at = stop_at

    def __call__(self, step: Step) -> bool:
        self.parameters[step.slice] = {k: v.clone() for k, v in step.model.state_dict().items()}
        self.losses.append(step.loss)
        if (step.slice, step.step) == self.stop_at:
            self.checkpoints.append(step.checkpoint())
        return (step.slice, step.step) != self.stop_at


@pytest.mark.parametrize("virtual_coils", [0, 2])
@both
def test_held_out_readouts_never_enter_the_fit(radial_scan: Scan, form: str, virtual_coils: int) -> None:
    pairs = ("iterations=12", "patience=0", f"virtual_coils={virtual_coils}")
    config = configure(radial_scan, form, *pairs)
    held_out = prepare_slice(radial_scan, 0, config.prepare, config.seed).held_out
    kspace = radial_scan.kspace.copy()
    kspace[:, :, held_out] *= np.array([3, -1j, 0.1, 2])[None, :, None, None]
    watchers = Watcher(), Watcher()
    for scan, watcher in zip((radial_scan, replace(radial_scan, kspace=kspace)), watchers, strict=True):
        fit(scan, form, *pairs, observers=(watcher,))
    assert watchers[0].losses == watchers[1].losses
    for name, value in watchers[0].parameters[0].items():
        assert torch.equal(value, watchers[1].parameters[0][name])


@both
def test_the_reference_is_never_read(radial_scan: Scan, form: str) -> None:
    broken = replace(radial_scan, reference=np.full_like(radial_scan.reference, np.nan))
    ours, theirs = (fit(scan, form, "iterations=3").cine.data for scan in (radial_scan, broken))
    assert np.array_equal(ours, theirs)


@pytest.fixture(scope="module")
def pair(radial_scan: Scan) -> Scan:
    return stack(radial_scan, 2 * radial_scan.kspace)


@pytest.fixture(scope="module", params=LONG)
def whole(pair: Scan, request: pytest.FixtureRequest) -> tuple[str, Recon]:
    return request.param, fit(pair, request.param, "iterations=10")


@pytest.mark.parametrize("place", [(0, 5), (1, 7)], ids=["first slice", "second slice"])
def test_two_slices_resumed_where_they_were_interrupted_are_as_if_never(
    pair: Scan, whole: tuple[str, Recon], place: tuple[int, int]
) -> None:
    form, uninterrupted = whole
    assert uninterrupted.cine.data.shape == (2, 6, 32, 32)
    assert [s["fit"]["steps"] for s in uninterrupted.record["slices"]] == [10, 10]
    watcher = Watcher(stop_at=place)
    part = fit(pair, form, "iterations=10", observers=(watcher,))
    assert len(part.cine.data) == place[0] + 1
    assert part.record["slices"][-1]["fit"]["stopped"] == "interrupted"
    done = {i: Checkpoint(part.fields[i].state_dict(), part.histories[i]) for i in range(place[0])}
    resumed = fit(pair, form, "iterations=10", resume=RunState(done, (place[0], watcher.checkpoints[0])))
    assert np.array_equal(resumed.cine.data, uninterrupted.cine.data)
    assert [h.losses for h in resumed.histories] == [h.losses for h in uninterrupted.histories]


@pytest.mark.parametrize("stop_at", [5, 8])
def test_a_fit_with_a_prior_from_restored_frames_resumes_bit_by_bit(radial_scan: Scan, stop_at: int) -> None:
    pairs = ("iterations=10", "encoder=mdsr")
    whole, without = fit(radial_scan, "warped", *pairs), fit(radial_scan, "warped", "iterations=10")
    assert not np.array_equal(whole.cine.data, without.cine.data)
    watcher = Watcher(stop_at=(0, stop_at))
    fit(radial_scan, "warped", *pairs, observers=(watcher,))
    resumed = fit(radial_scan, "warped", *pairs, resume=RunState({}, (0, watcher.checkpoints[0])))
    assert np.array_equal(resumed.cine.data, whole.cine.data)


def test_weights_that_do_not_restore_frames_are_no_prior(radial_scan: Scan, tmp_path: Path) -> None:
    save_file(load_encoder("mdsr", "random", 0).state_dict(), tmp_path / "other.safetensors")
    pairs = ("encoder=mdsr", f"encoder_weights={tmp_path / 'other.safetensors'}")
    with pytest.raises(BadRequest, match="they super-resolve single images; use some that restore frames"):
        configure(radial_scan, "warped", *pairs)
    assert fit(radial_scan, "pointwise", "iterations=1", *pairs).fields[0].features.n_features == 128


def test_features_of_weights_that_restore_frames_are_the_frames(radial_scan: Scan) -> None:
    (field,) = fit(radial_scan, "pointwise", "iterations=1", "encoder=mdsr").fields
    assert field.features is not None and field.features.n_features == 8


@pytest.mark.parametrize(
    ("form", "pair"),
    [
        ("pointwise", "encoder=mdsr"),
        ("warped", "encoder=mdsr"),
        ("pointwise", "encoding=hash"),
        ("pointwise", "encoding=none"),
        ("warped", "cyclic=yes"),
        ("warped", "cyclic=no"),
        ("warped", "warped.coil_control=0"),
    ],
)
def test_saved_fields_are_restored_bit_by_bit(radial_scan: Scan, form: str, pair: str) -> None:
    recon = fit(radial_scan, form, "iterations=3", pair)
    field = recon.fields[0]
    maps = {} if field.features is None else {"maps.0": field.features.maps}
    finished = {0: Checkpoint({k: v.clone() for k, v in field.state_dict().items()}, recon.histories[0])}
    assert bool(maps) == ((form, pair) == ("pointwise", "encoder=mdsr"))
    restored = Dainr().restore(configure(radial_scan, form, pair), (32, 32), finished, maps)
    assert torch.equal(restored[0].render([0.1], (32, 32)), field.render([0.1], (32, 32)))
    assert torch.equal(restored[0].displacement([1.5], (32, 32)), field.displacement([1.5], (32, 32)))


@pytest.mark.parametrize("rate", ["1e6", "1e9"])
@both
def test_a_fit_that_runs_away_is_an_error_and_not_a_black_cine(radial_scan: Scan, form: str, rate: str) -> None:
    with pytest.raises(Diverged, match=r"lower .*learning_rate"):
        fit(radial_scan, form, f"learning_rate={rate}")


def test_choices_are_made_before_the_fit_and_recorded(radial_scan: Scan) -> None:
    config, record = Dainr().resolve(radial_scan, build_config(DainrConfig, {}, [*TINY_PAPER, "device=cpu"]))
    assert (config.device, config.grid, config.nufft) == ("cpu", "native", "finufft")
    assert record == {"fourier": "finufft"}


@pytest.mark.parametrize("cyclic", ["yes", "no"])
def test_the_series_is_a_cycle_where_that_is_said(radial_scan: Scan, cyclic: str) -> None:
    (field,) = fit(radial_scan, "warped", "iterations=1", f"cyclic={cyclic}").fields
    assert isinstance(field, WarpedCine)
    assert field.cyclic is (cyclic == "yes")


@pytest.mark.parametrize(
    ("form", "name", "value"),
    [
        ("warped", "grid", "tinycudann"),
        ("warped", "deformation.width", "8"),
        ("warped", "canonical.table.levels", "3"),
        ("pointwise", "start_steps", "5"),
        ("pointwise", "warped.width", "8"),
        ("pointwise", "objective.strain", "2"),
    ],
)
def test_settings_of_the_form_not_in_use_are_refused(form: str, name: str, value: str) -> None:
    other = "pointwise" if form == "warped" else "warped"
    with pytest.raises(BadRequest, match=f"setting {name.split('.')[0]}: the {form} field .*set field={other}"):
        build_config(DainrConfig, {}, [f"field={form}", f"{name}={value}"])
    build_config(DainrConfig, {}, [f"field={other}", f"{name}={value}"])


@pytest.mark.parametrize("pairs", [("grid=tinycudann",), ("grid=tinycudann", "deformation.encoding=hash")])
def test_a_grid_backend_that_cannot_run_here_is_refused(radial_scan: Scan, pairs: tuple[str, ...]) -> None:
    with pytest.raises(MissingBackend, match="grid=tinycudann"):
        configure(radial_scan, "pointwise", *pairs)


def test_a_grid_that_computes_on_cuda_only_is_kept_as_one_in_torch(
    radial_scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnlyOnCuda(HashGrid):
        """Stands for tiny-cuda-nn's."""

    monkeypatch.setitem(sys.modules, "dainr.fields.tinycudann", SimpleNamespace(TinyCudaNNGrid=OnlyOnCuda))
    config = replace(configure(radial_scan, "pointwise", "iterations=2"), grid="tinycudann")
    recon = Dainr()(radial_scan, config)
    assert [type(m) for m in recon.fields[0].modules() if isinstance(m, HashGrid)] == [HashGrid]
    times = recon.cine.times[:1].tolist()
    np.testing.assert_allclose(recon.render(times=times, matrix=(32, 32)).data, recon.cine.data[:, :1], rtol=1e-4)


@pytest.mark.parametrize(
    ("where", "doing"),
    [
        ("dainr.methods.slices.prepare_slice", "preparing slice 0"),
        ("dainr.methods.dainr.method.start_warped", "reconstructing slice 0"),
        ("dainr.fit.loop.relative_error", "validating the fit"),
        ("dainr.methods.dainr.method.render_series", "rendering slice 0"),
    ],
)
def test_memory_that_runs_out_is_said_in_one_sentence(
    radial_scan: Scan, where: str, doing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(where, full)
    with pytest.raises(OutOfMemory, match=f"^out of memory: {doing} needs more than there is; .*--matrix.*[.]$"):
        fit(radial_scan, "warped", "iterations=1")


def test_fewer_frames_at_once_are_recorded_and_kept_to(radial_scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    series = WarpedCine.series

    def of_three(field: WarpedCine, frames: Sequence[float], *others: Any, **named: Any) -> Any:
        if len(frames) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        shown.append(len(frames))
        return series(field, frames, *others, **named)

    pairs = ("iterations=4", "validate_every=2", "coarse_steps=0", "error_map=yes")
    wanted = fit(radial_scan, "warped", *pairs, "frames_at_once=3")
    monkeypatch.setattr(WarpedCine, "series", of_three)
    monkeypatch.setattr("dainr.methods.dainr.error_map._magnitude", lambda model: np.ones((6, 32, 32), np.float32))
    recon = fit(radial_scan, "warped", *pairs)
    assert recon.record["slices"][0]["fit"]["frames_at_once"] == 3
    assert "frames_at_once" not in wanted.record["slices"][0]["fit"]
    np.testing.assert_array_equal(recon.cine.data, wanted.cine.data)


@pytest.mark.data
def test_a_shared_scan_is_reconstructed_in_its_own_geometry(data_folder: Path) -> None:
    scan = frames_as_stored(load(data_folder / "sax13.h5"))
    recon = fit(scan.select_slices([0]), "warped", "iterations=2")
    assert recon.cine.data.shape == (1, scan.n_frames, *scan.matrix)
    assert np.isfinite(recon.cine.data).all()
