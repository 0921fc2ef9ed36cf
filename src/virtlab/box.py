"""The ready box: the project's own disk image as a box for Vagrant. Nothing is mounted or booted."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtlab import __version__, paths
from virtlab.errors import MachineError, UsageError

IMAGE = paths.CACHE / "kit-image/virtlab-kit.qcow2"
FOLDER = paths.CACHE / "box"
NAME = f"virtlab-{__version__}"
# Vagrant comes in with this key, known to everybody, and replaces it with one of the machine's own at once.
KEY = paths.ROOT / "vagrant/insecure.pub"
GB = 1000**3
SECTOR = 512
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


VAGRANTFILE = """Vagrant.configure("2") do |config|
  config.ssh.username = "{user}"
end
"""


@dataclass(frozen=True)
class Format:
    """A provider's disk: its name in the box, and how qemu-img writes it."""

    disk: str
    convert: tuple[str, ...]


FORMATS = {
    "libvirt": Format("box.img", ("-O", "qcow2", "-c", "-o", "compression_type=zstd")),
}


@dataclass(frozen=True)
class Box:
    file: Path
    name: str
    provider: str
    size: int
    seconds: float


def build(image: Path, provider: str) -> Box:
    """The image's user learns Vagrant's key; the disk and what Vagrant wants to know go into one archive."""
    began = time.monotonic()
    if not image.is_file():
        make = ".venv/bin/ansible-playbook playbooks/kit_image.yml"
        do = f"As root, `{make}` makes it, in some minutes. Or say which: `lab box build FILE`."
        raise UsageError(f"There is no image {image}.", do=do)
    _check_tools()
    FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    virtual = int(json.loads(_do("qemu-img", "info", "--output=json", image))["virtual-size"])
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix=".build-") as folder:
        work = Path(folder)
        _check_room(image)
        raw = work / "disk.raw"
        with _step("unpacking the image"):
            _do("qemu-img", "convert", "-O", "raw", image, raw)
        with _step("letting Vagrant in"):
            user = _let_in(raw, work)
        disk = work / FORMATS[provider].disk
        with _step(f"packing the disk for {provider}"):
            _do("qemu-img", "convert", *FORMATS[provider].convert, raw, disk)
        raw.unlink()
        box = FOLDER / f"{NAME}-{provider}-{ARCHITECTURE}.box"
        with _step("writing the box"):
            about: dict[str, Any] = {"provider": provider, "architecture": ARCHITECTURE}
            if provider == "libvirt":
                about |= {"format": "qcow2", "virtual_size": -(-virtual // 1024**3)}
            (work / "metadata.json").write_text(json.dumps(about))
            (work / "Vagrantfile").write_text(VAGRANTFILE.format(user=user))
            _archive([work / "metadata.json", work / "Vagrantfile", disk], box)
    return Box(box, NAME, provider, box.stat().st_size, round(time.monotonic() - began, 1))


def add(file: Path | None) -> Box:
    """Register it with this user's Vagrant."""
    began = time.monotonic()
    if file is None:
        found = sorted(FOLDER.glob(f"{NAME}-*-{ARCHITECTURE}.box"), key=lambda one: one.stat().st_mtime)
        if not found:
            raise UsageError(f"There is no box of {NAME} here.", do="`lab box build` makes one.")
        file = found[-1]
    if not file.is_file():
        raise UsageError(f"There is no box {file}.", do="`lab box build` makes one.")
    provider = str(_metadata(file)["provider"])
    if not shutil.which("vagrant"):
        raise MachineError("Vagrant is not installed here.", do="Install it (docs/laptops.md), then again.")
    with _step(f"registering {NAME} for {provider}"):
        _do("vagrant", "box", "add", "--force", "--name", NAME, file)
    return Box(file, NAME, provider, file.stat().st_size, round(time.monotonic() - began, 1))


def _metadata(file: Path) -> dict[str, Any]:
    try:
        with tarfile.open(file) as box:
            member = box.extractfile("metadata.json")
            return dict(json.load(member)) if member else {}
    except (tarfile.TarError, KeyError, ValueError, OSError) as error:
        said = f"{file} is not a box of Vagrant's: {error}."
        raise UsageError(said, do="`lab box build` makes one.") from None


def _check_tools() -> None:
    for program, package in (("qemu-img", "qemu-utils"), ("debugfs", "e2fsprogs"), ("sfdisk", "fdisk")):
        if not shutil.which(program):
            raise MachineError(f"There is no {program} here.", do=f"apt install {package}")


def _check_room(image: Path) -> None:
    """The disk unpacked is about three times the image; then the packed one, twice."""
    needed = 6 * image.stat().st_blocks * SECTOR  # a disk image has holes
    free = shutil.disk_usage(FOLDER).free
    if free < needed:
        raise MachineError(
            f"{FOLDER} has {free / GB:.1f} GB free; a box takes {needed / GB:.1f} GB while it is made.",
            do="Make room there, then again.",
        )


def _let_in(raw: Path, work: Path) -> str:
    """Written straight into the ext4 file system: no loop device, no mount, no root rights of the image's."""
    table = json.loads(_do("sfdisk", "--json", raw))["partitiontable"]
    root = max(table["partitions"], key=lambda one: int(one["size"]))
    disk = f"{raw}?offset={int(root['start']) * SECTOR}"
    accounts = (line.split(":") for line in _do("debugfs", "-R", "cat /etc/passwd", disk).splitlines())
    user, home = next(((one[0], one[5]) for one in accounts if one[2] == "1000"), ("", ""))
    if not user:
        raise UsageError("The image has no user 1000.", do="Pack the kit's own image (docs/laptops.md).")
    script = work / "debugfs"
    ssh, keys = f"{home}/.ssh", f"{home}/.ssh/authorized_keys"
    owned = [f"sif {what} {field} {value}" for what, mode in ((ssh, "040700"), (keys, "0100600"))
             for field, value in (("uid", 1000), ("gid", 1000), ("mode", mode))]  # fmt: skip
    script.write_text("\n".join([f"mkdir {ssh}", f"rm {keys}", f"write {KEY} {keys}", *owned, ""]))
    _do("debugfs", "-w", "-f", script, disk)
    written = _do("debugfs", "-R", f"cat {keys}", disk)  # its exit code is always 0
    if written.strip() != KEY.read_text().strip():
        raise MachineError("Vagrant's key could not be written into the image.", do="Is it the kit's own?")
    _do("e2fsck", "-f", "-n", disk)
    return user


def _archive(files: list[Path], box: Path) -> None:
    new = files[0].with_name(box.name)
    with tarfile.open(new, "w") as tar:  # the disk is compressed already
        for file in files:
            tar.add(file, file.name)
    new.replace(box)


@contextmanager
def _step(what: str) -> Iterator[None]:
    began = time.monotonic()
    sys.stderr.write(f"{what} … ")
    sys.stderr.flush()
    yield
    sys.stderr.write(f"{time.monotonic() - began:.0f} s\n")


def _do(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split()[-40:])
        raise MachineError(f"{Path(command[0]).name} failed: {said}", do="Is the disk full? See: df -h")
    return done.stdout
