#!/usr/bin/python
"""A server's certificate from the lab's CA, which is made if it is not there."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.virtlab_certs import certificates

DOCUMENTATION = r"""
module: virtlab_certificate
short_description: A certificate from the lab's own CA
description:
  - Makes what is missing, wrong or about to expire, and leaves the rest as it is.
options:
  host: {description: The name it is for., type: str, required: true}
  address: {description: The address it is for., type: str, required: true}
  folder: {description: "Where C(server.crt) and C(server.key) go.", type: path, required: true}
  owner: {description: Whose they are., type: str, required: true}
  state_dir: {description: The kit's state., type: path, default: /var/lib/virtlab}
  days: {description: How long it is valid., type: int, default: 800}
"""

EXAMPLES = r"""
- name: Make the hub's certificate
  virtlab_certificate:
    host: class.example.org
    address: 192.0.2.10
    folder: /var/lib/virtlab/hub/tls
    owner: ada
"""

RETURN = r"""
paths: {description: What was written or would be., type: list, elements: str, returned: always}
"""


def differs(path: Path, data: bytes, mode: int, owner: int) -> bool:
    try:
        seen = path.stat()
        return (seen.st_mode & 0o777, seen.st_uid) != (mode, owner) or path.read_bytes() != data
    except FileNotFoundError:
        return True


def put(path: Path, data: bytes, mode: int, owner: tuple[int, int]) -> None:
    """In one step, and never readable by more than its mode says."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(data)
    os.chown(part, *owner)
    part.chmod(mode)
    part.replace(path)


def main() -> None:
    required = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "host": required,
            "address": required,
            "folder": {"type": "path", "required": True},
            "owner": required,
            "state_dir": {"type": "path", "default": "/var/lib/virtlab"},
            "days": {"type": "int", "default": 800},
        },
        supports_check_mode=True,
    )
    p = module.params
    state, served = Path(p["state_dir"]), Path(p["folder"])
    try:
        account = pwd.getpwnam(p["owner"])
        own, ca = state / "registry", state / "ca.crt"
        made = certificates(own, ca, p["host"], p["address"], p["days"], served=served)
    except (KeyError, ValueError, OSError) as error:
        module.fail_json(msg=f"I cannot make a certificate for {p['host']} ({p['address']}): {error}")
    root, mine = (0, 0), (account.pw_uid, account.pw_gid)
    owners = {path: mine if path.parent == served else root for path in made}
    new = [path for path, (data, mode) in made.items() if differs(path, data, mode, owners[path][0])]
    if not module.check_mode:
        for folder, mode, owner in ((state / "registry", 0o700, root), (served, 0o700, mine)):
            if not folder.is_dir():
                folder.mkdir(mode=0o755, parents=True)
                folder.chmod(mode)
                os.chown(folder, *owner)
        for path in new:
            put(path, *made[path], owners[path])
    module.exit_json(changed=bool(new), paths=[str(path) for path in new])


if __name__ == "__main__":
    main()
