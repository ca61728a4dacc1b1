"""A folder whose files are known to be ours: a marker in it lists every file that we wrote, and no other is touched."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dainr.errors import BadRequest, BadScan
from dainr.machine.disk import room_for
from dainr.machine.lock import LOCK, alone_in

SCHEMA, VERSION = "dainr-run", 1
MARKER = "dainr.json"
PARTS = ".dainr-parts"  # where files lie until they are whole


class OwnedFolder:
    """A folder with a marker: its schema, its version and the files in it that are ours."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = 0

    def file(self, name: str) -> Path:
        """A file of the folder."""
        return self.path / name

    @property
    def is_marked(self) -> bool:
        """Whether it holds a marker."""
        return self.file(MARKER).is_file()

    def owned(self) -> set[str]:
        """The names of the files that are ours, whether they are there or not; none without a marker.

        Raises BadScan when the marker is damaged, or of a later version.
        """
        try:
            marker = json.loads(self.file(MARKER).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return set()
        except OSError as error:
            raise self._damaged(error.strerror or "it cannot be read") from error
        except (ValueError, RecursionError) as error:
            raise self._damaged(str(error)) from error
        if not isinstance(marker, dict) or marker.get("schema") != SCHEMA or not _are_names(marker.get("files")):
            raise self._damaged(f"it is no {SCHEMA} marker")
        if marker.get("version") != VERSION:
            raise BadScan(str(self.file(MARKER)), "a later version of dainr wrote it", "use that version")
        return set(marker["files"])

    def claim(self, names: Iterable[str], there_too: bool = False) -> None:
        """Put names on the list before files of these names are written.

        Raises BadRequest where such a file is there and not on it, unless with `there_too` it is known to be ours.
        """
        owned = self.owned()
        new = sorted(set(names) - owned)
        if not new and self.is_marked:
            return
        for name in new:
            if not there_too and self._is_there(name):
                raise BadRequest(
                    str(self.file(name)), "this run did not write it", "move it away, or name another folder"
                )
        self._mark(owned.union(new))

    def _mark(self, names: Iterable[str]) -> None:
        """Write the marker with this list."""
        marker = {"schema": SCHEMA, "version": VERSION, "files": sorted(names)}
        if not self.is_marked and self._is_there(MARKER):
            raise BadRequest(str(self.file(MARKER)), "it is no file", "name another folder")
        self._make_parts()
        part = self.file(PARTS) / MARKER
        with room_for(self.file(MARKER)):
            part.write_text(json.dumps(marker, indent=1) + "\n", encoding="utf-8")
        part.replace(self.file(MARKER))
        with suppress(OSError):
            self.file(PARTS).rmdir()

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A path to write a file at, which takes its place in the folder once the block has ended well."""
        self.claim([name])
        self._make_parts()
        part = self.file(PARTS) / name
        try:
            with room_for(self.file(name)):
                yield part
            part.replace(self.file(name))
        except OSError as error:
            raise self._not_written(name, error) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
                self.file(PARTS).rmdir()

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the folder whole."""
        with self.writing(name) as part:
            part.write_text(text, encoding="utf-8")

    def tidy(self) -> None:
        """Take away what a killed process had half written."""
        parts = self.file(PARTS)
        if self.is_marked and parts.is_dir() and not parts.is_symlink():
            for path in parts.iterdir():
                _remove(path)
            parts.rmdir()

    @property
    def is_vacant(self) -> bool:
        """Whether none of our files is there, the marker aside: who marked it was killed before it wrote another."""
        return not any(self._is_there(name) for name in self.owned())

    def remove(self, names: Iterable[str]) -> None:
        """Take files away that are ours, in this order."""
        for name in names:
            _remove(self.file(name))

    def discard(self, last: Sequence[str] = ()) -> None:
        """Take our files away again, those given last, then the marker, and the folder if nothing else is in it."""
        if not self.is_marked:
            return
        self.remove(sorted(self.owned(), key=lambda name: name in last))
        self.tidy()
        self.file(MARKER).unlink()
        self._remove_if_empty()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the one who writes in the folder, which is made; a folder that is left empty goes again.

        Raises BadRequest while another process is.
        """
        if self._held:
            yield
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadRequest(str(self.path), f"it cannot be made ({error.strerror})", "name another folder") from error
        try:
            with alone_in(self.path, "another fit"):
                self._held += 1
                try:
                    yield
                finally:
                    self._held -= 1
        finally:
            self._remove_if_empty()

    def others(self, ours: Iterable[str] = ()) -> list[str]:
        """The names in the folder that are not ours, nor among those given, sorted."""
        known = self.owned() | set(ours) | {MARKER, PARTS, LOCK}
        return sorted(path.name for path in self.path.iterdir() if path.name not in known)

    def _remove_if_empty(self) -> None:
        with suppress(OSError):  # another has begun in it
            self.path.rmdir()

    def _make_parts(self) -> None:
        try:
            self.file(PARTS).mkdir(exist_ok=True)
        except OSError as error:
            raise self._not_written(PARTS, error) from error

    def _is_there(self, name: str) -> bool:
        return self.file(name).exists() or self.file(name).is_symlink()

    def _damaged(self, why: str) -> BadScan:
        fix = "mend it with dainr report --repair, or name another folder"
        return BadScan(str(self.file(MARKER)), f"it is damaged ({why})", fix)

    def _not_written(self, name: str, error: OSError) -> BadRequest:
        why = f"it cannot be written ({error.strerror or error})"
        return BadRequest(str(self.file(name)), why, "see what is in its place, and to permissions and the disk")


def _remove(path: Path) -> None:
    """Take a file of ours away. Raises BadRequest where a folder lies in its place."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        why = f"it cannot be removed ({error.strerror or error})"
        raise BadRequest(str(path), why, "see what is in its place, and to its permissions") from error


def _are_names(files: Any) -> bool:
    """Whether these are names of files in the folder itself."""
    return isinstance(files, list) and all(
        isinstance(name, str) and re.fullmatch(r"[^/\\\0]+", name) and name not in (".", "..") for name in files
    )
