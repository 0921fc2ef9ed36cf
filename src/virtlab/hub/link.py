"""The one door to libvirt: blocking calls go to threads of their own for each host, with a time limit.

A host that has died must neither hang the hub nor take the threads of the others, and it has to be noticed:
keep-alive closes its connection, every later call says `HostDown`, and the call after its return opens a
new one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import IO, Any, TypeVar

import libvirt

from virtlab.errors import MachineError

T = TypeVar("T")

PATIENCE = 60.0  # seconds for an ordinary call; starts and copies give their own
OPEN = 15.0  # seconds to connect
AT_ONCE = 24  # calls to one host
CHUNK = 1 << 20
GONE = {
    libvirt.VIR_ERR_NO_CONNECT,
    libvirt.VIR_ERR_INVALID_CONN,
    libvirt.VIR_ERR_SYSTEM_ERROR,
    libvirt.VIR_ERR_RPC,
    libvirt.VIR_ERR_AUTH_FAILED,
}


class HostDown(MachineError):
    """A KVM host does not answer."""

    def __init__(self, host: str, uri: str, why: str) -> None:
        super().__init__(
            f"The KVM host {host} does not answer at {uri}: {why}.",
            do=f"Is it switched on, and does libvirtd run there? `virsh -c {uri} list` shows the same.",
        )


class Refused(MachineError):
    """libvirt said no; `code` is its own."""

    def __init__(self, host: str, what: str, error: libvirt.libvirtError) -> None:
        said = str(error.get_error_message() or error).strip().rstrip(".")
        super().__init__(f"{host} could not {what}: {said}.", do="The log of libvirtd there says more.")
        self.code = error.get_error_code()


class Link:
    """A connection to one host's libvirt."""

    def __init__(self, name: str, uri: str) -> None:
        self.name = name
        self.uri = uri
        self._free = threading.BoundedSemaphore(AT_ONCE)
        self._opening = threading.Lock()
        self._open: Any = None

    async def __call__(
        self, what: str, work: Callable[[libvirt.virConnect], T], patience: float = PATIENCE
    ) -> T:
        """Do some blocking work with the connection; `what` completes "the host could not …"."""
        try:
            return await asyncio.wait_for(self._thread(work, patience), patience)
        except TimeoutError:
            raise HostDown(self.name, self.uri, f"no answer within {patience:.0f} seconds") from None
        except libvirt.libvirtError as error:
            if not self._alive():
                raise HostDown(self.name, self.uri, _first_line(error)) from None
            raise Refused(self.name, what, error) from None

    def _thread(self, work: Callable[[libvirt.virConnect], T], patience: float) -> asyncio.Future[T]:
        """In a daemon thread: a command that has said all it knows does not wait for a dead host's."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)  # type: ignore[arg-type]
            else:
                future.set_exception(error)

        def run() -> None:
            if not self._free.acquire(timeout=patience):
                return
            try:
                result, problem = (None if future.done() else self._work(work)), None
            except BaseException as error:
                result, problem = None, error
            finally:
                self._free.release()
            with suppress(RuntimeError):  # the loop is gone, and nobody asks any more
                loop.call_soon_threadsafe(settle, result, problem)

        threading.Thread(target=run, name=f"libvirt-{self.name}", daemon=True).start()
        return future

    def close(self) -> None:
        connection, self._open = self._open, None
        if connection is not None:
            connection.close()

    def _work(self, work: Callable[[libvirt.virConnect], T]) -> T:
        return work(self._connection())

    def _alive(self) -> bool:
        try:
            return self._open is not None and bool(self._open.isAlive())
        except libvirt.libvirtError:
            return False

    def _connection(self) -> Any:
        with self._opening:
            if not self._alive():
                _run_events()
                self._open = libvirt.open(self.uri)
                # Only connections through a daemon know keep-alive; there are no others in a class.
                # A host that copies disks may take seconds for an answer: half a minute is not too early.
                self._open.setKeepAlive(5, 5)
            return self._open


def _first_line(error: libvirt.libvirtError) -> str:
    return str(error.get_error_message() or error).strip().splitlines()[0].rstrip(".")


class suppress_code:
    """Like contextlib.suppress, for libvirt's errors of some codes."""

    def __init__(self, *codes: int) -> None:
        self.codes: Iterable[int] = codes

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        return isinstance(error, libvirt.libvirtError) and error.get_error_code() in self.codes


_events: threading.Thread | None = None
_events_lock = threading.Lock()


def _run_events() -> None:
    """libvirt's event loop, which keep-alive needs, once a process."""
    global _events  # noqa: PLW0603  (libvirt has one such loop a process)
    with _events_lock:
        if _events is None:
            libvirt.registerErrorHandler(lambda *_: None, None)  # it prints to stderr by itself otherwise
            libvirt.virEventRegisterDefaultImpl()

            def run() -> None:
                while True:
                    libvirt.virEventRunDefaultImpl()

            _events = threading.Thread(target=run, name="libvirt-events", daemon=True)
            _events.start()


# --- bytes of volumes -----------------------------------------------------------------------------------
def send(volume: Any, source: IO[bytes], offset: int, length: int) -> None:
    """Write a part of a volume's file from a local one, which stands at the right place already."""

    def pieces() -> Iterator[bytes]:
        left = length
        while left:
            data = source.read(min(CHUNK, left))
            if not data:
                raise OSError("the file became shorter while it was sent")
            left -= len(data)
            yield data

    fill(volume, pieces(), offset, length)


def fill(volume: Any, pieces: Iterable[bytes], offset: int = 0, length: int = 0) -> None:
    """Write a volume's file, or a part of it; without a length how long it becomes is seen at the end."""
    stream = volume.connect().newStream()
    volume.upload(stream, offset, length)
    try:
        for piece in pieces:
            data = piece
            while data:
                data = data[stream.send(data) :]
    except BaseException:
        stream.abort()
        raise
    stream.finish()


def receive(volume: Any, offset: int = 0, length: int = 0) -> Iterator[bytes]:
    """The bytes of a volume's file, piece by piece; all of it without a length."""
    stream = volume.connect().newStream()
    volume.download(stream, offset, length)
    try:
        while data := stream.recv(CHUNK):
            yield data
    except BaseException:
        stream.abort()
        raise
    stream.finish()
