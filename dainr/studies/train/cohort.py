"""The prepared scans of a training: on disk, and the last used in memory with their operators."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dainr.machine.device import memory_bytes
from dainr.operators.batch import FrameData
from dainr.operators.measured import Measurements
from dainr.prepare.frame_data import frame_data
from dainr.prepare.groups import measurements
from dainr.runs.owned import OwnedFolder
from dainr.studies.train.sample import Sample, read_sample

SHARE = 0.25  # of the memory, for scans
AS_LARGE = 6  # a scan in memory, as its file: samples, weights, b, and plans of the transforms


@dataclass(frozen=True, eq=False)
class Loaded:
    """A sample on the device."""

    measurements: Measurements
    heldout: FrameData | None
    reference: Tensor | None


class Cohort:
    """Samples by their place in the list."""

    def __init__(
        self, work: OwnedFolder, samples: Sequence[Sample], device: torch.device, limit: int | None = None
    ) -> None:
        """`limit`: bytes of files whose scans are kept in memory; None: a share of what there is."""
        self.work, self.samples, self.device = work, samples, device
        self.limit = int(SHARE * memory_bytes(device)) // AS_LARGE if limit is None else limit
        self._sizes = [work.file(sample.file).stat().st_size for sample in samples]
        self._kept: OrderedDict[int, Loaded] = OrderedDict()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: int) -> Loaded:
        """A sample; the one used longest ago leaves memory for it. Raises BadScan where its file is damaged."""
        if place not in self._kept:
            while self._kept and sum(self._sizes[p] for p in self._kept) + self._sizes[place] > self.limit:
                self._kept.popitem(last=False)
            self._kept[place] = self._load(place)
        self._kept.move_to_end(place)
        return self._kept[place]

    def _load(self, place: int) -> Loaded:
        content = read_sample(self.work.file(self.samples[place].file))
        prepared, reference = content.prepared, content.reference
        data = frame_data(prepared, ~prepared.held_out, content.nufft, self.device)
        held = prepared.held_out
        return Loaded(
            measurements(prepared, data, content.cyclic, content.largest),
            frame_data(prepared, held, content.nufft, self.device) if held.any() else None,
            None if reference is None else reference.to(self.device),
        )
