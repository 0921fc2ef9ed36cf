"""The guests' disk: a second one with a pool and a cache of its own, so that the standing one stays."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import libvirt
import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.host


class Role:
    def __init__(self, folder):
        self.cache, self.pool, self.key = folder / "cache", folder / "pool", folder / "secrets/key"
        self.disk, self.report = self.pool / "vmtest.qcow2", folder / "vm_image.json"
        self.variables = {
            "vm_image_pool": "vmtest-image", "vm_image_pool_path": str(self.pool),
            "vm_image_volume": self.disk.name, "vm_image_cache": str(self.cache),
            "vm_image_log": str(folder / "log"), "vm_image_key": str(self.key),
            "vm_image_report": str(self.report),
        }

    def run(self, *more, **variables):
        playbook = Path(sys.executable).with_name("ansible-playbook")
        given = json.dumps(self.variables | variables)
        return subprocess.run([playbook, "tests/roles/vm_image.yml", "-e", given, *more],
                              cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)

    def converge(self, *more, **variables):
        """Run the role; the recap's counters."""
        done = self.run(*more, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        recap = done.stdout.partition("PLAY RECAP")[2]
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap)}


@pytest.fixture(scope="module")
def role(tmp_path_factory):
    one = Role(tmp_path_factory.mktemp("image"))
    one.pool.mkdir()
    link = libvirt.open("qemu:///system")
    pool = link.storagePoolCreateXML(
        f"<pool type='dir'><name>vmtest-image</name><target><path>{one.pool}</path></target></pool>")
    yield one
    pool.destroy()
    link.close()


def builders(cache):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if str(cache / "build-guest-image") in words:
            found.append(int(path.parent.name))
    return found


def test_check_mode_makes_nothing(role):
    assert role.converge("--check")["changed"] == 1
    assert not role.cache.exists()
    assert not role.key.exists()


def test_a_build_that_was_killed_is_begun_anew(role):
    assert role.converge(vm_image_wait=False)["changed"] == 1
    assert role.key.stat().st_mode & 0o777 == 0o600
    time.sleep(5)
    for pid in builders(role.cache):
        os.killpg(os.getpgid(pid), signal.SIGKILL)
    assert not role.disk.exists()
    assert role.converge()["changed"] == 1
    assert not (role.cache / "build").exists()


def test_a_disk_that_can_be_booted(role):
    info = json.loads(subprocess.run(["qemu-img", "info", "--output=json", role.disk], capture_output=True,
                                     check=True).stdout)
    assert (info["format"], info["virtual-size"]) == ("qcow2", 3072 << 20)
    assert role.disk.stat().st_size < 200 << 20
    assert subprocess.run(["qemu-img", "check", "-q", role.disk], check=False).returncode == 0
    said = json.loads(role.report.read_text())
    assert said["ssh_public_key"].startswith("ssh-ed25519 ")


def test_a_second_run_changes_nothing_even_without_the_cache(role):
    role.cache.rename(role.cache.with_name("away"))
    assert role.converge()["changed"] == 0
    assert role.converge(vm_image_wait=False)["changed"] == 0
    role.cache.with_name("away").rename(role.cache)


def test_a_new_key_is_written_down_and_the_disk_stays(role):
    """As on a copy of a machine whose secrets were taken out."""
    stays, before = role.disk.stat().st_ino, json.loads(role.report.read_text())["ssh_public_key"]
    role.cache.rename(role.cache.with_name("away"))
    role.key.unlink()
    assert role.converge()["changed"] == 1
    after = json.loads(role.report.read_text())["ssh_public_key"]
    assert after == role.key.with_suffix(".pub").read_text().strip() != before
    assert role.disk.stat().st_ino == stays
    assert role.converge()["changed"] == 0
    role.cache.with_name("away").rename(role.cache)


def test_a_disk_that_somebody_wrote_into_is_made_good(role):
    with role.disk.open("ab") as file:
        file.write(b"scribble")
    began = time.monotonic()
    assert role.converge()["changed"] == 1
    assert time.monotonic() - began < 15        # from the cache
    assert role.converge()["changed"] == 0


def test_a_disk_in_use_is_neither_replaced_nor_removed(role):
    overlay = role.pool / "vmtest-overlay.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", role.disk, "-F", "qcow2", overlay],
                   check=True)
    stays = role.disk.stat().st_ino
    done = role.run(vm_image_edition="newer")
    assert done.returncode == 0
    assert "vmtest-overlay.qcow2 builds upon it" in re.sub(r"\s+", " ", done.stdout + done.stderr)
    refused = role.run(vm_image_state="absent")
    assert refused.returncode
    assert "vmtest-overlay.qcow2 builds upon it" in refused.stdout + refused.stderr
    assert role.disk.stat().st_ino == stays
    overlay.unlink()


def test_the_undo(role):
    assert role.converge(vm_image_state="absent")["changed"] == 1
    assert not role.disk.exists()
    assert not role.key.exists()
    assert not role.report.exists()
    assert role.converge(vm_image_state="absent")["changed"] == 0
