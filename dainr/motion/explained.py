"""How much of what changes from frame to frame the motion explains; the rest is the innovation's, and moves no label.

    1 - sum |x_t(r) - x_0(r + d_t(r))|^2 / sum |x_t(r) - x_0(r)|^2

over all frames and a region, x magnitudes, d Eulerian and back to frame 0. Near one, images move as the displacement
says; where it is less, contrast has changed, or the motion falls short.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import binary_dilation

from dainr.motion.displacement import Motion
from dainr.motion.sampling import seen

ENOUGH_EXPLAINED = 0.95  # with less, volumes of phantoms were off by several percent
AROUND = 2  # pixels about a label, where its edge shows


def explained(
    images: Float[np.ndarray, "slice frame y x"],
    motion: Motion,
    reference: int,
    region: Bool[np.ndarray, "slice y x"],
) -> float:
    """The share in a region; `motion` is Eulerian, its reference the frame of that number. 0 where nothing changes."""
    assert motion.kind == "eulerian"
    left = changed = 0.0
    for image, steps, where in zip(images, motion.displacement, region, strict=True):
        first = image[reference]
        for frame, step in zip(image, steps, strict=True):
            left += float(np.square(frame - seen(first, step, order=3))[where].sum())
            changed += float(np.square(frame - first)[where].sum())
    return 1 - left / changed if changed else 0.0


def about(shares: Float[np.ndarray, "slice frame y x"]) -> Bool[np.ndarray, "slice y x"]:
    """Where a label is in any frame, and a little around."""
    return np.stack([binary_dilation(one.max(0) > 0, iterations=AROUND) for one in shares])
