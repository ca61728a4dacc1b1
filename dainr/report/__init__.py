"""The report of a run: one HTML file with nothing outside it, for a reader who decides whether to trust the images."""

from typing import Any

import tomli_w
from markupsafe import Markup

from dainr.methods.recon import Recon
from dainr.report.figures import fit_curves, frame_error_bars, player_data
from dainr.report.page import render

METHODS_TEXT = {
    "dainr pointwise": (
        "The cine was reconstructed by fitting an implicit neural representation to this scan alone: a deformation"
        " network and a canonical network on a multiresolution hash grid, by an L1 loss on the measured k-space samples"
        " (DA-INR, Baik & Yoo, MICCAI 2025, arXiv 2501.09049; dainr {version})."
    ),
    "dainr warped": (
        "The cine was reconstructed by fitting an implicit neural representation to this scan alone: canonical maps on"
        " a multiresolution hash grid, mixed over time and warped to every frame by a smooth deformation, and a sparse"
        " innovation in canonical space; by a Huber loss on the measured k-space samples in units of their noise, with"
        " total variation along the motion and in space; coil maps were refined with the image (after DA-INR, Baik &"
        " Yoo, MICCAI 2025, arXiv 2501.09049; dainr {version})."
    ),
    "grasp": (
        "The cine was reconstructed by compressed sensing with total variation over time (GRASP, Feng et al., Magn"
        " Reson Med 2014;72:707), solved by ADMM, its weight a fixed multiple of the noise (dainr {version})."
    ),
    "l+s": (
        "The cine was reconstructed as a low-rank background plus a part sparse in temporal frequency (L+S, Otazo et"
        " al., Magn Reson Med 2015;73:1125), solved by ADMM, its weights fixed multiples of the noise (dainr"
        " {version})."
    ),
    "cg-sense": (
        "Every frame was reconstructed by regularised least squares with conjugate gradients (CG-SENSE, Pruessmann et"
        " al., Magn Reson Med 2001;46:638; dainr {version})."
    ),
    "gridding": "The cine was reconstructed by density-compensated gridding and coil combination (dainr {version}).",
}

FEATURES_TEXT = {
    "warped": (
        " Part of the way, the frames were restored by a pretrained network (MDSR, Lim et al., CVPR Workshops 2017;"
        " weights {weights}), and the fit was then drawn towards them where they move."
    ),
    "pointwise": (
        " The canonical network was conditioned on features of a pretrained network (MDSR, Lim et al., CVPR Workshops"
        " 2017; weights {weights})."
    ),
}


def build_report(recon: Recon, config: dict[str, Any], record: dict[str, Any]) -> str:
    """The report as HTML text, from a reconstruction, the config of its run and its record."""
    fits = [s["fit"] for s in record["slices"] if "fit" in s]
    return render(
        "template.html",
        player_data(recon),
        findings=record["verdict"],
        scan=record["scan"],
        record=record,
        fits=fits,
        iterations=[s["iterations"] for s in record["slices"] if "iterations" in s],
        prepared=[s["prepare"] for s in record["slices"]],
        curves=[Markup(fit_curves(history)) for history in recon.histories],
        errors=[Markup(frame_error_bars(fit["frame_errors"])) for fit in fits if len(fit["frame_errors"]) > 2],
        settings=tomli_w.dumps(config["config"]),
        run=config["run"],
        methods_text=_methods_text(recon.method, config["config"], record["versions"]["dainr"]),
        compared=recon.method != "gridding",
    )


def _methods_text(method: str, settings: dict[str, Any], version: str) -> str:
    """How the cine was made, for a methods section: the method, the form of its field, the features it used."""
    form = settings.get("field")
    text = METHODS_TEXT[f"{method} {form}" if form else method].format(version=version)
    if settings.get("prior", "none") == "none":
        return text
    return text + FEATURES_TEXT[settings["field"]].format(weights=settings["mdsr_weights"])
