"""Which ways a file makes the readers go, from line to line: told by the process that reads, through a file."""

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from dainr.io.scans import formats, mask, reader_process

TOLD_IN = "DAINR_WAYS_TOLD_IN"  # environment of the reading process
READERS = str(Path(formats.__file__).parent)

Way = tuple[str, int, int]  # module, from line, to line


class Reached:
    """The ways that all files together have gone. Readers that are started within its context tell them."""

    def __init__(self, file: Path) -> None:
        file.touch()
        self._file, self._plain, self.ways = file, reader_process.SERVE, set[Way]()

    def __enter__(self) -> "Reached":
        os.environ[TOLD_IN] = str(self._file)
        reader_process.SERVE = self._plain.replace("serve()", "from benchmarks.reached import tell; tell(); serve()")
        self._told = self._file.open(encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        reader_process.SERVE = self._plain
        del os.environ[TOLD_IN]
        self._told.close()

    def goes_new_ways(self) -> bool:
        """Whether the file that was read last went where none before it had gone."""
        before = len(self.ways)
        for line in self._told:
            self.ways |= {(module, start, end) for module, start, end in json.loads(line)}
        return len(self.ways) > before


def tell() -> None:
    """In the reading process: after every file, tell the ways that are new to this process."""
    told, file = set[Way](), Path(os.environ[TOLD_IN])

    def traced(read: Callable[..., Any], *arguments: Any) -> Any:
        gone = set[Way]()
        sys.settrace(_tracer(gone))
        try:
            return read(*arguments)
        finally:
            sys.settrace(None)
            with file.open("a", encoding="utf-8") as answers:
                answers.write(json.dumps(sorted(gone - told)) + "\n")
            told.update(gone)

    formats.read, mask.read_mask = partial(traced, formats.read), partial(traced, mask.read_mask)


def _tracer(gone: set[Way]) -> Callable[[FrameType, str, Any], Any]:
    """A function for `sys.settrace` that collects the ways within the readers."""

    def enter(frame: FrameType, _: str, __: Any) -> Any:
        module, last = frame.f_code.co_filename, frame.f_lineno
        if not module.startswith(READERS):
            return None

        def follow(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal last
            if event == "line":
                gone.add((module, last, frame.f_lineno))
                last = frame.f_lineno
            return follow

        return follow

    return enter
