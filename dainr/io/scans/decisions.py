"""What a reader had to decide about a file: sentences for people, fields for programs."""

from typing import Any


class Decisions:
    """Gathers the notes of a scan and, by name, what was decided."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.fields: dict[str, Any] = {}

    def say(self, note: str, **fields: Any) -> None:
        """Add a sentence, without its capital and full stop, and the fields that it stands for."""
        self.notes.append(note)
        self.fields |= fields
