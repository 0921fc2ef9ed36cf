#!/usr/bin/env python3
"""Does hardware virtualization really work here? Found out by running a guest, not by looking for /dev/kvm.

/dev/kvm may exist, open and make virtual CPUs, and still not run a stock kernel: some clouds offer a KVM that
interprets what a guest's kernel does. So this boots 512 bytes that go where a kernel goes (64-bit mode,
paging, timer interrupts) and do a tenth of a second's work, for which an interpreter needs minutes.

`python3 virtualization.py` prints the verdict as JSON; only the standard library, so that a role can run this
file as a script.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from base64 import b64decode
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

DEVICE = Path("/dev/kvm")
QEMU = "qemu-system-x86_64"
ENOUGH_SECONDS = 6.0  # working KVM takes well under one
FINISHED = 2 * 42 + 1  # what isa-debug-exit makes of the 42 that the guest writes

# boot_sector.s beside this file, assembled (tests/unit/test_virtualization.py does it again and compares).
BOOT_SECTOR = (
    b64decode(
        "+jHAjtiOwI7QvAB8vwAQuQAg/POrxwYAEAMgxwYAIAMwxwYAMIMAZrgAEAAADyLYZrggBgAADyLgZrmAAADADzINAAEPMGYPARbg"
        "fGa4AQAAgA8iwOpafAgAuBAAAACO2I7AjtC5AOH1Bf/Jdfy/AFIAAGbHB758ZsdHAggAZsdHBACODwEcJeZ8AACwEeYgsCDmIbAE"
        "5iGwAeYhsP7mIbA05kOwqeZAsATmQLsUAAAA+/SF23X7sCrm9PTr/f/LsCDmIEjPZpAAAAAAAAAAAAAAAAAAmiAAAAAAAACSAAAX"
        "AMh8AAAPAgBQ"
    ).ljust(510, b"\0")
    + b"\x55\xaa"
)


EMULATED = (
    "Nothing need be done: guests run under QEMU's own emulation, slower. "
    "On a virtual machine, its host would have to offer nested virtualization."
)
Found = tuple[str, str, str]  # domain type, why, what to do


@dataclass(frozen=True)
class Verdict:
    """`kvm`: use hardware virtualization; `qemu`: emulate; `unknown`: could not be tried."""

    domain_type: str
    why: str
    do: str
    tried: str
    seconds: float


def try_kvm(accelerator: str = "kvm", seconds: float = ENOUGH_SECONDS) -> Verdict:
    """Boot the small guest and say whether it came to its end in time."""
    begin = time.monotonic()
    domain_type, why, do = _obstacle(accelerator) or _boot(accelerator, seconds)
    tried = datetime.now(UTC).isoformat(timespec="seconds")
    return Verdict(domain_type, why, do, tried, round(time.monotonic() - begin, 2))


def _obstacle(accelerator: str) -> Found | None:
    """Why there is nothing to try, or None."""
    if accelerator == "kvm":
        if not DEVICE.exists():
            return _why_no_device()
        if not os.access(DEVICE, os.R_OK | os.W_OK):
            return (
                "unknown",
                f"{DEVICE} is there, but you may not open it.",
                "Ask as root (`sudo ./lab doctor`), or run `lab up`: it puts you in the group kvm.",
            )
    if platform.machine() != "x86_64":
        return (
            "unknown",
            f"The try is written for x86_64; this machine is {platform.machine()}.",
            "Nothing: guests are emulated.",
        )
    if not shutil.which(QEMU):
        return (
            "unknown",
            f"{QEMU} is not installed, so hardware virtualization cannot be tried.",
            "`lab up` installs it and tries.",
        )
    return None


def _boot(accelerator: str, seconds: float) -> Found:
    with tempfile.NamedTemporaryFile(prefix="virtlab-try-", suffix=".img") as disk:
        disk.write(BOOT_SECTOR)
        disk.flush()
        try:
            done = subprocess.run(
                [
                    QEMU,
                    "-accel",
                    accelerator,
                    "-cpu",
                    "host" if accelerator == "kvm" else "max",
                    "-m",
                    "16",
                    "-display",
                    "none",
                    "-nodefaults",
                    "-no-reboot",
                    "-device",
                    "isa-debug-exit,iobase=0xf4,iosize=0x04",
                    "-drive",
                    f"file={disk.name},format=raw,if=ide",
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return (
                "qemu",
                f"{DEVICE} is there, but no kernel runs under it: a 64-bit guest did not finish "
                f"a tenth of a second's work in {seconds:g} seconds.",
                EMULATED,
            )
        except OSError as error:
            return ("unknown", f"{QEMU} did not start: {error}.", "Reinstall QEMU, then `lab up`.")
    if done.returncode == FINISHED:
        return "kvm", "A small 64-bit guest ran to its end with hardware virtualization.", ""
    said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
    last = re.sub(r"^(\S+: )*", "", said[-1])  # without the program's name and its source line
    return "qemu", f"{DEVICE} is there, but QEMU cannot run a guest with it: {last}", EMULATED


def _why_no_device() -> Found:
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    if {"vmx", "svm"} & flags:
        return (
            "qemu",
            f"The CPU has hardware virtualization, but there is no {DEVICE}.",
            "As root: `modprobe kvm_intel` or `modprobe kvm_amd`. If refused, switch VT-x or SVM on "
            "in the firmware.",
        )
    return "qemu", f"This CPU offers no hardware virtualization (no {DEVICE}, no vmx or svm flag).", EMULATED


if __name__ == "__main__":
    print(json.dumps(asdict(try_kvm())))  # noqa: T201  (a script's answer)
