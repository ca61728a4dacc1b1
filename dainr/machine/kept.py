"""What a process that fits one scan after another keeps from each for the next; others keep nothing.

Transforms, density weights and the race that chooses a transform depend on the trajectory, the matrix and the coils
alone, which two scans of one protocol share. What the scan before the last had and the last had not is let go, and what
a function has kept is as soon as it is asked for something else.
"""

import functools
import hashlib
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import numpy as np

MOST = 64  # results of one scan: of many slices, each with a trajectory of its own, only the last ones'

Key = tuple[str, Hashable]  # a function, and what its result depends on
Result = TypeVar("Result", bound=Callable[..., Any])


class _Kept:
    """Results by what they were computed from: of this scan, and of the one before."""

    def __init__(self) -> None:
        self.of_this: dict[Key, Any] | None = None  # None: nothing is kept
        self.of_last: dict[Key, Any] = {}

    def next_scan(self) -> None:
        """Another scan begins: what the last one had is kept for it."""
        self.of_this, self.of_last = {}, self.of_this or {}

    def result(self, key: Key, compute: Callable[[], Any]) -> Any:
        """The result of that key, computed where it is not there."""
        assert self.of_this is not None
        if key not in self.of_this:
            if key not in self.of_last:  # another protocol: room for what it needs
                self.of_last = {other: value for other, value in self.of_last.items() if other[0] != key[0]}
            value = self.of_last[key] if key in self.of_last else compute()
            while len(self.of_this) >= MOST:
                del self.of_this[next(iter(self.of_this))]
            self.of_this[key] = value
        return self.of_this[key]


_results = _Kept()


def next_scan() -> None:
    """Keep results from now on: those of the scan that ends here for the one that begins."""
    _results.next_scan()


def kept(depends_on: Callable[..., Any] | None = None) -> Callable[[Result], Result]:
    """Decorator of a function whose results nobody changes: they are kept where `next_scan` was called.

    `depends_on` makes of its arguments what the result depends on; without it, that is all of them.
    """

    def decorate(function: Result) -> Result:
        @functools.wraps(function)
        def found(*arguments: Any) -> Any:
            if _results.of_this is None:
                return function(*arguments)
            named = depends_on(*arguments) if depends_on is not None else arguments
            key = (f"{function.__module__}.{function.__qualname__}", digest(named))
            return _results.result(key, lambda: function(*arguments))

        return found  # type: ignore[return-value]

    return decorate


def digest(value: Any) -> Hashable:
    """What tells a value from others; of an array its bytes, in short."""
    if isinstance(value, np.ndarray):
        content = hashlib.blake2b(np.ascontiguousarray(value).data, digest_size=16).digest()
        return value.shape, value.dtype.str, content
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(map(digest, value))
    found: Hashable = value
    return found
