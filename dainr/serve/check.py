"""A check of an installation: a phantom goes through a socket to a server, and its images come back."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import ismrmrd
import numpy as np

from dainr.io.images.mrd import GROUP
from dainr.io.scans.ismrmrd_write import write_ismrmrd
from dainr.machine.disk import temporary_folder
from dainr.serve.asked import Offer
from dainr.serve.client import Wish, send_scan
from dainr.serve.limits import Limits
from dainr.serve.server import Server, listen
from dainr.simulate import SimulationConfig, simulate_phantom
from dainr.studies.self_check import Finding

PHANTOM = SimulationConfig(matrix=48, frames=6, coils=4, spokes=13)
STEPS = 60
ALIKE = 0.9  # correlation with the truth


def check_server(offer: Offer, limits: Limits) -> Iterator[Finding]:
    """What becomes of a phantom that is sent to a server which is started for it."""
    scan = simulate_phantom(PHANTOM)
    assert scan.reference is not None
    with tempfile.TemporaryDirectory(prefix="dainr-check-", dir=temporary_folder()) as folder:
        path, images = Path(folder) / "scan.h5", Path(folder) / "images.h5"
        write_ismrmrd(replace(scan, reference=None), path)
        with closing(Server(offer, limits)) as server:
            listening = listen("127.0.0.1", 0)
            port = listening.getsockname()[1]
            thread = threading.Thread(target=server.serve, args=(listening,), daemon=True)
            thread.start()
            yield Finding("server", f"listens at 127.0.0.1:{port}")
            texts: list[str] = []
            wish = Wish("dainr", {"iterations": STEPS, "images": "float"})
            count = send_scan(path, f"127.0.0.1:{port}", images, wish, say=texts.append)
            server.stop()
            thread.join()
        yield Finding("images", f"{count} came back", count == scan.n_slices * PHANTOM.frames)
        with closing(ismrmrd.Dataset(images, GROUP, mode="r")) as dataset:
            received = np.array([dataset.read_image("image_1", number).data[0, 0] for number in range(count)])
        truth = np.abs(scan.reference).reshape(received.shape)
        likeness = float(np.corrcoef(received.ravel(), truth.ravel())[0, 1])
        yield Finding("phantom", f"its images correlate with the truth by {likeness:.3f}", likeness > ALIKE)
        yield Finding("verdict", texts[-1] if texts else "none came", bool(texts))
