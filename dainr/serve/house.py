"""What the sessions of a server share."""

import threading
from dataclasses import dataclass
from pathlib import Path

from dainr.serve.asked import Offer
from dainr.serve.fits import Places
from dainr.serve.limits import Limits


@dataclass(frozen=True)
class House:
    """What sessions share."""

    offer: Offer
    limits: Limits
    places: Places
    root: Path  # of their folders
    keep: bool  # whether these stay
    stopping: threading.Event  # no scan is taken any more
