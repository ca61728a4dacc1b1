"""Names of files as text: on Linux a name is any bytes, and Python gives those that are no UTF-8 as surrogates."""


def printable(text: str) -> str:
    """Text that can be printed and written as UTF-8: other bytes, as of names that are no UTF-8, are as %FF."""
    return "".join(one if one.isprintable() else _as_bytes(one) for one in text)


def _as_bytes(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))
