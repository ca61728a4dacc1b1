"""One case of a stage, in a process of its own: what it measures is written to a file as JSON.

python -m benchmarks.gpu.case STAGE CASE ANSWER --device cuda --out gpu-check [--data FOLDER] [--small]
"""

import argparse
import json
from pathlib import Path

from benchmarks.gpu.plan import STAGES
from benchmarks.gpu.stage import Scope
from dainr.io.hdf5 import write_whole


def main() -> None:
    """Measure, then write the answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("case")
    parser.add_argument("answer", type=Path)
    parser.add_argument("--device", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--small", action="store_true")
    asked = parser.parse_args()
    result = STAGES[asked.stage].measure(asked.case, Scope(asked.device, asked.small, asked.out, asked.data))
    with write_whole(asked.answer) as temporary:
        temporary.write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
