"""Prints a Dockerfile that labels an image for Open Recon: python openrecon/label.py | docker build -t NAME -."""

import base64
import json
import sys
from pathlib import Path

LABEL = "com.siemens-healthineers.magneticresonance.openrecon.metadata:1.1.0"


def main() -> None:
    """Print it, for the image of the name that its version makes."""
    content = json.loads(Path(__file__).with_name("label.json").read_text(encoding="utf-8"))
    about = content["general"]
    name = f"openrecon_{about['vendor']}_{about['name']['en']}:v{about['version']}".lower()
    encoded = base64.b64encode(json.dumps(content).encode()).decode()
    sys.stdout.write(f'FROM {name}\nLABEL "{LABEL}"="{encoded}"\n')


if __name__ == "__main__":
    main()
