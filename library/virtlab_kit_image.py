#!/usr/bin/python
"""A lab host as one disk: built when the kit or its recipe changed, described beside itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
import time
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.virtlab_disk import is_under_way, last_words, stamp, start

DOCUMENTATION = r"""
module: virtlab_kit_image
short_description: Build a disk that boots as a working lab host
description:
  - C(state=started) starts the build if the disk is not there. C(state=waited) returns when it is past
    C(step); past the last one the disk is described. The build goes on when Ansible is killed; the next run
    waits or begins anew.
options:
  state: {description: See above., type: str, choices: [started, waited, absent], default: started}
  step: {description: The step to wait for., type: str, default: done}
  scripts: {description: The programs that build it; the first is started., type: dict, required: true}
  kit: {description: The project's folder., type: path, required: true}
  suite: {description: Debian release., type: str, required: true}
  size_mb: {description: Size of the disk as its machine sees it., type: int, required: true}
  user: {description: The learner's name in it., type: str, required: true}
  packages: {description: Debian packages in it., type: list, elements: str, default: []}
  edition: {description: Any other word makes the disk anew., type: str, default: ''}
  guest: {description: The labs' guest disk as C(vm_image) has built it., type: path, required: true}
  images: {description: What C(base_images) has written down., type: path, required: true}
  cache: {description: Where it is built and kept., type: path, required: true}
  volume: {description: The disk's name., type: str, required: true}
  log: {description: Where the build writes., type: path, required: true}
"""

EXAMPLES = r"""
- name: Begin to build the disk
  virtlab_kit_image:
    state: started
    scripts: {build-guest-image: "…", kit-tree: "…"}
    kit: /opt/virtlab
    suite: trixie
    size_mb: 20480
    user: learner
    guest: /var/cache/virtlab/guest/virtlab-guest.qcow2
    images: /var/lib/virtlab/host.d/base_images.json
    cache: /var/cache/virtlab/kit-image
    volume: virtlab-kit.qcow2
    log: /var/log/virtlab/kit_image.log
"""

RETURN = r"""
building: {description: Whether the build still runs., type: bool, returned: always}
facts: {description: What is written beside the disk., type: dict, returned: when it is there}
"""

STEPS = ("collecting packages", "making the kit's .venv", "running lab up in it",
         "writing the disk", "compressing", "done")     # as they begin in the log
ROOM = 9 * 1000**3          # bytes: the tree, the disk, the packed disk, and what is downloaded
LEFT_OUT = re.compile(r"(^|/)(\.venv|\.git|build|__pycache__|[^/]*\.egg-info|\.[^/]*_cache|\.ansible)(/|$)")


def files_of(kit: Path) -> list[Path]:
    """What git knows; without git all that is not made on this machine."""
    said = subprocess.run(["git", "-C", kit, "-c", f"safe.directory={kit}", "ls-files", "-z"],
                          capture_output=True, text=True, check=False)
    names = said.stdout.split("\0") if said.returncode == 0 else []
    if not names:
        names = [str(path.relative_to(kit)) for path in kit.rglob("*")]
    paths = (kit / name for name in names if name and not LEFT_OUT.search(name))
    return sorted(path for path in paths if path.is_file() or path.is_symlink())


class KitImage:
    def __init__(self, module: AnsibleModule) -> None:
        p = module.params
        self.module, self.p = module, p
        self.cache, self.log, self.kit = Path(p["cache"]), Path(p["log"]), Path(p["kit"])
        self.disk = self.cache / p["volume"]
        self.stamp = self.disk.with_name(f"{self.disk.name}.recipe")
        self.about = self.disk.with_suffix(".json")
        self.archive, self.step = self.cache / "kit.tar", self.cache / "step"
        self.begun = self.cache / "begun"
        self.files = files_of(self.kit)
        seen = sha256()
        for path in self.files:
            text = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
            name = path.relative_to(self.kit)
            seen.update(f"{name} {path.lstat().st_mode & 0o111} {len(text)}\n".encode() + text)
        self.command = ["--suite", p["suite"], "--size-mb", str(p["size_mb"]), "--user", p["user"],
                        *(word for name in p["packages"] for word in ("--package", name))]
        self.recipe = stamp(p["scripts"], self.command, p["edition"], seen.hexdigest())

    def is_there(self) -> bool:
        return self.disk.exists() and self.stamp.exists() and self.stamp.read_text().strip() == self.recipe

    def pack(self) -> None:
        new = self.archive.with_suffix(".new")
        with tarfile.open(new, "w") as tar:
            for path in self.files:
                tar.add(path, arcname=str(path.relative_to(self.kit)), filter=_of_root)
        new.replace(self.archive)

    def start(self) -> None:
        p = self.p
        guest, images = Path(p["guest"]), Path(p["images"])
        if not guest.exists() or not images.exists():
            self.module.fail_json(
                msg=f"{guest if images.exists() else images} is missing: the disk is made of what this "
                    "machine has as a lab host. Run `./lab up`, then this again.")
        self.cache.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.cache).free
        if free < ROOM and not is_under_way(self.cache):
            self.module.fail_json(
                msg=f"{self.cache} has {free / 1e9:.1f} GB free; the disk takes {ROOM / 1e9:.0f} GB while it "
                    "is made, and 1 GB after. Make room there, or name another folder: "
                    "-e kit_image_cache=FOLDER.")
        self.pack()
        names = [f"{name}:latest" for name in json.loads(images.read_text())["images"].values()]
        self.begun.write_text(json.dumps({"at": int(time.time()), "recipe": self.recipe}))
        process = start(
            p["scripts"],
            ["--output", self.disk, "--recipe", self.recipe, "--cache", self.cache, *self.command,
             "--also", self.cache / "kit-tree"],
            self.cache, self.log,
            {"KIT_ARCHIVE": self.archive, "KIT_USER": p["user"], "KIT_IMAGES": " ".join(names),
             "KIT_GUEST": guest, "KIT_CACHE": self.cache})
        while process.poll() is None and not is_under_way(self.cache):
            time.sleep(0.05)

    def wait(self, step: str) -> None:
        """Until that step is over. The last one is over when the disk is there."""
        while not self.is_there():
            # Asked in this order: a build that ends in between leaves the disk, or has failed.
            under_way = is_under_way(self.cache)
            now = self.step.read_text().strip() if self.step.exists() else ""
            if step != "done" and now.startswith(STEPS[STEPS.index(step) + 1 :]):
                return
            if not under_way and not self.is_there():
                self.module.fail_json(
                    msg=f"The disk could not be built; it came as far as '{now}'. {last_words(self.log, 20)}")
            time.sleep(0.5)

    def facts(self) -> dict[str, Any]:
        info = json.loads(subprocess.run(["qemu-img", "info", "--output=json", self.disk],
                                         check=True, capture_output=True).stdout)
        with self.disk.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        line = self.disk.with_name(f"{self.disk.name}.cmdline")
        took = self.disk.stat().st_mtime - json.loads(self.begun.read_text())["at"]
        found = re.search(r'^version = "(.+)"', (self.kit / "pyproject.toml").read_text(), re.M)
        return {
            "path": str(self.disk), "format": "qcow2", "recipe": self.recipe,
            "version": found[1] if found else "", "suite": self.p["suite"], "edition": self.p["edition"],
            "sha256": digest, "size": self.disk.stat().st_size, "virtual_size": info["virtual-size"],
            "kernel_command_line": line.read_text().strip(),
            "user": self.p["user"], "users": [self.p["user"]], "kit": "/opt/virtlab",
            "seconds": int(took),
            "name_entry": "io.systemd.credential:system.hostname={name}",
            "key_entry": f"io.systemd.credential:ssh.authorized_keys.{self.p['user']}={{public_key}}",
            "wait_entry": "io.systemd.credential:virtlab.wait=yes",
        }

    def is_described(self) -> bool:
        try:
            said = json.loads(self.about.read_text())
        except (OSError, ValueError):
            return False
        return bool(said["recipe"] == self.recipe and said["size"] == self.disk.stat().st_size)

    def started(self) -> dict[str, Any]:
        if self.is_there() and self.is_described():
            return {"changed": False, "building": False, "facts": json.loads(self.about.read_text())}
        if not self.module.check_mode and not self.is_there():
            self.start()
        return {"changed": True, "building": not self.module.check_mode}

    def waited(self) -> dict[str, Any]:
        self.recipe = json.loads(self.begun.read_text())["recipe"]      # the kit may have changed meanwhile
        self.wait(self.p["step"])
        if self.p["step"] != "done":
            return {"changed": False, "building": not self.is_there()}
        facts = self.facts()
        new = self.about.with_suffix(".new")
        new.write_text(json.dumps(facts, indent=1) + "\n")
        new.replace(self.about)
        return {"changed": True, "building": False, "facts": facts}

    def absent(self) -> dict[str, Any]:
        if is_under_way(self.cache):
            self.module.fail_json(msg=f"The disk is being built (see {self.log}). Wait until that is "
                                      "done, then run this again.")
        there = self.cache.exists()
        if there and not self.module.check_mode:
            subprocess.run(["rm", "-rf", "--one-file-system", self.cache], check=True, capture_output=True)
        return {"changed": there, "building": False}


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry


def main() -> None:
    text, path, number = ({"type": kind, "required": True} for kind in ("str", "path", "int"))
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["started", "waited", "absent"], "default": "started"},
            "step": {"choices": list(STEPS), "default": "done"},
            "scripts": {"type": "dict", "required": True},
            "kit": path, "suite": text, "size_mb": number, "user": text,
            "packages": {"type": "list", "elements": "str", "default": []},
            "edition": {"type": "str", "default": ""},
            "guest": path, "images": path,
            "cache": path, "volume": text, "log": path,
        },
        supports_check_mode=True,
    )
    try:
        image = KitImage(module)
        verbs = {"started": image.started, "waited": image.waited, "absent": image.absent}
        result = verbs[module.params["state"]]()
    except subprocess.CalledProcessError as error:
        module.fail_json(msg=f"`{' '.join(map(str, error.cmd))}` failed: {error.stderr.decode().strip()}")
    except OSError as error:
        module.fail_json(msg=f"{error.filename or 'The disk'}: {error.strerror}.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
