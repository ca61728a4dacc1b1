"""Makes the pictures of docs/motion.md from a phantom whose motion is known: python docs/motion_pictures.py.

A minute on two CPU cores. docs/motion/figures.json holds the figures that the page names.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

import dainr
from dainr.io.images.video import windowed
from dainr.motion import seen
from dainr.motion.explained import about, explained
from dainr.motion.labels import carried
from dainr.motion.strain import wall_strain
from dainr.report.curves import strain_curves
from dainr.report.figures import colours
from dainr.simulate import SimulationConfig, simulate_phantom, true_displacement

FOLDER = Path(__file__).parent / "motion"
CONFIG = SimulationConfig(phantom="textured", matrix=96, frames=16, spokes=13)
SHOWN = (slice(26, 74), slice(22, 78))  # rows and columns about the heart
FACTOR, LABEL, EVERY = 6, 28, 4  # screen pixels a pixel, pixels of the strip below, pixels between lines of the grid
TOP = 3.0  # pixels, the end of the colours' scale
CYCLE_MS = 1600
CENTRE, RADII = (49.9, 53.8), (7.6, 10.9)  # pixels: the muscle of the left ventricle in the first frame


def main() -> None:
    """Fit, and draw."""
    FOLDER.mkdir(exist_ok=True)
    scan, truth = simulate_phantom(CONFIG), true_displacement(CONFIG)
    assert truth is not None
    recon = dainr.reconstruct(replace(scan, reference=None), device="cpu")
    first = float(recon.cine.times[0])
    found = recon.displacement(reference=first)
    eulerian = recon.displacement(reference=first, kind="eulerian")
    images = windowed(np.abs(recon.cine.data[0]))
    wall, cavity = ring()
    with_grid = {"fitted, with a grid carried along": grids(images, found.displacement[0])}
    film("grid", with_grid | {"a contour carried along": contours(images, cavity, eulerian.displacement[0])})
    where_known = np.where(np.isfinite(truth[0]), found.displacement[0], np.nan)
    moved = {"true": truth[0], "fitted": where_known, "fitted, everywhere": found.displacement[0]}
    film("displacement", {label: sizes(one) for label, one in moved.items()})
    strain = wall_strain(found.displacement[0], wall, found.spacing_mm, CENTRE)
    (FOLDER / "strain.svg").write_text(strain_curves(strain, recon.cine.times), encoding="utf-8")
    error = np.hypot(*(found.displacement[0] - truth[0]).transpose(1, 0, 2, 3))
    moving = np.nan_to_num(np.hypot(truth[0, :, 0], truth[0, :, 1]).max(0)) > 0.5
    shares = carried(cavity[None, None], eulerian)
    areas = shares.sum((0, 1, 3, 4))
    figures = {
        "motion_explains_percent": round(100 * explained(np.abs(recon.cine.data), eulerian, 0, about(shares[0])), 1),
        "ejection_fraction_percent": round(100 * float(1 - areas.min() / areas.max()), 1),
        "median_error_pixels": round(float(np.median(error[:, moving])), 2),
        "error_95_percent_pixels": round(float(np.quantile(error[:, moving], 0.95)), 2),
        "folded": int(found.folded.sum()),
        "peak_radial_percent": round(100 * float(strain.means()["radial"][0].max()), 1),
        "peak_circumferential_percent": round(100 * float(strain.means()["circumferential"][0].min()), 1),
    }
    (FOLDER / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def ring() -> tuple[np.ndarray, np.ndarray]:
    """The muscle of the left ventricle in the first frame, and the cavity in it."""
    away = np.hypot(np.arange(96)[:, None] - CENTRE[0], np.arange(96) - CENTRE[1])
    return (away >= RADII[0]) & (away <= RADII[1]), (away < RADII[0] - 0.7).astype(float)


def enlarged(picture: np.ndarray) -> Image.Image:
    """The part about the heart, in colours."""
    part = Image.fromarray(picture[SHOWN]).convert("RGB")
    return part.resize((FACTOR * part.width, FACTOR * part.height), Image.Resampling.BICUBIC)


def on_screen(y: np.ndarray, x: np.ndarray) -> list[tuple[float, float]]:
    """Places of pixels on an enlarged picture."""
    rows, columns = SHOWN
    return [(FACTOR * (a - columns.start + 0.5), FACTOR * (b - rows.start + 0.5)) for a, b in zip(x, y, strict=True)]


def grids(images: np.ndarray, displacement: np.ndarray) -> list[Image.Image]:
    """Every frame with the lines of a grid, carried from the first."""
    y, x = np.meshgrid(np.arange(96), np.arange(96), indexing="ij")
    pictures = []
    for image, (dx, dy) in zip(images, displacement, strict=True):
        picture = enlarged(image)
        pen = ImageDraw.Draw(picture)
        for n in range(0, 96, EVERY):
            pen.line(on_screen((y + dy)[n], (x + dx)[n]), fill="#ffb454", width=2)
            pen.line(on_screen((y + dy)[:, n], (x + dx)[:, n]), fill="#ffb454", width=2)
        pictures.append(picture)
    return pictures


def contours(images: np.ndarray, shares: np.ndarray, back: np.ndarray) -> list[Image.Image]:
    """Every frame with the edge of a label that was drawn on the first."""
    pictures = []
    for image, step in zip(images, back, strict=True):
        picture = enlarged(image)
        label = Image.fromarray(seen(shares, step)[SHOWN].astype(np.float32))
        inside = np.asarray(label.resize(picture.size, Image.Resampling.BICUBIC)) > 0.5
        edge = inside & ~binary_erosion(inside, iterations=2)
        drawn = np.asarray(picture).copy()
        drawn[edge] = (255, 180, 84)
        pictures.append(Image.fromarray(drawn))
    return pictures


def sizes(displacement: np.ndarray) -> list[Image.Image]:
    """How far tissue has moved in every frame, in colours; black where it is not known."""
    size = np.hypot(displacement[:, 0], displacement[:, 1])
    palette = colours("viridis")
    shades = palette[np.clip(255 * np.nan_to_num(size) / TOP, 0, 255).astype(int)]
    shades[~np.isfinite(size)] = 0
    pictures = [Image.fromarray(shade[SHOWN]) for shade in shades]
    return [one.resize((FACTOR * one.width, FACTOR * one.height), Image.Resampling.NEAREST) for one in pictures]


def film(name: str, panels: dict[str, list[Image.Image]]) -> None:
    """Panels side by side, each with its label below, as WebP."""
    frames = []
    for pictures in zip(*panels.values(), strict=True):
        width, height = pictures[0].size
        whole = Image.new("RGB", (len(panels) * width, height + LABEL))
        for index, (label, picture) in enumerate(zip(panels, pictures, strict=True)):
            whole.paste(picture, (index * width, 0))
            place = (index * width + width / 2, height + LABEL / 2)
            ImageDraw.Draw(whole).text(place, label, fill="white", anchor="mm", font=ImageFont.load_default(16))
        frames.append(whole)
    frames[0].save(
        FOLDER / f"{name}.webp",
        save_all=True,
        append_images=frames[1:],
        duration=CYCLE_MS // len(frames),
        loop=0,
        quality=60,
        method=6,
    )


if __name__ == "__main__":
    main()
