"""The server: clients that connect, each in a thread of its own, and fits in turn."""

import logging
import os
import select
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from dainr.errors import BadRequest
from dainr.machine.disk import temporary_folder
from dainr.machine.lock import alone_in
from dainr.machine.memory import share_freed_memory
from dainr.serve.asked import Offer
from dainr.serve.fits import Places
from dainr.serve.house import House
from dainr.serve.limits import Limits
from dainr.serve.peer import Peer, SocketPeer
from dainr.serve.session import Session
from dainr.serve.store import SessionFolder, unfinished

log = logging.getLogger(__name__)

BACKLOG = 64
PREFIX = "dainr-serve-"  # of temporary folders
SETTLED_S = 60.0  # what is younger may not have its lock yet


class Server:
    """A server of the protocol; what it keeps lies in a folder, and is gone on with when it is started again."""

    def __init__(self, offer: Offer, limits: Limits = Limits(), keep: Path | None = None, jobs: int = 1) -> None:
        share_freed_memory()  # every client has a thread
        self._stopping, self._wake = threading.Event(), os.pipe()
        self._stack = ExitStack()
        root = _temporary_root(self._stack) if keep is None else _made(keep)
        self._stack.enter_context(alone_in(root, "another dainr serve"))
        places = Places(jobs, offer.started.options)
        self._stack.callback(places.close)
        self._house = House(offer, limits, places, root, keep is not None, self._stopping)
        self._sessions: dict[Session, threading.Thread] = {}
        self._lock = threading.RLock()  # for a signal may ask for the end anywhere

    def serve(self, listening: socket.socket) -> None:
        """Take clients until `stop`, and wait for their sessions. What another server left is finished first."""
        if self._house.keep:
            for folder in unfinished(self._house.root):
                self._go_on(folder)
        poll = select.poll()
        for handle in (listening.fileno(), self._wake[0]):
            poll.register(handle, select.POLLIN)
        with listening:
            while not self._stopping.is_set():
                if any(handle == listening.fileno() for handle, _ in poll.poll()):
                    with suppress(OSError):  # it has hung up at once, or there are too many open files
                        self._welcome(SocketPeer(*listening.accept(), self._house.limits))
        self._wait()

    def serve_one(self, peer: Peer) -> str:
        """The session of one client that is there; why it failed, or nothing."""
        session = Session(self._house, peer, SessionFolder.new(self._house.root))
        with self._counted(session):
            return session.run()

    def stop(self, at_once: bool = False) -> None:
        """Take no more clients. With a folder that is kept, fits save their state and end, and go on at the next start;
        else those that have begun go on, unless `at_once`.
        """
        self._stopping.set()
        os.write(self._wake[1], b"\0")
        with self._lock:
            for session in list(self._sessions):
                if at_once or self._house.keep or not session.has_scan:
                    session.give_up()

    def close(self) -> None:
        """End what is left of it."""
        self._stack.close()
        for handle in self._wake:
            os.close(handle)

    def _welcome(self, peer: SocketPeer) -> None:
        if len(self._sessions) >= self._house.limits.clients:
            log.warning("%s: turned away, for %d clients are here", peer.name, len(self._sessions))
            threading.Thread(target=_turn_away, args=(peer,), daemon=True).start()
            return
        folder = SessionFolder.new(self._house.root)
        if self._house.keep:
            folder.note()
        self._begin(Session(self._house, peer, folder))

    def _go_on(self, folder: SessionFolder) -> None:
        """Finish what another server has begun: a scan that is whole is fitted, one that is not is kept as it is."""
        if folder.notes.status == "received":
            self._begin(Session(self._house, None, folder))
        else:
            folder.store()
            folder.note(status="broken")
            log.info("session %s: another server ended while it was received: kept as far as it goes", folder.name)

    def _begin(self, session: Session) -> None:
        def run() -> None:
            with self._counted(session):
                session.run()

        thread = threading.Thread(target=run, daemon=True)
        with self._lock:
            self._sessions[session] = thread
        thread.start()

    @contextmanager
    def _counted(self, session: Session) -> Iterator[None]:
        with self._lock:
            self._sessions.setdefault(session, threading.current_thread())
        try:
            yield
        finally:
            with self._lock:
                del self._sessions[session]

    def _wait(self) -> None:
        while True:
            with self._lock:
                threads = list(self._sessions.values())
            if not threads:
                return
            for thread in threads:
                thread.join()


def listen(address: str, port: int) -> socket.socket:
    """A socket that clients can connect to. Raises BadRequest where there can be none."""
    with ExitStack() as stack:
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
            listening = stack.enter_context(socket.socket(family, kind, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
            listening.listen(BACKLOG)
            listening.setblocking(False)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise BadRequest(
                f"{address}:{port}", f"nobody can listen there ({why})", "choose another --port"
            ) from error
        stack.pop_all()
    return listening


def _made(root: Path) -> Path:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequest(str(root), f"it cannot be made ({error.strerror})", "name another folder") from error
    return root


def _temporary_root(stack: ExitStack) -> Path:
    """A folder until the end; those of servers that were killed go."""
    place = Path(temporary_folder())
    for left in place.glob(f"{PREFIX}*"):
        with suppress(BadRequest, OSError):
            if time.time() - left.stat().st_mtime > SETTLED_S:
                with alone_in(left, "its server"):
                    shutil.rmtree(left, ignore_errors=True)
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX, dir=place)))


def _turn_away(peer: SocketPeer) -> None:
    with suppress(Exception):
        peer.say("dainr: there are too many clients; try again later")
    peer.end(drain=False)
