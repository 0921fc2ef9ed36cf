"""CSV as it really comes: commas, semicolons or tabs; UTF-8 with or without a mark, UTF-16, GB18030."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from virtlab.classroom.findings import Finding
from virtlab.errors import MachineError

MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
LARGEST = 5_000_000  # bytes: a roster of ten thousand is a tenth of it


class UnreadableError(Exception):
    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


@dataclass(frozen=True)
class Row:
    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    encoding: str
    delimiter: str
    rows: tuple[Row, ...]  # those that are not empty


def read(file: Path) -> Table:
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise UnreadableError(Finding(file, 1, f"I cannot read it: {error.strerror}.")) from None
    if len(content) > LARGEST:
        raise UnreadableError(Finding(file, 1, "It is too large to be a roster (5 MB)."))
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise UnreadableError(Finding(file, 1, "It is a spreadsheet, not CSV.", "Save it as CSV (UTF-8)."))
    text, encoding = decode(content)
    if "\0" in text:
        raise UnreadableError(Finding(file, 1, "It is no text.", "Export it again as CSV (UTF-8)."))
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    line = 1
    try:
        for cells in reader:
            clean = tuple(_clean(cell) for cell in cells)
            if any(clean):
                rows.append(Row(line, clean))
            line = reader.line_num + 1
    except csv.Error as error:
        where = Finding(file, line, f"The line is no valid CSV: {error}.", "Look for a stray quotation mark.")
        raise UnreadableError(where) from None
    return Table(encoding, delimiter, tuple(rows))


def decode(content: bytes) -> tuple[str, str]:
    """The text and its encoding. GB18030 takes nearly any bytes, so it has to make sense as well."""
    for mark, encoding in MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, errors="replace"), encoding
    if encoding := _utf_16(content):
        return content.decode(encoding, errors="replace"), encoding
    for encoding in ("utf-8", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8" or _is_chinese(text):
            return text, encoding
    return content.decode("cp1252", errors="replace"), "cp1252"


def _utf_16(content: bytes) -> str:
    """Without a mark: ASCII letters then have a zero for every second byte."""
    start = content[:200]
    if not start.count(0) > len(start) // 4:
        return ""
    return "utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"


def _is_chinese(text: str) -> bool:
    """Most of what is beyond ASCII is in GB 2312. Latin names, read as Chinese, give rare characters."""
    beyond = [char for char in text if ord(char) > 127]
    return bool(beyond) and sum(map(_is_common, beyond)) > len(beyond) / 2


def _is_common(char: str) -> bool:
    try:
        return bool(char.encode("gb2312"))
    except UnicodeEncodeError:
        return False


def _delimiter(text: str) -> str:
    head = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=lambda char: (head.count(char), -",;\t".index(char)))


def _clean(cell: str) -> str:
    """Spreadsheets write ="007" to keep zeros, and leave spaces that cannot be seen."""
    cell = cell.replace("\u00a0", " ").replace("\u3000", " ").replace("\u200b", "").strip()
    if cell.startswith('="') and cell.endswith('"'):
        cell = cell[2:-1].strip()
    return " ".join(cell.split())


def write(head: Sequence[str], rows: Iterable[Sequence[object]], *, mark: bool = True) -> str:
    """As CSV. The mark makes spreadsheets read UTF-8; what they would run as a formula becomes text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([harmless(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return ("\ufeff" if mark else "") + out.getvalue()


def harmless(cell: str) -> str:
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell


def save(file: Path, text: str) -> None:
    """For nobody but its owner; whoever reads meanwhile meets the old file or the new."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", newline="") as stream:
            stream.write(text)
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise MachineError(
            f"I cannot write {file}: {error.strerror}.", do="Name a file in a folder that is yours."
        ) from None
