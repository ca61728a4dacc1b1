"""A training from a folder of scans to weights, with their card and page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from dainr.errors import BadRequest, BadScan, Interrupted, NoRoom
from dainr.fit.state import Observer
from dainr.io import ReadOptions
from dainr.io.hdf5 import write_whole
from dainr.machine.device import device_name, resolve_device
from dainr.networks.unrolled.stored import StoredNetwork, save_network
from dainr.prepare.binning import Binning
from dainr.settings.build import by_path, config_dict, differences
from dainr.studies.train.card import build_card
from dainr.studies.train.cohort import Cohort
from dainr.studies.train.config import FOR_LONGER, TrainConfig, config_kind, configure_training, network_method
from dainr.studies.train.folder import ANEW, Request, TrainingFolder
from dainr.studies.train.index import Index, Tell, build_index, has_all
from dainr.studies.train.loop import Training, why_ended
from dainr.studies.train.page import build_page
from dainr.studies.train.result import Trained, trained

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Outputs:
    """What a training writes."""

    weights: Path

    @property
    def card(self) -> Path:
        """The model card."""
        return self.weights.with_suffix(".md")

    @property
    def page(self) -> Path:
        """The page with the curve."""
        return self.weights.with_suffix(".html")

    @property
    def work(self) -> Path:
        """The folder that lets a training go on."""
        return self.weights.with_name(f"{self.weights.stem}_training")


@dataclass(frozen=True)
class Task:
    """What is trained with what."""

    request: Request
    binning: Binning
    reading: ReadOptions


def stored_request(folder: TrainingFolder, asked: Request, pairs: Sequence[str]) -> tuple[Request, TrainConfig]:
    """What a training was asked that is to go on, for longer where `pairs` say so; its scans may have been moved.

    Raises BadRequest where anything else that is asked now differs.
    """
    request, config = folder.read_request()
    changed = []
    if Path(asked.folder) != Path(request.folder):
        if not _are_moved(folder, Path(asked.folder), request):
            changed.append("the folder of scans")
        request = replace(request, folder=asked.folder)
    if asked.method not in ("", request.method) or asked.preset not in ("", request.preset):
        changed.append("--method or --preset")
    if asked.binning not in ({}, request.binning) or asked.reading not in ({}, request.reading):
        changed.append("frames, matrix or what is said of the files")
    if not changed:
        wanted = configure_training(request.method, request.preset, pairs)[1]
        named, before, now = by_path(config_kind(request.method), pairs), config_dict(config), config_dict(wanted)
        changed = [key for key in differences(before, now) if key in named and key not in FOR_LONGER]
        config = _for_longer(config, wanted, set(named))
    if changed:
        raise BadRequest(
            f"--resume {folder.path}",
            f"the training goes on with its own settings, but {', '.join(changed)} differ",
            "resume without them, or start anew with --force",
        )
    return request, config


def _are_moved(folder: TrainingFolder, scans: Path, request: Request) -> bool:
    """Whether a folder has the scans that a training has begun with."""
    index = folder.read_index()
    return index is not None and has_all(scans, index, folder, ReadOptions.parsed(dict(request.reading)))


def _for_longer(config: TrainConfig, wanted: TrainConfig, named: set[str]) -> TrainConfig:
    """The config with those limits and places that were named."""
    top = {key: getattr(wanted, key) for key in named & set(FOR_LONGER) if "." not in key}
    limits = {
        key.partition(".")[2]: getattr(wanted.training, key.partition(".")[2])
        for key in named & set(FOR_LONGER)
        if "." in key
    }
    return replace(config, **top, training=replace(config.training, **limits))


def is_complete(folder: TrainingFolder, outputs: Outputs, config: TrainConfig) -> bool:
    """Whether a training has taken all its steps, and all that it writes is there and its own.

    The prepared scans go last: while one is there, weights, card or page may still be those of a training before.
    """
    state = folder.load()
    written = all(path.is_file() for path in (outputs.weights, outputs.card, outputs.page))
    return (
        state is not None
        and bool(why_ended(state.state, config.training))
        and written
        and not folder.has_prepared_scans
    )


def train_into(
    folder: TrainingFolder,
    outputs: Outputs,
    task: Task,
    config: TrainConfig,
    resume: bool,
    observers: Sequence[Observer] = (),
    tell: Tell = lambda done, of, why: None,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train, or go on, and write weights, card and page. The folder is held by who calls.

    Raises Interrupted, once what there is was saved, and what reading, preparing and training raise.
    """
    request, method = task.request, network_method(task.request.method)
    config = method.with_sizes(config)
    device = resolve_device(config.device)
    network = method.start(config).to(device)
    if resume:
        folder.tidy()
        folder.write_request(request, config)
    else:
        folder.begin(request, config)
    try:
        index = _index(folder, task, config, resume, tell, stop_requested)
    except (BadScan, BadRequest) as error:
        if not resume and not isinstance(error, NoRoom):
            folder.discard()
        raise
    learned_from, judging = (Cohort(folder, samples, device) for samples in (index.training, index.validating))
    training = Training(network, learned_from, judging, config)
    if resume and (state := folder.load()) is not None:
        training.restore(state)
    folder.checkpoint_every_s = config.checkpoint_every_s
    training.run([*observers, folder.checkpoint, lambda _: not stop_requested()])
    if training.state.stopped == "interrupted":
        folder.save(training.checkpoint())
    found = trained(training, index, request, config, device_name(str(device)))
    _write(outputs, found, training.best)
    if training.state.stopped == "interrupted":
        raise Interrupted(
            "interrupted",
            f"the state after {training.state.step} steps is saved, the best weights so far are {outputs.weights}",
            "go on with the same command and --resume",
        )
    folder.discard_scans()
    return found


def _index(
    folder: TrainingFolder,
    task: Task,
    config: TrainConfig,
    resume: bool,
    tell: Tell,
    stop_requested: Callable[[], bool],
) -> Index:
    """The index and the prepared scans, made where they are missing. Raises BadScan where the scans are others now."""
    before = folder.read_index() if resume else None
    if before is not None and folder.has_scans(before):
        return before

    def tell_and_stop(done: int, of: int, why: str) -> None:
        tell(done, of, why)
        if stop_requested():
            raise Interrupted(
                "interrupted", f"{done} of {of} scans are prepared", "go on with the same command and --resume"
            )

    index = build_index(Path(task.request.folder), folder, config, task.binning, task.reading, tell_and_stop)
    if before is not None and before.samples != index.samples:
        raise BadScan(task.request.folder, "its scans are others than when the training began", ANEW)
    folder.write_index(index)
    return index


def _write(outputs: Outputs, found: Trained, tensors: dict[str, Tensor]) -> None:
    """The weights, then what is told of them."""
    metadata = {name: str(value) for name, value in found.facts.items()}
    save_network(outputs.weights, StoredNetwork(found.request.method, found.sizes, tensors, metadata))
    for path, text in (
        (outputs.card, build_card(found, outputs.weights.name)),
        (outputs.page, build_page(found, outputs.weights.name)),
    ):
        with write_whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
