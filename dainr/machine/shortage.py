"""Memory that runs out, said in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from dainr.errors import OutOfMemory, is_out_of_memory
from dainr.machine.device import give_memory_back

FIX = (
    "end other programs on the device, choose a smaller --matrix or fewer coils (--set virtual_coils=8),"
    " or use another --device"
)


@contextmanager
def memory_for(doing: str) -> Iterator[None]:
    """Where something runs out of memory, give back what is free and say so. Raises OutOfMemory."""
    try:
        yield
        return
    except Exception as error:
        if not is_out_of_memory(error) or isinstance(error, OutOfMemory):
            raise
    give_memory_back()
    raise OutOfMemory("out of memory", f"{doing} needs more than there is", FIX) from None
