"""The class's accounts: what a student logs in with.

Nothing that opens an account is stored. The first password and the one-time link are drawn from one key, so
the handout can be printed again and says the same. A password that a student has chosen is kept as a bcrypt
hash.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from virtlab.errors import MachineError, UsageError

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is easily taken for another
SHORTEST = 8  # characters of a password of one's own
LONGEST = 72  # bytes: bcrypt looks at no more

TABLE = """CREATE TABLE IF NOT EXISTS accounts (
    id TEXT PRIMARY KEY, hash TEXT, generation INTEGER NOT NULL, links INTEGER NOT NULL DEFAULT 0)"""


class Accounts:
    """`folder` holds `accounts.sqlite3` and `accounts.key`, both of nobody but the hub's user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file, self._key_file = folder / "accounts.sqlite3", folder / "accounts.key"

    def enrol(self, ids: Iterable[str]) -> None:
        """Accounts for just these; who was there before keeps theirs."""
        self._key()  # made by the hub's user, who must be able to read it
        wanted = {normal(one) for one in ids}
        with self._open() as db:
            there = {row[0] for row in db.execute("SELECT id FROM accounts")}
            db.executemany("DELETE FROM accounts WHERE id = ?", [(one,) for one in there - wanted])
            # A generation nobody has had: an account that comes back does not open with an old card.
            fresh = [(one, secrets.randbelow(2**31)) for one in sorted(wanted - there)]
            db.executemany("INSERT INTO accounts (id, generation) VALUES (?, ?)", fresh)

    def has(self, who: str) -> bool:
        return self._row(who) is not None

    def first_password(self, who: str) -> str | None:
        """What the handout says; None once the student has chosen another."""
        chosen, generation, _ = self._known(who)
        return None if chosen else self._first(who, generation)

    def is_right(self, who: str, password: str) -> bool:
        import bcrypt

        row = self._row(who)
        if row is None:
            return False
        if row[0]:
            return bcrypt.checkpw(_bytes(password), row[0].encode())
        return hmac.compare_digest(password.strip().lower().encode(), self._first(who, row[1]).encode())

    def choose(self, who: str, password: str) -> None:
        """A password of the student's own; the handout's does not open the account any more."""
        import bcrypt

        if len(password) < SHORTEST:
            raise UsageError("The new password is too short.", do="Take eight characters or more.")
        if len(password.encode()) > LONGEST:
            raise UsageError("The new password is too long.", do="Take 72 letters or fewer.")
        if password.strip().lower() == normal(who):
            raise UsageError("The new password is your name.", do="Take one that others cannot guess.")
        self._known(who)
        chosen = bcrypt.hashpw(_bytes(password), bcrypt.gensalt(12)).decode()
        with self._open() as db:
            db.execute("UPDATE accounts SET hash = ? WHERE id = ?", (chosen, normal(who)))

    def reset(self, who: str) -> None:
        """A new first password and a new link: what was printed before opens nothing."""
        self._known(who)
        with self._open() as db:
            db.execute("UPDATE accounts SET hash = NULL, generation = ?, links = 0 WHERE id = ?",
                       (secrets.randbelow(2**31), normal(who)))  # fmt: skip

    def link_key(self, who: str) -> str:
        """The secret half of a link that logs in once."""
        _, generation, links = self._known(who)
        drawn = self._draw("link", who, f"{generation}/{links}")
        return base64.urlsafe_b64encode(drawn[:18]).decode()

    def is_link(self, who: str, key: str) -> bool:
        return self.has(who) and hmac.compare_digest(self.link_key(who).encode(), key.encode())

    def redeem(self, who: str, key: str) -> bool:
        """Whether the link was good; from now on it is not."""
        if not self.is_link(who, key):
            return False
        _, _, links = self._known(who)
        with self._open() as db:  # of two at once, one gets it
            used = db.execute("UPDATE accounts SET links = links + 1 WHERE id = ? AND links = ?",
                              (normal(who), links))  # fmt: skip
            return used.rowcount == 1

    # What it is drawn from and kept in

    def _first(self, who: str, generation: int) -> str:
        number = int.from_bytes(self._draw("password", who, str(generation)), "big")
        letters = ""
        for _ in range(12):
            number, at = divmod(number, len(LETTERS))
            letters += LETTERS[at]
        return "-".join(letters[at : at + 4] for at in (0, 4, 8))

    def _draw(self, use: str, who: str, number: str) -> bytes:
        return hmac.digest(self._key(), "\0".join((use, normal(who), number)).encode(), hashlib.sha256)

    def _key(self) -> bytes:
        from virtlab.paths import private

        if not self._key_file.exists():
            private(self.folder)
            part = self._key_file.with_suffix(f".{secrets.token_hex(4)}")
            part.touch(mode=0o600)
            part.write_bytes(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):  # another was first: its key counts
                self._key_file.hardlink_to(part)
            part.unlink()
        return self._key_file.read_bytes()

    def _known(self, who: str) -> tuple[str | None, int, int]:
        if (row := self._row(who)) is None:
            raise UsageError(f"There is no account {who} in this class.", do="Look at the roster.")
        return row

    def _row(self, who: str) -> tuple[str | None, int, int] | None:
        with self._open() as db:
            found = db.execute("SELECT hash, generation, links FROM accounts WHERE id = ?", (normal(who),))
            row: tuple[str | None, int, int] | None = found.fetchone()
            return row

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        from virtlab.paths import private

        try:
            private(self.folder)
            self.file.touch(mode=0o600)
            with contextlib.closing(sqlite3.connect(self.file, timeout=5)) as db, db:
                db.execute(TABLE)
                yield db
        except (sqlite3.Error, OSError) as error:
            raise MachineError(f"I cannot read the class's accounts in {self.file}: {error}.",
                               do="Mend the folder's permissions, or make room on the disk.") from None



def normal(who: str) -> str:
    """As the hub knows a student, however the name was typed."""
    return who.strip().lower()


def _bytes(password: str) -> bytes:
    return password.encode()[:LONGEST]


