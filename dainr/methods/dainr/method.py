"""DA-INR: a deformation field and a canonical field fitted to one scan alone, in two forms.

    warped      x(r, t) = C(r + D(r, t), t), canonical space rendered once a step and warped to all frames; see
                fields/warped.py and objective.py
    pointwise   x(r, t) = C(r + D(r, t), t, f(r, t)), min sum_j w_j | (A x)_j - y_j |_1, one frame a step: as published

Baik & Yoo, MICCAI 2025, arXiv 2501.09049. Slices are fitted in turn.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Complex
from torch import Tensor

from dainr.fields.field import DynamicField
from dainr.fields.grid import choose_grid
from dainr.fields.warped import WarpedCine
from dainr.fit.state import Checkpoint, Observer, of_the_run
from dainr.machine.memory import give_freed_memory_back
from dainr.machine.shortage import memory_for
from dainr.methods.common import resolve_common
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.error_map import error_map
from dainr.methods.dainr.memory import frames_at_once
from dainr.methods.dainr.start import build_pointwise, build_warped, start_fit, start_warped
from dainr.methods.slices import Slice, SliceMethod, SliceResult
from dainr.methods.summary import summary
from dainr.networks.condition import FeatureMaps
from dainr.networks.restorer import Restorer
from dainr.networks.weights import load_encoder, weights_of
from dainr.prepare.frame_data import frame_data
from dainr.scan import Scan

log = logging.getLogger(__name__)


FORMS = {
    "pointwise": (
        "The cine was reconstructed by fitting an implicit neural representation to this scan alone: a deformation"
        " network and a canonical network on a multiresolution hash grid, by an L1 loss on the measured k-space samples"
        " (DA-INR, Baik & Yoo, MICCAI 2025, arXiv 2501.09049; dainr {version})."
    ),
    "warped": (
        "The cine was reconstructed by fitting an implicit neural representation to this scan alone: canonical maps on"
        " a multiresolution hash grid, mixed over time and warped to every frame by a smooth deformation, and a sparse"
        " innovation in canonical space; by a Huber loss on the measured k-space samples in units of their noise, with"
        " total variation along the motion and in space; coil maps were refined with the image (after DA-INR, Baik &"
        " Yoo, MICCAI 2025, arXiv 2501.09049; dainr {version})."
    ),
}
PRIORS = {
    "pointwise": (
        " The canonical network was conditioned on features of a pretrained network ({network}; weights {weights})."
    ),
    "warped": (
        " Midway, a pretrained network ({network}; weights {weights}) denoised the frames once, and moving regions were"
        " regularised towards them."
    ),
}

PAPERS = {
    "mdsr": "MDSR, Lim et al., CVPR Workshops 2017",
    "edsr": "EDSR, Lim et al., CVPR Workshops 2017",
    "rdn": "a compact RDN, Zhang et al., CVPR 2018",
    "swinir": "a compact SwinIR, Liang et al., ICCV Workshops 2021",
}


class Dainr(SliceMethod):
    """The neural field, fitted slice by slice; every model is rendered from the state its held-out readouts chose."""

    name = "dainr"
    Config = DainrConfig
    presets = ("default", "fast", "hash", "paper")
    about = "deformation and canonical neural field fitted to the scan alone; continuous in space and time"

    def citation(self, settings: Mapping[str, Any]) -> str:
        """How the images were made: the form of the field, and the prior it used."""
        form, encoder = settings["field"], settings["encoder"]
        if encoder == "none":
            return FORMS[form]
        weights = weights_of(encoder, settings["encoder_weights"])
        return FORMS[form] + PRIORS[form].replace("{network}", PAPERS[encoder]).replace("{weights}", weights)

    def resolve(self, scan: Scan, config: DainrConfig) -> tuple[DainrConfig, dict[str, Any]]:
        """Device, NUFFT and grid backend decided. Raises MissingBackend for one that is named and not here."""
        config, record = resolve_common(scan, config)
        if config.encoder != "none":
            network = load_encoder(config.encoder, config.encoder_weights, config.seed)
            if config.field == "warped":
                Restorer(network, cyclic=False)
        if config.field == "warped":
            shown = scan.n_frames * config.subframes
            at_once = config.fit.frames_at_once or frames_at_once(scan, config, torch.device(config.device))
            if at_once < shown:
                log.info("memory: %d of %d frames are rendered at once", at_once, shown)
            return replace(config, fit=replace(config.fit, frames_at_once=at_once)), record
        grid = choose_grid(config.grid, config.canonical.table, torch.device(config.device))
        if config.deformation.encoding == "hash":
            choose_grid(grid, config.deformation.table, torch.device(config.device))
        return replace(config, grid=grid), record  # type: ignore[arg-type]

    def of_slice(
        self, part: Slice, config: DainrConfig, observers: Sequence[Observer], begun: Checkpoint | None
    ) -> SliceResult:
        """Fit a slice, or what is left to do of it."""
        prepared, subframes = part.prepared, (config.nufft, torch.device(config.device), config.subframes)
        data = part.data if config.subframes == 1 else frame_data(prepared, ~prepared.held_out, *subframes)
        heldout = frame_data(prepared, prepared.held_out, *subframes) if prepared.held_out.any() else None
        fit = start_fit(config, prepared, data, heldout, part.gridded, part.place)
        model = fit.model
        assert isinstance(model, DynamicField)
        if begun is not None and begun.state.is_done:
            fit.best, fit.state = begun.tensors, begun.state
        elif begun is not None:
            with of_the_run("the state to resume from"):
                fit.restore(begun)
        elif isinstance(model, WarpedCine):
            start_warped(model, config, part)
        prepare_seconds = time.perf_counter() - part.begun_at
        give_freed_memory_back()  # what preparing took
        fit.run(observers)
        if fit.best:
            with of_the_run("the state to resume from"):
                model.load_state_dict(fit.best)
        model.zero_grad(set_to_none=True)
        at_once = fit.state.frames_at_once or config.fit.frames_at_once
        with memory_for(f"rendering slice {part.place[0]}"):
            images = render_series(model, at_once)
            record = {"fit": summary(fit.state, model, images, data, heldout, prepared, config.subframes, at_once)}
        seconds = {"fit": fit.state.seconds, "prepare": prepare_seconds}
        errors = None
        if config.error_map and isinstance(model, WarpedCine):
            log.info("slice %d: error map, by short refits", part.place[0])
            begun_at = time.perf_counter()
            fewer = replace(config, fit=replace(config.fit, frames_at_once=at_once))
            errors = error_map(model, data, prepared, fewer, part.place, record["fit"].get("image_error"))
            seconds["error_map"] = time.perf_counter() - begun_at
        if config.grid == "tinycudann":  # which computes on CUDA only, where no field is kept
            maps = {} if model.features is None else {"maps.0": model.features.maps.cpu()}
            here = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
            (model,) = self.restore(config, model.matrix, {0: Checkpoint(here, fit.state)}, maps)
        return SliceResult(images, fit.state, record, model, seconds, errors)

    def restore(
        self,
        config: DainrConfig,
        matrix: tuple[int, int],
        finished: Mapping[int, Checkpoint],
        features: Mapping[str, Tensor],
    ) -> tuple[DynamicField, ...]:
        """The fields a run saved; a grid fitted by tiny-cuda-nn continues in torch, their layout is the same."""
        fields = []
        for index in sorted(finished):
            tensors = finished[index].tensors
            maps = FeatureMaps(features[f"maps.{index}"]) if f"maps.{index}" in features else None
            here, times = replace(config, device="cpu", grid="native"), tensors["frame_times"].tolist()
            if config.field == "warped":
                no_maps = torch.zeros(len(tensors["coil_correction"]) // 2, *matrix, dtype=torch.complex64)
                model: DynamicField = build_warped(here, times, matrix, no_maps, bool(tensors["is_cyclic"]))
            else:
                model = build_pointwise(here, times, matrix, maps)
            model.load_state_dict(tensors)
            fields.append(model.eval())
        return tuple(fields)


@torch.no_grad()
def render_series(model: DynamicField, at_once: int = 0) -> Complex[Tensor, "frame y x"]:
    """The series at its own frames and matrix, in the units of the fit; so many at a time, or with 0 all together."""
    times = model.times
    size = at_once or len(times)
    parts = [model.render(times[first : first + size], model.matrix) for first in range(0, len(times), size)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)
