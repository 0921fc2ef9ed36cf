"""The try for KVM: the guest it boots is real, and what it says on machines without this or that."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from virtlab import virtualization
from virtlab.virtualization import BOOT_SECTOR, try_kvm

SOURCE = Path(virtualization.__file__).with_name("boot_sector.s")


def test_the_boot_sector_is_its_source_assembled(tmp_path: Path) -> None:
    object_file, image = tmp_path / "sector.o", tmp_path / "sector"
    subprocess.run(["as", "--64", "-o", object_file, SOURCE], check=True)
    link = ["ld", "-m", "elf_x86_64", "-Ttext", "0x7c00", "--oformat", "binary", "-o", image, object_file]
    subprocess.run(link, check=True)
    assert image.read_bytes() == BOOT_SECTOR


@pytest.mark.host
def test_the_guest_runs_to_its_end_where_guests_run() -> None:
    assert try_kvm("tcg", seconds=60).domain_type == "kvm"  # what was asked for works


@pytest.mark.host
def test_a_guest_that_does_not_end_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = b"\xeb\xfe".ljust(510, b"\0") + b"\x55\xaa"  # jmp to itself
    monkeypatch.setattr(virtualization, "BOOT_SECTOR", hangs)
    verdict = try_kvm("tcg", seconds=1.5)
    assert verdict.domain_type == "qemu"
    assert "did not finish" in verdict.why
    assert 1.4 < verdict.seconds < 4


def test_no_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(virtualization, "DEVICE", tmp_path / "kvm")
    verdict = try_kvm()
    assert verdict.domain_type == "qemu"
    assert str(tmp_path / "kvm") in verdict.why
    assert verdict.do


def test_no_qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    verdict = try_kvm("tcg")
    assert verdict.domain_type == "unknown"
    assert "not installed" in verdict.why


def test_as_a_script_it_needs_no_package() -> None:
    script = [sys.executable, "-I", "-S", virtualization.__file__]
    answer = subprocess.run(script, capture_output=True, text=True, check=True, timeout=30).stdout
    assert set(json.loads(answer)) == {"domain_type", "why", "do", "tried", "seconds"}
