"""How much a client may send and how long it may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on clients, so that none keeps the others out or fills the disk."""

    clients: int = 16  # at once, those that wait for their turn too
    session_bytes: float = 20e9  # of one scan
    greeting_s: float = 30.0  # until the header of the measurement is there
    patience_s: float = 600.0  # from one message to the next, and for a client to take an image
    fit_s: float = 7200.0  # of one fit
    drain_s: float = 20.0  # how long what a refused client goes on to send is read and let go
