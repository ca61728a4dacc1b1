"""Makes docs/gallery.md and its films from phantoms: python docs/gallery.py. Two minutes on two CPU cores."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import dainr
from dainr.assess.describe import full_sampling
from dainr.assess.scores import evaluate
from dainr.io.images.video import windowed
from dainr.methods.recon import Recon
from dainr.scan import Scan
from dainr.simulate import SimulationConfig, simulate_phantom

DOCS = Path(__file__).parent
FOLDER = DOCS / "gallery"
WIDTH = 192  # screen pixels of a picture; labels need as many
LABEL = 28  # pixels, the strip below a picture
CYCLE_MS = 1600  # a heartbeat on the screen: somewhat slower than life
QUALITY = 60  # of WebP

HEADER = """# Gallery

Films of simulated scans: a beating phantom of a chest, fitted with `--preset fast`. Made by `make gallery`, which also
writes this page and its figures: PSNR of the whole image, and where it moves. On cines
of a human heart: [benchmarks](benchmarks.md).
"""

Panels = list[tuple[str, np.ndarray]]  # label, magnitudes `frame y x`


@dataclass(frozen=True)
class Scene:
    """A film, or a still picture, with its heading and caption."""

    name: str
    heading: str
    caption: str
    panels: Panels
    columns: int


def main() -> None:
    """Make every scene, and the page that shows them."""
    FOLDER.mkdir(exist_ok=True)
    scenes = [fitted(), few_spokes(), lines(), window(), motion(), slow_motion(), methods()]
    sections = [HEADER]
    for scene in scenes:
        save(scene)
        picture = f"![{'; '.join(label for label, _ in scene.panels)}](gallery/{scene.name}.webp)"
        sections.append(f"## {scene.heading}\n\n{picture}\n\n{scene.caption}\n")
    (DOCS / "gallery.md").write_text("\n".join(sections), encoding="utf-8")


def phantom(**changes: object) -> Scan:
    """The scan most scenes are of, or another."""
    return simulate_phantom(replace(SimulationConfig(matrix=96, frames=16, coils=6), **changes))  # type: ignore[arg-type]


def fit(scan: Scan) -> Recon:
    """A quick fit that knows nothing of the reference."""
    return dainr.reconstruct(replace(scan, reference=None), preset="fast", device="cpu")


def truth(scan: Scan) -> np.ndarray:
    """What was measured, without noise."""
    assert scan.reference is not None
    return np.abs(scan.reference[0])


def score(images: np.ndarray, scan: Scan) -> str:
    """PSNR of magnitudes `frame y x`: whole image, and where it moves."""
    found = evaluate(images[None], truth(scan)[None])
    return f"{found.whole.psnr:.1f} / {found.dynamic.psnr:.1f} dB"


def fitted() -> Scene:
    """Gridded frames and the fit of the same readouts."""
    scan = phantom()
    recon = fit(scan)
    gridded, field = recon.gridded[0], np.abs(recon.cine.data[0])
    caption = (
        f"{scan.readouts_per_frame.max()} spokes per frame, where full sampling asks for {full_sampling(scan):.0f}."
        f" Gridded: {score(gridded, scan)}; fitted: {score(field, scan)}."
    )
    panels = [("truth", truth(scan)), ("gridded", gridded), ("fitted", field)]
    return Scene("fitted", "Gridded and fitted", caption, panels, 3)


def few_spokes() -> Scene:
    """Ever fewer spokes, gridded above, fitted below."""
    above: Panels = []
    below: Panels = []
    scores = []
    for spokes in (13, 5, 3):
        scan = phantom(spokes=spokes)
        recon = fit(scan)
        above.append((f"{spokes} spokes, gridded", recon.gridded[0]))
        below.append((f"{spokes} spokes, fitted", np.abs(recon.cine.data[0])))
        scores.append(f"{spokes} spokes {score(below[-1][1], scan)}")
    caption = f"The fewer the spokes, the more the fit relies on its priors: {', '.join(scores)}."
    return Scene("few_spokes", "Few spokes", caption, above + below, 3)


def lines() -> Scene:
    """Variable-density Cartesian lines."""
    scan = phantom(pattern="vista", acceleration=6.0)
    recon = fit(scan)
    zero_filled, field = recon.gridded[0], np.abs(recon.cine.data[0])
    caption = (
        "One line in six, denser towards the k-space centre, other lines in every frame."
        f" Zero-filled: {score(zero_filled, scan)}; fitted: {score(field, scan)}."
    )
    panels = [("truth", truth(scan)), ("zero-filled", zero_filled), ("fitted", field)]
    return Scene("lines", "Cartesian lines", caption, panels, 3)


def window() -> Scene:
    """Real time: few spokes per frame, a sliding window, and the fit without one."""
    scan = phantom(matrix=64, frames=32, spokes=5)
    own = fit(scan)
    shared = dainr.reconstruct(replace(scan, frame=None), "gridding", spokes_per_frame=15, every=5, device="cpu")
    middle = slice(1, 1 + shared.cine.data.shape[1])  # a window of three frames stands for the one in its middle
    part = replace(scan, reference=scan.reference[:, middle]) if scan.reference is not None else scan
    panels = [
        ("truth", truth(part)),
        ("gridded, 5 spokes", own.gridded[0, middle]),
        ("gridded, 15 every 5", np.abs(shared.cine.data[0])),
        ("fitted, 5 spokes", np.abs(own.cine.data[0, middle])),
    ]
    caption = (
        "Real-time imaging. A window of 15 spokes that slides by 5 has fewer streaks than frames of 5 spokes"
        f" ({score(panels[2][1], part)} instead of {score(panels[1][1], part)}), and blurs what moves."
        f" The fit takes the frames of 5 spokes: {score(panels[3][1], part)}."
    )
    return Scene("window", "Sliding window", caption, panels, 2)


def motion() -> Scene:
    """One line of pixels through the heart against time, as M-mode shows it; two heartbeats."""
    scan = phantom(frames=32)
    recon = fit(scan)
    of_each = [("truth", truth(scan)), ("gridded", recon.gridded[0]), ("fitted", np.abs(recon.cine.data[0]))]
    row = scan.matrix[0] // 2 + 2  # through the middle of the ventricles
    panels = [(label, along(images[:, row, 24:88])) for label, images in of_each]
    caption = (
        "One line of pixels through both ventricles (downwards) against time (to the right), two heartbeats: the"
        f" walls come together and part again. 32 frames per heartbeat; fitted: {score(of_each[2][1], scan)}."
    )
    return Scene("motion", "Motion", caption, panels, 1)


def along(line: np.ndarray) -> np.ndarray:
    """Pixels of a line `frame x` as one picture `1 x frame`, twice over, large enough to be seen."""
    return np.repeat(np.tile(line, (2, 1)).T, 8, axis=1).repeat(2, axis=0)[None]


def slow_motion() -> Scene:
    """The frames that were fitted, and four times as many from the same field."""
    scan = phantom(matrix=64)
    recon = fit(scan)
    n_frames = recon.cine.data.shape[1]
    slow = np.abs(recon.render(n_frames=4 * n_frames, matrix=(96, 96)).data[0])
    fast = np.repeat(np.abs(recon.render(matrix=(96, 96)).data[0]), 4, axis=0)
    caption = (
        f"{n_frames} fitted frames, and {4 * n_frames} rendered from the same field. They make a smoother film; they"
        " hold no new measurement."
    )
    panels = [(f"{n_frames} frames", fast), (f"{4 * n_frames} frames", slow)]
    return Scene("slow_motion", "More frames than were fitted", caption, panels, 2)


def methods() -> Scene:
    """Every method on one scan."""
    scan = phantom(spokes=8)
    panels, scores = [("truth", truth(scan))], []
    for name in ("gridding", "cg-sense", "l+s", "grasp"):
        images = np.abs(dainr.reconstruct(replace(scan, reference=None), name, device="cpu").cine.data[0])
        panels.append((name, images))
        scores.append(f"`{name}` {score(images, scan)}")
    field = np.abs(fit(scan).cine.data[0])
    caption = f"8 spokes per frame: {', '.join(scores)}, `dainr` {score(field, scan)}."
    return Scene("methods", "Methods side by side", caption, [*panels, ("dainr", field)], 3)


def save(scene: Scene) -> None:
    """Write a scene as WebP, each panel under one window for all its frames."""
    pictures = [labelled(images, label) for label, images in scene.panels]
    rows = [np.concatenate(pictures[i : i + scene.columns], axis=2) for i in range(0, len(pictures), scene.columns)]
    frames = [Image.fromarray(frame).convert("RGB") for frame in np.concatenate(rows, axis=1)]
    frames[0].save(
        FOLDER / f"{scene.name}.webp",
        save_all=True,
        append_images=frames[1:],
        duration=CYCLE_MS // len(frames),
        loop=0,
        quality=QUALITY,
        method=6,
    )


def labelled(images: np.ndarray, label: str) -> np.ndarray:
    """Grey frames `frame y x`, enlarged, with the label in a strip below."""
    factor = max(1, round(WIDTH / images.shape[2]))
    size = factor * images.shape[2], factor * images.shape[1]
    return np.stack([with_label(Image.fromarray(frame).resize(size), label) for frame in windowed(images)])


def with_label(picture: Image.Image, label: str) -> np.ndarray:
    """One frame and its label."""
    whole = Image.new("L", (picture.width, picture.height + LABEL))
    whole.paste(picture)
    centre = picture.width / 2, picture.height + LABEL / 2
    ImageDraw.Draw(whole).text(centre, label, fill=255, anchor="mm", font=ImageFont.load_default(18))
    return np.asarray(whole)


if __name__ == "__main__":
    main()
