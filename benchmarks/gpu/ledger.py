"""What the check has found so far: result.json, written whole after every case, and result.md, the same to read.

    {"device": "cuda", "small": false, "stages": {stage: {case: entry}}}

An entry has `seconds`, and `result` or, of a case that did not end well, `failed` and the end of what it `said`. One
whose process crashed when it had its result has `afterwards`.
"""

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.gpu.plan import STAGES
from benchmarks.gpu.stage import Result, Scope, Stage
from dainr.io.hdf5 import write_whole

RESULT, PAGE = "result.json", "result.md"
Entry = dict[str, Any]


class Ledger:
    """The entries of one check of one device, kept in a folder."""

    def __init__(self, scope: Scope) -> None:
        """Goes on with what is in the folder. Raises SystemExit where that is of another device, or cannot be read."""
        self.folder, self.head = scope.out, {"device": scope.device, "small": scope.small}
        self.entries: dict[str, dict[str, Entry]] = {}
        path = self.folder / RESULT
        if not path.is_file():
            return
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            head, self.entries = {key: stored[key] for key in self.head}, stored["stages"]
        except (ValueError, KeyError, TypeError) as error:
            raise SystemExit(f"{path}: it is no result of a check ({error}); move it away.") from error
        if head != self.head:
            raise SystemExit(f"{path}: it is of {head['device']}; name another folder with --out.")

    def has(self, stage: Stage, case: str) -> bool:
        """Whether a case is done, well or not."""
        return case in self.entries.get(stage.name, {})

    def add(self, stage: Stage, case: str, entry: Entry) -> None:
        """Keep a case that is done."""
        self.entries.setdefault(stage.name, {})[case] = entry
        with write_whole(self.folder / RESULT) as temporary:
            temporary.write_text(json.dumps(self.head | {"stages": self.entries}, indent=1) + "\n", encoding="utf-8")

    def forget(self, names: Sequence[str]) -> None:
        """Have the cases of these stages measured anew; "failed": those that did not end well."""
        for name, cases in self.entries.items():
            kept = {} if name in names else cases
            if "failed" in names:
                kept = {case: entry for case, entry in kept.items() if "failed" not in entry}
            self.entries[name] = kept

    def results(self, stage: Stage) -> dict[str, Result]:
        """What was measured of a stage."""
        cases = self.entries.get(stage.name, {})
        return {case: entry["result"] for case, entry in cases.items() if "result" in entry}

    def faults(self) -> list[str]:
        """All that is wrong, a sentence each: cases that failed, and results that are not as they should be."""
        found = []
        for stage in STAGES.values():
            for case, entry in self.entries.get(stage.name, {}).items():
                if "failed" in entry:
                    found.append(f"{stage.name}: {case}: {entry['failed']}")
            found += stage.faults(_applying(self.results(stage)))
        return found

    def write_page(self, left: Sequence[tuple[Stage, str]]) -> None:
        """The page: the card's name, what is wrong, what is left to do, and the table of every stage."""
        command = f"python -m benchmarks.gpu --device {self.head['device']}"
        blocks = [f"# {self._title()}", f"    {command}", self._verdict(left)]
        for stage in STAGES.values():
            results = self.results(stage)
            if results:
                seconds = sum(entry["seconds"] for entry in self.entries[stage.name].values())
                blocks += [f"## {stage.title}", f"{stage.about} Took {seconds:.0f} s."]
                blocks.append(_shown(stage, _applying(results)))
                blocks += [f"{case}: {one['left_out']}." for case, one in results.items() if "left_out" in one]
                ended = self.entries[stage.name].items()
                blocks += [
                    f"{case}: {one['afterwards']}, after its result." for case, one in ended if "afterwards" in one
                ]
        with write_whole(self.folder / PAGE) as temporary:
            temporary.write_text("\n\n".join(block for block in blocks if block) + "\n", encoding="utf-8")

    def _title(self) -> str:
        card = self.entries.get("card", {}).get("card", {}).get("result", {})
        name = card.get("facts", {}).get("device", self.head["device"]).rpartition(", ")[2]
        return f"Rehearsal of the GPU check on {name}" if self.head["small"] else f"GPU check: {name}"

    def _verdict(self, left: Sequence[tuple[Stage, str]]) -> str:
        faults = self.faults()
        done = sum(len(cases) for cases in self.entries.values())
        lines = [f"{done} cases done, {len(left)} left, {len(faults)} faults."]
        lines += [f"- {fault}" for fault in faults]
        waiting = dict.fromkeys(stage.name for stage, _ in left)
        if waiting:
            counted = ", ".join(f"{sum(s.name == name for s, _ in left)} of {name}" for name in waiting)
            lines.append(f"- left to do: {counted}")
        return lines[0] + ("\n\n" + "\n".join(lines[1:]) if lines[1:] else "")


def _applying(results: dict[str, Result]) -> dict[str, Result]:
    """Without the cases that do not apply."""
    return {case: result for case, result in results.items() if "left_out" not in result}


def _shown(stage: Stage, results: dict[str, Result]) -> str:
    return stage.show(results) if results else ""
