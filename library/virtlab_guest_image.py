#!/usr/bin/python
"""The labs' guest disk: built when its recipe changed, put into the pool, described for the labs."""

from __future__ import annotations

import json
import os
import pwd
import struct
import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.virtlab_disk import last_words, stamp, start

DOCUMENTATION = r"""
module: virtlab_guest_image
short_description: Build the labs' guest disk and put it into the storage pool
description:
  - The build goes on when Ansible is killed; the next run waits for it or begins anew.
  - The disk in the pool is replaced in one step, and never while a guest's disk builds upon it.
options:
  state: {description: Whether it is there., type: str, choices: [present, absent], default: present}
  wait: {description: False starts the build and returns., type: bool, default: true}
  script: {description: Source of the program that builds the disk., type: str, required: true}
  suite: {description: Debian release., type: str, required: true}
  size_mb: {description: Size of the disk as the guest sees it., type: int, required: true}
  packages: {description: More packages., type: list, elements: str, default: []}
  edition: {description: Any other word makes the disk anew., type: str, default: ''}
  pool: {description: The storage pool., type: str, required: true}
  pool_path: {description: Its folder., type: path, required: true}
  volume: {description: The disk's name in the pool., type: str, required: true}
  cache: {description: Where what can be made again is kept., type: path, required: true}
  log: {description: Where the build writes., type: path, required: true}
  key: {description: The guests' SSH key., type: path, required: true}
  user: {description: Whom the key belongs to., type: str, required: true}
  report: {description: Where the outcome is written., type: path, required: true}
"""

EXAMPLES = r"""
- name: The guest disk
  virtlab_guest_image:
    script: "{{ lookup('file', 'build-guest-image') }}"
    suite: trixie
    size_mb: 3072
    pool: virtlab
    pool_path: /var/lib/virtlab/pool
    volume: virtlab-guest.qcow2
    cache: /var/cache/virtlab/guest
    log: /var/log/virtlab/vm_image.log
    key: /var/lib/virtlab/secrets/guest_ssh_key
    user: root
    report: /var/lib/virtlab/host.d/vm_image.json
"""

RETURN = r"""
building: {description: Whether the build still runs., type: bool, returned: always}
"""

LIMIT = 3600        # seconds


def backing_file(image: Path) -> str:
    """What a qcow2 file builds upon; empty: nothing, or not a qcow2."""
    with image.open("rb") as file:
        magic, _, offset, size = struct.unpack(">4sIQI", file.read(20).ljust(20, b"\0"))
        if magic != b"QFI\xfb" or not offset:
            return ""
        file.seek(offset)
        return file.read(size).decode(errors="replace")


class Image:
    def __init__(self, module: AnsibleModule) -> None:
        self.module, self.p = module, module.params
        p = self.p
        self.volume = Path(p["pool_path"]) / p["volume"]
        self.built = Path(p["cache"]) / p["volume"]
        self.report, self.key = Path(p["report"]), Path(p["key"])
        self.command = ["--suite", p["suite"], "--size-mb", str(p["size_mb"]),
                        *(word for name in p["packages"] for word in ("--package", name))]
        self.recipe = stamp(p["script"], self.command, p["edition"])

    def is_there(self) -> bool:
        try:
            said = json.loads(self.report.read_text())
        except (OSError, ValueError):
            return False
        public = "ssh_public_key"       # of the key, not of the disk
        return (self.volume.exists() and said.get("recipe") == self.recipe
                and {**said, public: ""} == {**self.facts(), public: ""})

    def is_described(self) -> bool:
        return bool(json.loads(self.report.read_text()) == self.facts())

    def facts(self) -> dict[str, Any]:
        p, now = self.p, self.volume.stat()
        public = self.key.with_suffix(".pub").read_text().strip() if self.key.exists() else ""
        return {
            "volume": p["volume"], "path": str(self.volume), "pool": p["pool"], "format": "qcow2",
            "capacity_mb": p["size_mb"], "bytes": now.st_size, "modified": int(now.st_mtime),
            "recipe": self.recipe, "suite": p["suite"], "user": "lab",
            "ssh_key": str(self.key), "ssh_public_key": public,
            # In a guest's XML: <sysinfo type='smbios'><oemStrings><entry>…
            "name_entry": "io.systemd.credential:system.hostname={name}",
            "key_entry": "io.systemd.credential:ssh.authorized_keys.lab={public_key}",
        }

    def make_key(self) -> bool:
        account = pwd.getpwnam(self.p["user"])
        public = self.key.with_suffix(".pub")
        if self.key.exists() and public.exists():
            return False
        if not self.module.check_mode:
            self.key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in (self.key, public):
                path.unlink(missing_ok=True)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "virtlab", "-f", self.key],
                           check=True, capture_output=True, stdin=subprocess.DEVNULL)
            for path in (self.key.parent, self.key, public):
                os.chown(path, account.pw_uid, account.pw_gid)
        return True

    def used_by(self) -> list[str]:
        pool = Path(self.p["pool_path"])
        return sorted(disk.name for disk in pool.iterdir()
                      if disk.is_file() and Path(backing_file(disk)).name == self.volume.name)

    def build(self) -> subprocess.Popen[bytes]:
        cache = Path(self.p["cache"])
        arguments = ["--output", self.built, "--recipe", self.recipe, "--cache", cache, *self.command]
        return start({"build-guest-image": self.p["script"]}, arguments, cache, Path(self.p["log"]))

    def describe(self) -> None:
        self.report.parent.mkdir(parents=True, exist_ok=True)
        text = self.report.with_suffix(".new")
        text.write_text(json.dumps(self.facts(), indent=1) + "\n")
        text.chmod(0o644)
        text.replace(self.report)

    def install(self) -> None:
        new = self.volume.with_suffix(".new")
        subprocess.run(["cp", "--reflink=auto", self.built, new], check=True, capture_output=True)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.chmod(0o644)
        new.replace(self.volume)
        subprocess.run(["virsh", "-q", "-c", "qemu:///system", "pool-refresh", self.p["pool"]],
                       check=True, capture_output=True, timeout=60)
        self.describe()

    def present(self) -> dict[str, Any]:
        changed = self.make_key()
        if self.is_there():
            if not (known := self.is_described()) and not self.module.check_mode:
                self.describe()         # a new key, as in a copy of a sealed machine
            return {"changed": changed or not known, "building": False}
        if self.module.check_mode:
            return {"changed": True, "building": False}
        if self.volume.exists() and (users := self.used_by()):
            self.module.warn(f"There is a newer recipe for {self.volume}, but {', '.join(users)} builds upon "
                             "it; it stays as it is. Finish the labs that use it and run this again.")
            return {"changed": changed, "building": False}
        process = self.build()
        if not self.p["wait"]:
            return {"changed": True, "building": True}
        if process.wait(LIMIT):
            self.module.fail_json(msg=f"The guest disk could not be built. {last_words(Path(self.p['log']))}")
        self.install()
        return {"changed": True, "building": False}

    def absent(self) -> dict[str, Any]:
        users = self.used_by() if self.volume.exists() else []
        if users:
            self.module.fail_json(
                msg=f"{self.volume} cannot be removed: {', '.join(users)} builds upon it. Finish the labs "
                    "that use it (`lab status` lists them) and run this again.")
        all_of_it = (self.volume, self.report, self.key, self.key.with_suffix(".pub"))
        there = [path for path in all_of_it if path.exists()]
        if not self.module.check_mode:
            for path in there:
                path.unlink()
        return {"changed": bool(there), "building": False}


def main() -> None:
    text, path = {"type": "str", "required": True}, {"type": "path", "required": True}
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["present", "absent"], "default": "present"},
            "wait": {"type": "bool", "default": True},
            "script": text, "suite": text, "size_mb": {"type": "int", "required": True},
            "packages": {"type": "list", "elements": "str", "default": []},
            "edition": {"type": "str", "default": ""},
            "pool": text, "pool_path": path, "volume": text, "cache": path, "log": path,
            "key": {"type": "path", "required": True, "no_log": False},
            "user": text, "report": path,
        },
        supports_check_mode=True,
    )
    image = Image(module)
    try:
        result = image.present() if module.params["state"] == "present" else image.absent()
    except subprocess.CalledProcessError as error:
        module.fail_json(msg=f"`{' '.join(map(str, error.cmd))}` failed: {error.stderr.decode().strip()}")
    except subprocess.TimeoutExpired as late:
        module.fail_json(msg=f"`{' '.join(map(str, late.args[0]))}` did not end within {late.timeout:.0f} "
                             f"seconds. Look into {module.params['log']}, then run this again.")
    except OSError as error:
        module.fail_json(msg=f"{error.filename or 'The guest disk'}: {error.strerror}.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
