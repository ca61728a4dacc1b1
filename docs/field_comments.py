"""For the Python interface: what stands behind a dataclass's fields as comments becomes a list in its description."""

from typing import Any

import griffe


class FieldComments(griffe.Extension):
    """Adds `- field: comment` for every field that has a comment on its line."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Read the comments of one class."""
        fields = []
        for name, member in cls.members.items():
            if isinstance(member, griffe.Attribute) and "property" not in member.labels and member.lineno:
                line = cls.lines_collection[cls.filepath][member.lineno - 1]
                _, _, comment = line.partition("  # ")
                if comment and not comment.startswith(("noqa", "type:")):
                    fields.append(f"- `{name}`: {comment}")
        if fields and cls.docstring is not None:
            cls.docstring.value += "\n\n" + "\n".join(fields)
