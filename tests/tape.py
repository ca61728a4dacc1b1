"""What a graphics card does, as far as a CPU can show it: recorded steps, one device, and nobody who waits for it."""

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

VIEWS = {
    *("view", "t", "transpose", "permute", "expand", "unsqueeze", "squeeze", "slice", "select", "split", "detach"),
    *("alias", "as_strided", "view_as_real", "view_as_complex", "_conj", "unbind", "unfold", "real", "imag", "chunk"),
    *("split_with_sizes", "_unsafe_view", "_reshape_alias", "diagonal", "movedim", "empty", "new_empty", "empty_like"),
    *("empty_strided", "new_empty_strided", "lift_fresh", "resolve_conj", "unflatten", "reshape"),
}


class Tape(TorchDispatchMode):
    """Records torch's operations and plays them again in the same memory, as a CUDA graph does.

    What Python decided while it was recorded stays decided, and the values of Python's numbers stay as they were.
    """

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[tuple[Any, Any, Any, Any]] = []  # function, arguments and results, which keeps their memory

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = function(*args, **(kwargs or {}))
        self._calls.append((function, args, kwargs or {}, results))
        return results

    @torch.no_grad()  # what autograd does was recorded, too
    def play(self) -> None:
        """Everything again."""
        for function, args, kwargs, results in self._calls:
            again = tree_flatten(function(*args, **kwargs))[0]
            for now, before in zip(again, tree_flatten(results)[0], strict=True):
                if isinstance(now, Tensor) and now.data_ptr() != before.data_ptr():
                    before.copy_(now)


class OneDevice(TorchDispatchMode):
    """Counts the operations on a device, and what passes between it and the program; mixed devices are an error.

    Meant for the `meta` device, which has no values: whoever reads one is given ones, and counted.
    """

    def __init__(self, device: str = "meta") -> None:
        super().__init__()
        self.device = device
        self.operations: Counter[str] = Counter()
        self.reads: list[str] = []
        self.uploads: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = function.overloadpacket.__name__
        tensors = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, Tensor)]
        ours = [t for t in tensors if t.device.type == self.device]
        if name == "_local_scalar_dense" and ours:
            self.reads.append(_where())
            return torch.ones((), dtype=ours[0].dtype).item()
        if name == "_to_copy" and ours and torch.device(kwargs.get("device", self.device)).type != self.device:
            self.reads.append(_where())
            return torch.ones(ours[0].shape, dtype=kwargs.get("dtype") or ours[0].dtype)
        if name == "_to_copy" and not ours and torch.device(kwargs.get("device") or "cpu").type == self.device:
            self.uploads.append(_where())
        elif ours and name != "copy_":
            strangers = [t for t in tensors if t.device.type != self.device and t.dim()]
            assert not strangers, f"{name} mixes devices, {_where()}"
        elif ours and any(t.device.type != self.device for t in tensors):
            self.uploads.append(_where())
        if ours and name not in VIEWS:
            self.operations[name] += 1
        return function(*args, **kwargs)


def _where() -> str:
    """The innermost line of the program that is being run."""
    import traceback

    own = [f for f in traceback.extract_stack() if "/dainr/" in f.filename and "/tests/" not in f.filename]
    return f"{own[-1].filename.rsplit('/dainr/', 1)[1]}:{own[-1].lineno}" if own else "tests"
