"""`dainr simulate`: a scan of a phantom or of a given cine, or a folder of scans of random scenes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dainr.errors import BadRequest

from . import options
from .command import Command
from .scenes import simulate_scenes

if TYPE_CHECKING:
    from dainr.scan import Scan
    from dainr.simulate import SimulationConfig

PHANTOM = "--phantom"
PATTERN = "radial, spiral, vista, uniform, interleaved, fixed or stack-of-stars.  [default: radial]"
FRAMES = "Frames of the phantom.  [default: 25; bolus 40, decay 20, breath and extra-beat 60]"


class Simulate(Command):
    """The command, whose `--phantom` may also stand alone: then it is the default one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give a lone `--phantom` its name before the arguments are parsed as ever."""
        return super().parse_args(ctx, self._named(ctx, args) if PHANTOM in args else args)

    def _named(self, ctx: Any, args: list[str]) -> list[str]:
        """What follows is the value if it is a phantom's name, or else one argument too many."""
        from dainr.simulate import DEFAULT_PHANTOM, PHANTOMS

        place = args.index(PHANTOM) + 1
        after = args[place] if place < len(args) else "-"
        if after in PHANTOMS:
            return args
        named = [*args[:place], DEFAULT_PHANTOM, *args[place:]]
        too_many = self.make_parser(ctx).parse_args(list(named))[1]
        return args if too_many and not after.startswith("-") else named


def simulate(
    out: Annotated[
        Path, typer.Argument(help="Scan file to write: native, of a stack of stars ISMRMRD; of --scenes a folder.")
    ],
    cine: Annotated[
        Path | None, typer.Option(help="Measure this series (.npy, NIfTI, .h5) instead, as 320 mm across and 1 s long.")
    ] = None,
    phantom: Annotated[
        str | None,
        typer.Option(
            PHANTOM,
            metavar="[NAME]",
            help="Measure a phantom, analytically: beating, bolus, decay, breath, extra-beat or textured."
            "  [default: beating]",
        ),
    ] = None,
    spokes: Annotated[int | None, typer.Option(help="Spokes, or spirals, per frame.  [default: 13]")] = None,
    pattern: Annotated[str | None, typer.Option(help=PATTERN)] = None,
    calibration: Annotated[
        int | None, typer.Option(help="Central lines in every frame of Cartesian patterns.  [default: vista 4, else 0]")
    ] = None,
    partitions: Annotated[int | None, typer.Option(help="Partitions of a stack of stars.  [default: 12]")] = None,
    acceleration: Annotated[
        float | None, typer.Option(help="Acceleration of Cartesian patterns.  [default: 8]")
    ] = None,
    coils: Annotated[int | None, typer.Option(help="Receive coils.  [default: 8]")] = None,
    snr: Annotated[float | None, typer.Option(help="Signal-to-noise ratio.  [default: 50]")] = None,
    frames: Annotated[int | None, typer.Option(help=FRAMES)] = None,
    matrix: Annotated[int | None, typer.Option(help="Pixels of the phantom along each side.  [default: 128]")] = None,
    crop: Annotated[
        bool, typer.Option("--crop", help="Let tissue cross the edges: lines are cut along x and wrap along y.")
    ] = False,
    scenes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="N scans of random moving scenes, to train networks with. Options fix what is otherwise drawn; with"
            " --spokes or --acceleration alone, all have spokes, or lines. Scans that are there are kept.",
        ),
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Scenes made at once.  [default: up to one per core]")] = None,
    seed: Annotated[int, typer.Option(help="Seed of coils, noise and sampling, and of scenes.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace the file, or all scenes, if there are any.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Simulate a scan with correlated noise, a noise measurement and a reference; or a folder of them to train with.

    Example: dainr simulate scan.h5 --spokes 13 --frames 25 --matrix 128
    """
    of_scan = {"--cine": cine, "--phantom": phantom, "--partitions": partitions, "--crop": crop or None}
    shared = {"pattern": pattern, "spokes": spokes, "acceleration": acceleration, "calibration": calibration}
    shared |= {"coils": coils, "snr": snr, "frames": frames, "matrix": matrix, "seed": seed}
    if scenes is not None:
        for option, value in of_scan.items():
            if value is not None:
                raise BadRequest(option, "it is not for --scenes", "leave out one of them")
        simulate_scenes(out, scenes, shared, jobs, force, quiet)
        return
    if jobs is not None:
        raise BadRequest("--jobs", "a single scan is made at once", "add --scenes, or leave it out")
    from dainr.io.scans import native
    from dainr.simulate import PHANTOMS, SimulationConfig, simulate_phantom, true_displacement
    from dainr.simulate.simulate import STACK

    if out.exists() and not force:
        raise BadRequest(str(out), "it exists already", "choose another name, or --force to replace it")
    given = shared | {"phantom": phantom, "crop": crop, "partitions": partitions}
    if frames is None and phantom in PHANTOMS:
        given["frames"] = PHANTOMS[phantom].frames
    config = SimulationConfig(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
    _check_pairing(config.pattern, spokes, acceleration, calibration, partitions, cine)
    if cine is not None and (phantom is not None or frames is not None or matrix is not None):
        raise BadRequest("--cine", "it brings its own frames and matrix", "leave out --phantom, --frames and --matrix")
    scan = simulate_phantom(config) if cine is None else _of_series(cine, config)
    if config.pattern == STACK:
        from dainr.io.scans.ismrmrd_write import write_ismrmrd

        write_ismrmrd(scan, out, partitions=True)
    else:
        native.write(scan, out, None if cine is not None else true_displacement(config))
    ny, nx = scan.matrix
    if not quiet:
        typer.echo(
            f"{out}: {scan.n_frames} frames of {ny} x {nx}, {scan.n_readouts} readouts, {scan.n_coils} coils", err=True
        )


def _check_pairing(
    pattern: str,
    spokes: int | None,
    acceleration: float | None,
    calibration: int | None,
    partitions: int | None,
    cine: Path | None,
) -> None:
    of_spokes = ("radial", "spiral", "stack-of-stars")
    if pattern != "stack-of-stars" and partitions is not None:
        raise BadRequest("--partitions", f"pattern {pattern} has none", "add --pattern stack-of-stars")
    if pattern == "stack-of-stars" and cine is not None:
        raise BadRequest("--cine", "a stack of stars has several slices", "choose another pattern")
    if pattern in of_spokes and acceleration is not None:
        raise BadRequest("--acceleration", f"a {pattern} scan is accelerated by its --spokes", "give --spokes instead")
    if pattern in of_spokes and calibration is not None:
        raise BadRequest("--calibration", f"a {pattern} scan has no lines", "leave it out")
    if pattern not in of_spokes and spokes is not None:
        raise BadRequest("--spokes", f"pattern {pattern} has lines", "give --acceleration instead")


def _of_series(path: Path, config: "SimulationConfig") -> "Scan":
    """A scan of the series in a file."""
    import numpy as np

    from dainr.io.images.series import read_series
    from dainr.simulate import simulate_cine

    series = read_series(path)
    if len(series) > 1:
        raise BadRequest(str(path), f"it holds {len(series)} slices", "give a series of one slice: frame, y, x")
    return simulate_cine(np.abs(series[0]).astype(np.float64), config)
