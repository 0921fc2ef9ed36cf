"""A lab's state on this machine, kept through crashes, and the lock: one verb at a time works on a lab."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from virtlab import paths
from virtlab.errors import MachineError


@dataclass
class State:
    """`phase`: new, starting, started, finishing, finished. `before`: keys of what was there at the start."""

    phase: str = "new"
    since: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    before: list[str] | None = None

    @property
    def is_begun(self) -> bool:
        """There may be something of the lab on the machine."""
        return self.phase in ("starting", "started", "finishing")


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def read(slug: str) -> State:
    file = paths.data() / "state" / f"{slug}.json"
    try:
        return State(**json.loads(file.read_text()))
    except FileNotFoundError:
        return State()
    except (OSError, ValueError, TypeError) as error:
        raise MachineError(
            f"I cannot read the state of lab {slug} ({file}): {error}.",
            do=f"If you can do without it: `rm {file}`, then `lab finish {slug}`.",
        ) from None


def write(slug: str, state: State) -> None:
    try:
        paths.write(paths.data() / "state" / f"{slug}.json", json.dumps(asdict(state)))
    except OSError as error:
        raise cannot_write(error) from None


def cannot_write(error: OSError) -> MachineError:
    return MachineError(
        f"I cannot write to {error.filename or paths.data()}: {error.strerror}.",
        do="Make room on the disk (`df -h`), or give the folder back to your user, and try again.",
    )


@contextmanager
def locked(slug: str, verb: str) -> Iterator[None]:
    """One verb at a time. The lock goes with the process that holds it, however that ends."""
    file = paths.data() / "locks" / f"{slug}.lock"
    try:
        paths.private(file.parent)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise cannot_write(error) from None
    with os.fdopen(descriptor, "r+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held(slug, stream.read()) from None
        try:
            stream.truncate(0)
            json.dump({"verb": verb, "pid": os.getpid(), "since": time.strftime("%H:%M:%S")}, stream)
            stream.flush()
        except OSError as error:
            raise cannot_write(error) from None
        yield


def busy(slug: str) -> bool:
    """Is a verb at work on the lab right now?"""
    try:
        descriptor = os.open(paths.data() / "locks" / f"{slug}.lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _held(slug: str, said: str) -> MachineError:
    try:
        holder = json.loads(said)
        since = f"process {holder['pid']}, since {holder['since']}"
        return MachineError(
            f"`lab {holder['verb']} {slug}` is at work on this lab ({since}).",
            do=f"Wait until it is done, or end it with `kill {holder['pid']}`, and try again.",
        )
    except (ValueError, KeyError, TypeError):
        return MachineError(
            f"Another command is at work on lab {slug}.", do="Wait until it is done and try again."
        )
