"""The report of a run: one HTML file with nothing outside it, for a reader who decides whether to trust the images."""

from collections.abc import Mapping
from typing import Any

import tomli_w
from markupsafe import Markup

from dainr.methods import get_method
from dainr.methods.recon import Recon
from dainr.motion.strain import WallStrain
from dainr.report.curves import strain_curves
from dainr.report.errors import error_gradient, error_pictures
from dainr.report.figures import fit_curves, frame_error_bars, player_data
from dainr.report.motion import motion_pictures
from dainr.report.page import render


def build_report(
    recon: Recon,
    config: dict[str, Any],
    record: dict[str, Any],
    strains: Mapping[int, WallStrain] | None = None,
) -> str:
    """The report as HTML text, from a reconstruction, the config of its run and its record.

    `strains`: those of a wall in some slices, for their curves.
    """
    fits = [s["fit"] for s in record["slices"] if "fit" in s]
    citation = get_method(recon.method).citation(config["config"])
    shown, moved = player_data(recon), motion_pictures(recon)
    if moved is not None:
        shown["motion"] = moved[0]
    return render(
        "template.html",
        shown,
        scripts=() if moved is None else ("motion.js",),
        motion=None if moved is None else moved[1],
        strains={index: Markup(strain_curves(one, recon.cine.times)) for index, one in (strains or {}).items()},
        findings=record["verdict"],
        scan=record["scan"],
        record=record,
        fits=fits,
        iterations=[s["iterations"] for s in record["slices"] if "iterations" in s],
        prepared=[s["prepare"] for s in record["slices"]],
        curves=[Markup(fit_curves(history)) for history in recon.histories if history.losses],
        errors=[Markup(frame_error_bars(fit["frame_errors"])) for fit in fits if len(fit["frame_errors"]) > 2],
        aspect=round(record["scan"]["fov_mm"][1] / record["scan"]["fov_mm"][0], 4),
        error_maps=(maps := error_pictures(recon)),
        error_gradient=Markup(error_gradient()) if maps else "",
        settings=tomli_w.dumps(config["config"]),
        run=config["run"],
        methods_text=citation.replace("{version}", record["versions"]["dainr"]),
        compared=recon.method != "gridding",
    )
