#!/usr/bin/python
"""What a registry needs on its machine: a CA, a certificate, a password, a name, and the engine's trust."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import secrets
import shutil
import socket
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.virtlab_certs import certificates
from ansible.module_utils.virtlab_engine import EngineError, ask

DOCUMENTATION = r"""
module: virtlab_registry
short_description: Certificates, password, host name and trust of the lab's registry
description:
  - Repairs only what is missing, wrong or about to expire; answers with a fingerprint of what is served.
  - With C(open) it is for a second door to the same registry, through which others read; this machine needs
    neither name nor trust for that one.
options:
  endpoint: {description: The registry's host name and port., type: str, required: true}
  address: {description: The address it is published on; empty for docker0's., type: str, default: ""}
  container: {description: The container that may have the port., type: str, required: true}
  user: {description: The registry's only user., type: str, default: learner}
  owner: {description: Whose the password file and the learner's folder are., type: str, required: true}
  learner: {description: The learner's own registry; the owner gets its folder., type: str, default: ""}
  state_dir: {description: The kit's state., type: path, default: /var/lib/virtlab}
  certs_dir: {description: Where the engine looks for CAs., type: path, default: /etc/docker/certs.d}
  hosts: {description: The hosts file., type: path, default: /etc/hosts}
  secret: {description: The password's name., type: str, default: registry_password}
  settings: {description: How the container shall be made; part of the fingerprint., type: dict, default: {}}
  days: {description: How long a certificate is valid., type: int, default: 800}
  open: {description: For the door through which others only read., type: bool, default: false}
  state: {description: Make it or remove it., type: str, choices: [present, absent], default: present}
"""

EXAMPLES = r"""
- name: Prepare the registry
  virtlab_registry: {endpoint: "registry.lab.test:5000", container: lab-registry, owner: ada}
"""

RETURN = r"""
address: {description: The address to publish on., type: str, returned: present}
runs: {description: Whether the container runs just so., type: bool, returned: present}
fingerprint: {description: Changes when the container has to be made anew., type: str, returned: present}
paths: {description: What changed or would change., type: list, elements: str, returned: always}
"""


class Registry:
    def __init__(self, module: AnsibleModule) -> None:
        p = module.params
        self.p, self.check = p, module.check_mode
        self.host, _, self.port = p["endpoint"].rpartition(":")
        state = Path(p["state_dir"])
        self.private = state / "registry"  # root's alone: the CA's key
        self.served = self.private / ("open" if p["open"] else "served")  # what the container sees
        self.ca = state / "ca.crt"
        self.password_file = state / "secrets" / p["secret"]
        self.inner = state / "host.d" / "registry.json"
        self.host_d = state / "host.d" / "open_registry.json" if p["open"] else self.inner
        self.trust = Path(p["certs_dir"]) / p["endpoint"]
        self.learner = Path(p["certs_dir"]) / p["learner"] if p["learner"] else None
        self.account = pwd.getpwnam(p["owner"])
        self.changes: list[str] = []

    def put(self, path: Path, data: bytes, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> None:
        """The file with this content and owner, replaced in one step; nothing happens if it is so already."""
        if path.is_file():
            seen = path.stat()
            if path.read_bytes() == data and (seen.st_mode & 0o777, seen.st_uid) == (mode, owner[0]):
                return
        self.changes.append(str(path))
        if self.check:
            return
        part = path.with_name(f".{path.name}.part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(data)
        os.chown(part, *owner)
        part.chmod(mode)
        part.replace(path)

    def folder(self, path: Path, mode: int, owner: tuple[int, int] = (0, 0)) -> None:
        if path.is_dir():
            seen = path.stat()
            if (seen.st_mode & 0o777, seen.st_uid) == (mode, owner[0]):
                return
        self.changes.append(str(path))
        if not self.check:
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
            os.chown(path, *owner)
            path.chmod(mode)

    def password(self) -> str:
        there = self.password_file.read_text().strip() if self.password_file.is_file() else ""
        password = there or secrets.token_urlsafe(18)
        self.put(self.password_file, password.encode(), 0o600, (self.account.pw_uid, self.account.pw_gid))
        return password

    def htpasswd(self, password: str) -> None:
        import bcrypt

        path = self.served / "htpasswd"
        user, _, known = path.read_text().strip().partition(":") if path.is_file() else ("", "", "")
        if user != self.p["user"] or not bcrypt.checkpw(password.encode(), known.encode()):
            # The password is random, so a cheap hash is as safe, and every request pays for it.
            known = bcrypt.hashpw(password.encode(), bcrypt.gensalt(5)).decode()
        self.put(path, f"{self.p['user']}:{known}\n".encode(), 0o600)

    def hosts(self, address: str | None) -> None:
        """One line with a mark of ours; in a container the file is a mount: written, never replaced."""
        path = Path(self.p["hosts"])
        mark = f"# virtlab: {self.host}"
        before = path.read_text()
        lines = [line for line in before.splitlines() if not line.endswith(mark)]
        if address:
            lines.append(f"{address}\t{self.host}\t{mark}")
        after = "\n".join(lines) + "\n"
        if after != before:
            self.changes.append(str(path))
            if not self.check:
                path.write_text(after)

    def present(self, address: str) -> str:
        mine = (self.account.pw_uid, self.account.pw_gid)
        self.folder(self.private, 0o700)
        self.folder(self.served, 0o700)
        self.folder(self.password_file.parent, 0o700, mine)
        self.folder(self.host_d.parent, 0o755)
        self.htpasswd(self.password())
        made = certificates(self.private, self.ca, self.host, address, self.p["days"], served=self.served)
        for path, (data, mode) in made.items():
            self.put(path, data, mode)
        if not self.p["open"]:
            self.folder(self.trust, 0o755)
            if self.learner:
                self.folder(self.learner, 0o755, mine)
            self.put(self.trust / "ca.crt", made[self.ca][0])
            self.hosts(address)
        self.put(self.host_d, (json.dumps(self.record(address), indent=2) + "\n").encode())
        served = [p.read_bytes() for p in sorted(self.served.glob("*"))] if self.served.is_dir() else []
        settings = json.dumps([self.p["settings"], address], sort_keys=True)
        return hashlib.sha256(b"".join([settings.encode(), *served])).hexdigest()[:16]

    def record(self, address: str) -> dict[str, str | int]:
        """For everybody to read. Of the open door as virtlab.hub.plan.Registry has it."""
        about = {"address": address, "port": int(self.port), "user": self.p["user"], "ca": str(self.ca)}
        if self.p["open"]:
            return {"name": self.host, **about, "password": str(self.password_file)}
        return {"name": self.p["endpoint"], **about}

    def runs(self, fingerprint: str) -> bool:
        """Whether the container runs as it should, from the image that has that name now."""
        there = ask(f"/containers/{self.p['container']}/json")
        image = ask(f"/images/{self.p['settings'].get('image', '')}/json")
        return bool(
            there
            and there["State"]["Running"]
            and there["Config"]["Labels"].get("virtlab.fingerprint") == fingerprint
            and there["Image"] == (image or {}).get("Id")
        )

    def absent(self) -> None:
        if self.p["open"]:
            self.remove(self.served, self.password_file, self.host_d)
            return
        self.hosts(None)
        self.remove(self.private, self.trust, self.learner, self.ca, self.password_file, self.host_d)
        if not self.check and self.trust.parent.is_dir():
            with suppress(OSError):  # somebody else's registry is trusted there
                self.trust.parent.rmdir()

    def remove(self, *found: Path | None) -> None:
        for path in found:
            if path and path.exists():
                self.changes.append(str(path))
                if not self.check:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def taken_by(self, address: str) -> str:
        """Who has the port, if it is not our own container."""
        there = ask(f"/containers/{self.p['container']}/json")
        if there and there["State"]["Running"]:
            return ""
        try:
            socket.create_connection((address, int(self.port)), timeout=2).close()
        except OSError:
            return ""
        who = subprocess.run(
            ["ss", "-Hltnp", f"sport = :{self.port}"], capture_output=True, text=True, check=False
        )
        return who.stdout.strip().partition("users:")[2] or "another program"


def docker0() -> str:
    """The host's address on Docker's default bridge. Docker 20.10 does not always tell; the kernel does."""
    name = (ask("/networks/bridge") or {}).get("Options", {}).get("com.docker.network.bridge.name", "docker0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            found = fcntl.ioctl(s, 0x8915, struct.pack("256s", name[:15].encode()))  # SIOCGIFADDR
        except OSError:
            return ""
    return socket.inet_ntoa(found[20:24])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "endpoint": {"type": "str", "required": True},
            "address": {"type": "str", "default": ""},
            "container": {"type": "str", "required": True},
            "user": {"type": "str", "default": "learner"},
            "owner": {"type": "str", "required": True},
            "learner": {"type": "str", "default": ""},
            "state_dir": {"type": "path", "default": "/var/lib/virtlab"},
            "certs_dir": {"type": "path", "default": "/etc/docker/certs.d"},
            "hosts": {"type": "path", "default": "/etc/hosts"},
            "secret": {"type": "str", "default": "registry_password", "no_log": False},
            "settings": {"type": "dict", "default": {}, "no_log": False},
            "days": {"type": "int", "default": 800},
            "open": {"type": "bool", "default": False},
            "state": {"choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    try:
        registry = Registry(module)
    except KeyError:
        module.fail_json(msg=f"This machine has no user '{module.params['owner']}'. Set virtlab_user.")
    if module.params["state"] == "absent":
        registry.absent()
        module.exit_json(changed=bool(registry.changes), paths=registry.changes)
    if module.params["open"] and not module.params["address"]:
        module.fail_json(msg="Where do others reach the registry? Set registry_open_address.")
    if module.params["open"] and not registry.inner.exists() and not module.check_mode:
        module.fail_json(
            msg="There is no registry on this machine that others could read from. "
            "`lab up --only registry` makes one."
        )
    try:
        address = module.params["address"] or docker0()
        owner = registry.taken_by(address) if address else ""
    except EngineError as error:
        if not module.check_mode:
            module.fail_json(msg=str(error))
        address, owner = (
            "172.17.0.1",
            "",
        )  # before the first converge: where Docker puts it unless told otherwise
    if not address:
        module.fail_json(
            msg="Docker's default bridge has no address on this machine, so the registry has no place that "
            "containers and the host both reach. Name one: `lab up --set registry_address=ADDRESS`."
        )
    if owner:
        endpoint = "registry_open_endpoint" if module.params["open"] else "virtlab_registry"
        module.fail_json(
            msg=f"Port {registry.port} on {address} is taken by {owner}. Stop that, or move the registry: "
            f"`lab up --set {endpoint}={registry.host}:5050`."
        )
    fingerprint = registry.present(address)
    try:
        runs = registry.runs(fingerprint)
    except EngineError:
        runs = False
    module.exit_json(
        changed=bool(registry.changes or (module.check_mode and not runs)),
        paths=registry.changes,
        address=address,
        fingerprint=fingerprint,
        runs=runs,
    )


if __name__ == "__main__":
    main()
