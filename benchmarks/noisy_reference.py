"""What scores say where the reference is itself a noisy measurement, and what its noise does to them.

    python -m benchmarks.noisy_reference [--snr 27] [-o noisy_reference.md]

The reference of measured data is the image of all its lines, and half of them are the lines a fit sees. So a fit that
copies their noise agrees with the reference better than the truth does. Here the truth of a decaying phantom is scored,
and the truth with ever more of the noise of every second line, against the reference and against itself; the noise left
in the residual is what a fit would report.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from benchmarks.common import Report, add_common, heading, table
from benchmarks.fully_sampled import fully_sampled
from dainr.assess.scores import Evaluation, evaluate
from dainr.simulate.phantoms import PHANTOMS, frame_centres

PHANTOM, MATRIX, EVERY = "decay", (64, 64), 2  # of the lines, those that are seen
TAKEN = (0.0, 0.13, 0.3, 0.5, 1.0)  # share of the noise of the lines seen that is in the image


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each share of the noise."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snr", type=float, default=27.0, help="the brightest pixel over the noise of a pixel")
    add_common(parser)
    asked = parser.parse_args(arguments)
    report = Report(asked.output)
    report.add(heading("A noisy reference", "noisy_reference", arguments, asked.device))
    report.add("PSNR dB / SSIM / PSNR dB where it changes.")
    report.add(table(("residual over noise", "against the noisy reference", "against the truth"), rows(asked.snr)))


def rows(snr: float) -> list[tuple[str, ...]]:
    """Scores of the truth with shares of the noise of the lines seen."""
    phantom = PHANTOMS[PHANTOM]
    times = frame_centres(phantom.frames)
    truth = np.stack([fully_sampled(phantom.ellipses(), MATRIX, float(time)) for time in times])
    random = np.random.default_rng(0)
    noise = random.standard_normal(truth.shape) + 1j * random.standard_normal(truth.shape)
    noise *= np.abs(truth).max() / snr / np.sqrt(2)
    kspace = np.fft.fft2(noise)
    kspace[:, np.arange(MATRIX[0]) % EVERY != 0] = 0
    seen, found = np.fft.ifft2(kspace), []
    for share in TAKEN:
        image = (truth + share * seen)[None]
        against = [words(evaluate(image, reference[None])) for reference in (truth + noise, truth)]
        found.append((f"{1 - share:.2f}", *against))
    return found


def words(found: Evaluation) -> str:
    """The scores of a cell."""
    if found.whole.psnr > 100:
        return "equal"
    return f"{found.whole.psnr:.2f} / {found.whole.ssim:.3f} / {found.dynamic.psnr:.2f}"


if __name__ == "__main__":
    main()
