"""A server that runs while tests of a module do, and scans to send it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dainr.cli.serve import _check_options
from dainr.io.scans.ismrmrd_write import write_ismrmrd
from dainr.scan import Scan
from dainr.serve.asked import Offer, Order
from dainr.serve.limits import Limits
from dainr.serve.server import Server, listen
from tests.conftest import TINY
from tests.helper import repeated

GRIDDING = {"method": "gridding", "device": "cpu", "set": ["nufft=finufft"]}
TINY_FIT = {"device": "cpu", "set": list(TINY)}
LIMITS = Limits(clients=8, drain_s=2.0, greeting_s=10.0)


@contextmanager
def running(options: dict[str, Any], limits: Limits = LIMITS, **more: Any) -> Iterator[int]:
    """The port of a server that is started with these options of dainr fit."""
    with closing(Server(Offer(Order(options=options), check=_check_options), limits, **more)) as server:
        listening = listen("127.0.0.1", 0)
        port: int = listening.getsockname()[1]
        thread = threading.Thread(target=server.serve, args=(listening,), daemon=True)
        thread.start()
        try:
            yield port
        finally:
            server.stop(at_once=True)
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a server that grids."""
    with running(GRIDDING) as found:
        yield found


@pytest.fixture(scope="session")
def stack_stream(cartesian_scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten Cartesian slices, each brighter than the one before, with an orientation, as ISMRMRD."""
    stack = repeated(replace(cartesian_scan, reference=None, phase=None), 10)
    brighter = stack.kspace * np.arange(1, 11, dtype=np.float32)[:, None, None, None]
    affine = np.array([[-1.5, 0, 0.1, 40], [0, -1.4, 0.3, 30], [0.1, 0.1, 9, -20], [0, 0, 0, 1.0]])
    affine[:3, 2] = 9 * np.cross(affine[:3, 0], affine[:3, 1]) / np.linalg.norm(np.cross(affine[:3, 0], affine[:3, 1]))
    path = tmp_path_factory.mktemp("stack") / "scan.h5"
    write_ismrmrd(replace(stack, kspace=brighter, affine=affine), path)
    return path


def is_there(port: int) -> bool:
    """Whether a server still answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"\x04\x00")
        return connection.recv(2) == b"\x04\x00"
