"""A box is made of a small disk with a real file system; what is in it is read back with other tools."""

import json
import subprocess
from pathlib import Path

import pytest

from virtlab import box
from virtlab.errors import MachineError, UsageError

pytestmark = pytest.mark.host  # needs qemu-img, which `lab up` brings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(box, "FOLDER", tmp_path / "box")
    return tmp_path / "box"


def image(folder: Path, passwd: str) -> Path:
    """Two partitions, the second with a root file system."""
    tree, raw, result = folder / "tree", folder / "disk.raw", folder / "image.qcow2"
    (tree / "etc").mkdir(parents=True)
    (tree / "home/learner").mkdir(parents=True)
    (tree / "etc/passwd").write_text(passwd)
    with raw.open("wb") as stream:
        stream.truncate(40 * 1024**2)
    run("sfdisk", "--quiet", str(raw), input="label: gpt\nstart=2048, size=2048\nstart=4096, size=73728\n")
    run("mke2fs", "-q", "-t", "ext4", "-d", str(tree), "-E", "offset=2097152", str(raw), "36864k")
    run("qemu-img", "convert", "-O", "qcow2", "-c", str(raw), str(result))
    return result


def run(*command: str, input: str = "") -> str:
    return subprocess.run(command, input=input, capture_output=True, text=True, check=True).stdout


LEARNER = "root:x:0:0::/root:/bin/sh\nlearner:x:1000:1000::/home/learner:/bin/bash\n"


def test_vagrants_key_is_in_it_and_belongs_to_the_learner(tmp_path: Path) -> None:
    before = (original := image(tmp_path, LEARNER)).read_bytes()
    made = box.build(original, "libvirt")
    assert original.read_bytes() == before
    assert made.file.name == f"{box.NAME}-libvirt-{box.ARCHITECTURE}.box"
    assert made.size == made.file.stat().st_size
    (out := tmp_path / "out").mkdir()
    run("tar", "-xf", str(made.file), "-C", str(out))
    about = json.loads((out / "metadata.json").read_text())
    assert (about["provider"], about["format"], about["virtual_size"]) == ("libvirt", "qcow2", 1)
    assert 'config.ssh.username = "learner"' in (out / "Vagrantfile").read_text()
    run("qemu-img", "convert", "-O", "raw", str(out / "box.img"), str(out / "raw"))
    disk = f"{out / 'raw'}?offset=2097152"
    assert "vagrant insecure public key" in run(
        "debugfs", "-R", "cat /home/learner/.ssh/authorized_keys", disk
    )
    for path, mode in (("/home/learner/.ssh", "0700"), ("/home/learner/.ssh/authorized_keys", "0600")):
        said = run("debugfs", "-R", f"stat {path}", disk)
        assert f"Mode:  {mode}" in said
        assert "User:  1000   Group:  1000" in said
    assert [file.name for file in made.file.parent.iterdir()] == [made.file.name], "nothing else is left"


def test_an_image_without_a_learner_is_refused_and_nothing_is_left(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match="no user 1000"):
        box.build(image(tmp_path, "root:x:0:0::/root:/bin/sh\n"), "libvirt")
    assert list(folder.iterdir()) == []


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no image"):
        box.build(tmp_path / "none.qcow2", "libvirt")
    with pytest.raises(UsageError, match="There is no box of"):
        box.add(None)
    (tmp_path / "odd.box").write_text("no archive")
    with pytest.raises(UsageError, match="not a box of Vagrant's"):
        box.add(tmp_path / "odd.box")


def test_without_vagrant_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = box.build(image(tmp_path, LEARNER), "libvirt")
    monkeypatch.setattr(box.shutil, "which", lambda _program: None)
    with pytest.raises(MachineError, match="Vagrant is not installed"):
        box.add(made.file)
