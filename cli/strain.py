"""`dainr strain`: radial and circumferential strain of a wall over time, in six sectors."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dainr.errors import BadRequest

from .motion import frame_of
from .progress import Progress
from .tracked import check_folder, check_one_stack, parse_pair, say_doubts

if TYPE_CHECKING:
    import numpy as np

    from dainr.cine import Cine
    from dainr.methods.recon import Recon
    from dainr.motion import Motion
    from dainr.motion.strain import WallStrain

TABLE, CURVES = "strain.csv", "strain.svg"
MAPS = {"radial": "radial.nii.gz", "circumferential": "circumferential.nii.gz"}


def strain(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[
        Path,
        typer.Argument(help="Folder for strain.csv, strain.svg, radial.nii.gz and circumferential.nii.gz."),
    ],
    mask: Annotated[
        Path | None, typer.Option(help="The wall, drawn on one frame: NIfTI of any matrix that overlays.")
    ] = None,
    label: Annotated[int | None, typer.Option(help="Which label is the wall.  [default: the only one]")] = None,
    centre: Annotated[
        str | None,
        typer.Option(metavar="Y,X", help="Outwards is away from this place in pixels, not across the wall's contour."),
    ] = None,
    radii: Annotated[
        str | None, typer.Option(metavar="IN,OUT", help="Without a mask: the wall is a ring of these radii in mm.")
    ] = None,
    frame: Annotated[str, typer.Option(metavar="N", help="The reference: strain is zero in it.")] = "0",
    anterior: Annotated[
        float | None,
        typer.Option(
            help="Middle of sector 1, degrees counter-clockwise from the image's right; 2 to 6 follow.  [default: 90]"
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace these files if they exist.")] = False,
) -> None:
    """Write Green-Lagrange strain of a wall: a table, curves of six sectors, and maps.

    Example: dainr strain run strain --mask mask.nii.gz --label 2
    """
    from dainr.runs.run import load_run

    if (mask is None) == (radii is None) or (radii is not None and centre is None):
        raise BadRequest("the wall", "nothing says where it is", "give --mask, or --centre and --radii")
    if anterior is not None and not abs(anterior) <= 360:
        raise BadRequest(f"--anterior {anterior:g}", "it is no angle of a circle", "give degrees, such as 90")
    middle = None if centre is None else parse_pair("--centre", centre)
    recon = load_run(run)
    cine = recon.cine
    check_one_stack(cine)
    drawn_on = frame_of("--frame", frame, len(cine.times))
    names = [TABLE, *MAPS.values(), *(curves_name(index, len(cine.data)) for index in range(len(cine.data)))]
    check_folder(out, names, force)
    progress = Progress()
    progress.show_log()
    try:
        motion = recon.displacement(reference=float(cine.times[drawn_on]))
        walls = _of_mask(mask, label, cine, drawn_on) if mask is not None else _ring(middle, radii, cine)
    finally:
        progress.close()
    found = _strains(motion, walls, middle, anterior)
    out.mkdir(exist_ok=True)
    _write(found, cine, out)
    for index, one in found.items():
        typer.echo(_said(index, one))
    say_doubts(recon.record)


def _write(found: "dict[int, WallStrain]", cine: "Cine", out: Path) -> None:
    """Maps, table and curves of the slices that have a wall."""
    import numpy as np

    from dainr.io.hdf5 import write_whole
    from dainr.io.images.nifti import write_maps
    from dainr.io.tables import write_strain
    from dainr.report.curves import strain_curves

    for direction, name in MAPS.items():
        maps = np.zeros(cine.data.shape, np.float32)
        for index, one in found.items():
            maps[index] = np.nan_to_num(getattr(one, direction))
        write_maps(maps, cine, out / name)
    write_strain(found, cine.times, out / TABLE)
    for index, one in found.items():
        with write_whole(out / curves_name(index, len(cine.data))) as temporary:
            temporary.write_text(strain_curves(one, cine.times), encoding="utf-8")


def strains_of(recon: "Recon", mask: Path, label: int | None, frame: str) -> "dict[int, WallStrain]":
    """The strain of a drawn wall, by slice."""
    drawn_on = frame_of("--frame", frame, len(recon.cine.times))
    motion = recon.displacement(reference=float(recon.cine.times[drawn_on]))
    walls = _of_mask(mask, label, recon.cine, drawn_on)
    return _strains(motion, walls, None, None)


def _strains(
    motion: "Motion", walls: "np.ndarray", middle: tuple[float, float] | None, anterior: float | None
) -> "dict[int, WallStrain]":
    """The strain of the slices that have a wall."""
    from dainr.motion.strain import ANTERIOR_DEG, wall_strain

    upwards = ANTERIOR_DEG if anterior is None else anterior
    return {
        index: wall_strain(motion.displacement[index], wall, motion.spacing_mm, middle, upwards)
        for index, wall in enumerate(walls)
        if wall.any()
    }


def curves_name(index: int, n_slices: int) -> str:
    """The figure of a slice."""
    return CURVES if n_slices == 1 else f"strain_slice_{index}.svg"


def _of_mask(mask: Path, label: int | None, cine: "Cine", frame: int) -> "np.ndarray":
    """The wall in every slice, `slice y x`."""
    from dainr.io.images.mask import read_mask
    from dainr.motion.labels import MAJORITY

    shares, numbers = read_mask(mask, cine, frame)
    known = ", ".join(map(str, numbers))
    if label is None and len(numbers) > 1:
        raise BadRequest(str(mask), f"it holds labels {known}", "say which is the wall: --label N")
    chosen = int(numbers[0]) if label is None else label
    if chosen not in numbers:
        raise BadRequest(f"--label {label}", f"{mask} holds {known}", "choose among those")
    wall: np.ndarray = shares[list(numbers).index(chosen)] >= MAJORITY
    if not wall.any():
        raise BadRequest(f"--label {chosen}", "it takes no pixel for the most part", "draw it larger")
    return wall


def _ring(centre: tuple[float, float] | None, radii: str | None, cine: "Cine") -> "np.ndarray":
    """A ring in every slice."""
    import numpy as np

    assert centre is not None and radii is not None
    inner, outer = parse_pair("--radii", radii)
    ny, nx = cine.data.shape[2:]
    dy, dx = cine.spacing_mm
    away = np.hypot((np.arange(ny)[:, None] - centre[0]) * dy, (np.arange(nx) - centre[1]) * dx)
    ring = (away >= inner) & (away <= outer)
    if not 0 <= inner < outer or not ring.any():
        raise BadRequest(f"--radii {radii}", "that ring holds no pixel", "give inner and outer radius in mm: 24,36")
    return np.broadcast_to(ring, (len(cine.data), ny, nx))


def _said(index: int, one: "WallStrain") -> str:
    """The peak strains of a wall, in one line."""
    means = one.means()
    radial, across = 100 * means["radial"][0], 100 * means["circumferential"][0]
    return (
        f"slice {index}: radial strain up to {radial.max():.1f} % (frame {int(radial.argmax())}),"
        f" circumferential down to {across.min():.1f} % (frame {int(across.argmin())})"
    )
