"""A client at the other end of a socket or of two pipes: its messages, and what is sent to it."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

from dainr.errors import BadScan
from dainr.io.scans.ismrmrd_messages import Document, Messages, Writer
from dainr.serve.limits import Limits

BUFFER = 2**20
LOOK_S = 0.25
GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL
ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}  # a client whose cable is pulled is found out


class Left(Exception):
    """The client has gone."""


class Peer:
    """A client. `texts`: whether it is told anything but images, which programs between pipes do not expect."""

    texts = True

    def __init__(self, name: str, source: BinaryIO, sink: BinaryIO, limits: Limits) -> None:
        self.name = name
        self._source, self._writer, self._limits = source, Writer(sink), limits
        self._lock, self._closed = threading.Lock(), False

    def messages(self, copy: Callable[[bytes], Any]) -> Iterator[Any]:
        """What it sends until its close message; the bytes of it go to `copy`.

        Raises BadScan for what is too long, too slow or damaged, and StreamEnded.
        """
        messages = Messages(self._source, self.name, copy=copy)
        try:
            for item in messages:
                if messages.size > self._limits.session_bytes:
                    most = f"{self._limits.session_bytes / 1e9:g} GB"
                    raise BadScan(self.name, f"it sends more than {most}", "start the server with more --largest")
                if isinstance(item, Document):
                    self.be_patient()
                yield item
        except TimeoutError as error:
            raise BadScan(self.name, "it has sent nothing for too long", "send it again") from error
        except OSError as error:
            raise Left from error

    def send(self, item: Any) -> None:
        """Send a message; none after the close message. Raises Left."""
        try:
            with self._lock:
                if not self._closed:
                    self._writer.send(item)
        except OSError as error:
            raise Left from error

    def say(self, text: str) -> None:
        """Send a text, if it takes any. Raises Left."""
        if self.texts:
            self.send(text)
            self.flush()

    def flush(self) -> None:
        """Have everything on its way. Raises Left."""
        try:
            with self._lock:
                self._writer.flush()
        except OSError as error:
            raise Left from error

    def close(self) -> None:
        """Send the close message, if it has not gone. Raises Left."""
        try:
            with self._lock:
                if not self._closed:
                    self._closed = True
                    self._writer.close()
        except OSError as error:
            raise Left from error

    def end(self) -> None:
        """Send the close message, if it has not gone, and hang up."""
        with suppress(Left):
            self.close()

    def be_patient(self) -> None:
        """It has greeted, and may take its time."""

    def begin(self, document: bytes) -> None:
        """What comes before images, if anything does."""

    @contextmanager
    def watched(self, gone: Callable[[], None]) -> Iterator[None]:
        """A block in which `gone` is called, once, as soon as the client has left."""
        yield

    def stop_reading(self) -> None:
        """Have whoever waits for its messages find that it sends no more."""


class SocketPeer(Peer):
    """A client that has connected."""

    def __init__(self, connection: socket.socket, address: tuple[Any, ...], limits: Limits) -> None:
        self._socket = connection
        connection.settimeout(limits.greeting_s)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in ALIVE.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        source, sink = (cast(BinaryIO, connection.makefile(mode, buffering=BUFFER)) for mode in ("rb", "wb"))
        self._files = source, sink
        super().__init__(f"{address[0]}:{address[1]}", source, sink, limits)

    def be_patient(self) -> None:
        """As above."""
        self._socket.settimeout(self._limits.patience_s)

    def stop_reading(self) -> None:
        """As above."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def end(self, drain: bool = True) -> None:
        """Send the close message, read what it still sends, and hang up: else what was sent may never arrive."""
        super().end()
        ends_at = time.monotonic() + self._limits.drain_s * drain
        with suppress(OSError, ValueError):
            self._socket.shutdown(socket.SHUT_WR)
            while (left := ends_at - time.monotonic()) > 0:
                self._socket.settimeout(left)
                if not self._socket.recv(BUFFER):
                    break
        for one in (*self._files, self._socket):
            with suppress(OSError, ValueError):  # what a client that has gone did not take
                one.close()

    @contextmanager
    def watched(self, gone: Callable[[], None]) -> Iterator[None]:
        """As above, by a thread."""
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over, gone), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _watch(self, over: threading.Event, gone: Callable[[], None]) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while not over.wait(LOOK_S):
            events = poll.poll(0)
            if not events:
                continue
            if events[0][1] & GONE:
                gone()
                return
            if not self._says_more():
                poll.modify(self._socket, 0)  # it may only have nothing more to say: then it takes a text
                with suppress(Left):
                    self.say("dainr: at work")

    def _says_more(self) -> bool:
        """Whether it has sent anything after its close message, which is let go, rather than closed its end."""
        try:
            return bool(self._socket.recv(BUFFER, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            return False


class PipePeer(Peer):
    """A client at the other end of two pipes, of which nobody knows whether it is there."""

    texts = False

    def __init__(self, source: BinaryIO, sink: BinaryIO, limits: Limits) -> None:
        super().__init__("pipe", source, sink, limits)
        self._begun = False

    def begin(self, document: bytes) -> None:
        """The header, which programs between pipes expect first; once."""
        if not self._begun:
            self._begun = True
            self.send(Document(document))
