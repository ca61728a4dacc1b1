"""What options stand for, by content: an answer is that to a preset, weights and files as they were."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dainr.errors import BadRequest
from dainr.io import ReadOptions
from dainr.machine.checksum import file_sha256
from dainr.methods.unrolled.config import FROM_NOTHING
from dainr.networks.weights import RANDOM, installed_weights, weights_of
from dainr.settings.presets import read_preset


def checksum(method: str, preset: str, config: Any, reading: ReadOptions) -> str:
    """SHA-256 of a preset's settings, of the weights that a config names, and of the files read beside a scan.

    Raises BadRequest when there is no such preset, or a file cannot be read.
    """
    weights = getattr(config, "weights", RANDOM)
    if hasattr(config, "encoder_weights"):
        weights = weights_of(config.encoder, config.encoder_weights)
    from_seed = weights in (RANDOM, FROM_NOTHING)
    named = None if from_seed else installed_weights().get(weights)
    files = _files(reading.files) + ([] if from_seed or named else _files([Path(weights)], needed=False))
    content = {"preset": read_preset(preset, method), "weights": named.sha256 if named else "", "files": files}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _files(paths: Sequence[Path], needed: bool = True) -> list[str]:
    try:
        return [file_sha256(path) for path in paths if needed or path.is_file()]
    except OSError as error:
        raise BadRequest(str(error.filename), f"it cannot be read ({error.strerror})", "name another file") from error
