"""What can go wrong, in one sentence each: what happened, why, and what to do about it.

The library raises these; the command line alone turns them into a message and an exit code.
"""


class DainrError(Exception):
    """An error a user can act on; its text is one sentence, "what: why; fix."."""

    exit_code = 1
    status = "failed"  # of a run that ends with it

    def __init__(self, what: str, why: str, fix: str) -> None:
        self.what, self.why, self.fix = what, why, fix
        super().__init__(f"{what}: {why}; {fix}.")

    def __reduce__(self) -> tuple[type["DainrError"], tuple[str, str, str]]:
        return type(self), (self.what, self.why, self.fix)  # so that one process can tell it to another


class BadRequest(DainrError):
    """The request itself cannot be met: an unknown preset, a wrong value, an output that exists."""

    exit_code = 2


class OutOfMemory(BadRequest):
    """There is not enough memory for what was asked; with more of it, or less beside it, the same would do."""

    status = "out of memory"


class NoRoom(BadRequest):
    """The disk is full; with more room the same would do."""

    status = "no room"


class BadScan(DainrError):
    """The data cannot be reconstructed: truncated, malformed, not finite, out of range."""

    exit_code = 3


class LockedScan(BadScan):
    """Another program has the file open for writing: later it may be read."""

    exit_code = 6


class MissingBackend(DainrError):
    """A device or an optional package was asked for by name and is not here."""

    exit_code = 4


class Diverged(DainrError):
    """The fit ran away: its loss or its gradient is no longer finite, or it left the scale of the data."""

    exit_code = 5
    status = "diverged"


class Interrupted(DainrError):
    """The user stopped the run; its state is saved."""

    exit_code = 130
    status = "interrupted"


# what libraries say beside torch's OutOfMemoryError: torch on the CPU, CUDA's runtime and driver, cuBLAS and cuFFT
NO_MEMORY = ("can't allocate memory", "out of memory", "out_of_memory", "alloc_failed", "memoryallocation")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left, whichever library raised it."""
    if isinstance(error, DainrError):
        return isinstance(error, OutOfMemory)
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return known or (isinstance(error, RuntimeError) and any(words in str(error).lower() for words in NO_MEMORY))
