"""Certificates for seats that move, made as docs/instructors.md says: the same one at both ends of a move."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from kvmhosts import KvmHost

from virtlab import paths


def certify(hosts: Iterable[KvmHost], folder: Path) -> None:
    """Run the document's own lines, with these hosts in place of its example's."""
    hosts = list(hosts)
    document = (paths.ROOT / "docs/instructors.md").read_text()
    found = re.search(r"```bash\n(# Certificates.*?)```", document, re.DOTALL)
    assert found
    ours = " ".join(f"{host.name}={host.prefix}.2" for host in hosts)
    script, replaced = re.subn(r"kvm1=\S+ kvm2=\S+(?=;)", ours, found[1])
    assert replaced == 1
    subprocess.run(["bash", "-e", "-c", script], cwd=folder, check=True, capture_output=True)
    for host in hosts:
        for file in (folder / host.name).iterdir():
            there = shutil.copy(file, host.pki)
            shutil.chown(there, "root", "libvirt-qemu")
            Path(there).chmod(0o640)
