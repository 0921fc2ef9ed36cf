#!/usr/bin/python
"""The engine's daemon.json and its group: merged with what is there, validated, applied gently."""

from __future__ import annotations

import grp
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils import virtlab_engine as engine
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.virtlab_options import RELOADED, Trouble, merged, read, validate, write

DOCUMENTATION = r"""
module: virtlab_dockerd
short_description: Options of an existing or new Docker Engine, and who may use it
description:
  - Merges options into C(daemon.json) and notes what was there, which C(state=absent) puts back.
  - Reloads what the engine can reload. Otherwise says C(restart) and makes the engine keep its containers
    meanwhile (C(live-restore)). Called again after the restart it takes that back; Swarm does not go with it.
options:
  options: {description: What daemon.json shall say., type: dict, default: {}}
  users: {description: Who may use the engine., type: list, elements: str, default: []}
  config: {description: The configuration., type: path, default: /etc/docker/daemon.json}
  socket: {description: Where the engine answers., type: path, default: /var/run/docker.sock}
  pidfile: {description: The engine's own pid file., type: path, default: /var/run/docker.pid}
  record: {description: Where it is kept what was there before., type: path, required: true}
  state:
    description: C(rescued) puts the last working configuration back, after a restart that failed.
    type: str
    choices: [present, rescued, absent]
    default: present
"""

EXAMPLES = r"""
- name: Use the mirror next door
  virtlab_dockerd:
    options: {max-concurrent-downloads: 2}
    record: /var/lib/virtlab/docker_engine.json
"""

RETURN = r"""
answers: {description: Whether the engine runs., type: bool, returned: always}
restart: {description: Whether it has to be restarted for its options., type: bool, returned: always}
changes: {description: What changed or would change., type: list, elements: str, returned: always}
"""

EMPTY: dict[str, Any] = {"ours": {}, "before": {}, "users": [], "no_file": False, "carried": None}


def ping() -> Any:
    try:
        return engine.ask("/_ping", timeout=10)
    except engine.EngineError:
        return None


def info() -> dict[str, Any] | None:
    try:
        return engine.ask("/info", timeout=10) or None
    except engine.EngineError:
        return None


def gpasswd(verb: str, user: str) -> subprocess.CompletedProcess[str]:
    """Change the group docker; somebody else (an installation, say) may hold its lock for a moment."""
    for _ in range(40):
        result = subprocess.run(
            ["gpasswd", verb, user, "docker"], capture_output=True, text=True, check=False
        )
        if "cannot lock" not in result.stderr:
            break
        time.sleep(0.25)
    return result


def original(known: dict[str, Any], there: dict[str, Any]) -> dict[str, Any]:
    """The configuration without us: each option of ours as it was before, unless changed by hand since."""
    out = {key: value for key, value in there.items() if known["ours"].get(key) != value}
    for key, mine in known["ours"].items():
        if there.get(key) == mine and key in known["before"]:
            out[key] = known["before"][key]
    return out


class Options:
    def __init__(self, module: AnsibleModule) -> None:
        p = module.params
        self.p, self.check = p, module.check_mode
        self.config, self.record, self.pidfile = Path(p["config"]), Path(p["record"]), Path(p["pidfile"])
        self.known = {**EMPTY, **read(self.record)}
        self.there = read(self.config)
        # What only carried the containers over a restart is nobody's wish.
        self.clean = {
            k: v for k, v in self.there.items() if not (k == "live-restore" and self.known["carried"])
        }
        self.answers = bool(ping())
        self.changes: list[str] = []

    def remember(self, **news: Any) -> None:
        fresh = {**self.known, **news}
        if fresh != self.known:
            self.known = fresh
            write(self.record, fresh)

    def reload(self, options: dict[str, Any]) -> None:
        """Have the engine read its options again. It ignores what is missing, so "no" has to be said."""
        pid = int(self.pidfile.read_text())
        if "dockerd" not in Path(f"/proc/{pid}/comm").read_text():
            raise Trouble(
                f"{self.pidfile} does not name the running engine. Restart it yourself to apply its options."
            )
        live = bool(options.get("live-restore", False))
        write(self.config, {**options, "live-restore": live})
        os.kill(pid, signal.SIGHUP)
        until = time.monotonic() + 10
        while (info() or {}).get("LiveRestoreEnabled") != live:
            if time.monotonic() > until:
                raise Trouble("The engine did not take its options over within 10 s. Its log says why.")
            time.sleep(0.05)

    def apply(self, after: dict[str, Any]) -> bool:
        """Write the options and bring them to a running engine; True when it has to be restarted for them."""
        there = self.there
        if after == there:
            return False
        changed = {key for key in there.keys() | after.keys() if there.get(key) != after.get(key)}
        gone = there.keys() - after.keys() - {"live-restore"}
        if self.answers and changed <= RELOADED and not gone:
            self.reload(after)
        elif self.answers:
            swarm = (info() or {}).get("Swarm", {}).get("LocalNodeState", "inactive") != "inactive"
            carry = not swarm and not after.get("live-restore")
            self.remember(carried=there if carry else None)
            if carry:
                self.reload(there | {"live-restore": True})
            write(self.config, after | {"live-restore": True} if carry else after)
            return True
        if after or self.config.is_file():
            write(self.config, after)
        return False

    def add_users(self) -> None:
        try:
            members = grp.getgrnam("docker").gr_mem
        except KeyError:
            members = []  # before the first converge
        for user in (u for u in self.p["users"] if u != "root" and u not in members):
            self.changes.append(f"{user} in group docker")
            if self.check:
                continue
            result = gpasswd("--add", user)
            if result.returncode:
                raise Trouble(f"{user} could not be put into the group docker: {result.stderr.strip()}")
            self.remember(users=sorted({*self.known["users"], user}))

    def present(self) -> bool:
        options = self.p["options"]
        base = original(self.known, self.clean)
        after = merged(base, options)
        if after != self.there:
            validate(options, after, self.config)
            self.changes.append(str(self.config))
        self.add_users()
        if self.check:
            return False
        if options or self.record.is_file():  # before the change, so that a killed run can still be undone
            self.remember(
                ours={key: after[key] for key in options},
                no_file=self.known["no_file"] or not self.config.is_file(),
                before={key: base[key] for key in options if key in base},
            )
        restart = self.apply(after)
        if not restart and self.known["carried"]:
            self.remember(carried=None)
        return restart

    def absent(self) -> bool:
        after = original(self.known, self.clean)
        self.changes += [f"{user} out of group docker" for user in self.known["users"]]
        if after != self.there:
            self.changes.append(str(self.config))
        if self.check:
            return False
        for user in self.known["users"]:
            gpasswd("--delete", user)
        restart = self.apply(after)
        if restart:
            self.remember(users=[])
        else:
            if not after and self.known["no_file"]:
                self.config.unlink(missing_ok=True)
            self.record.unlink(missing_ok=True)
        return restart

    def rescue(self) -> None:
        if self.known["carried"] is not None:
            write(self.config, self.known["carried"])
            self.remember(carried=None, ours={}, before={})


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "options": {"type": "dict", "default": {}},
            "users": {"type": "list", "elements": "str", "default": []},
            "config": {"type": "path", "default": "/etc/docker/daemon.json"},
            "socket": {"type": "path", "default": "/var/run/docker.sock"},
            "pidfile": {"type": "path", "default": "/var/run/docker.pid"},
            "record": {"type": "path", "required": True},
            "state": {"choices": ["present", "rescued", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    engine.SOCKET = module.params["socket"]
    restart = False
    try:
        options = Options(module)
        if module.params["state"] == "rescued":
            options.rescue()
        else:
            restart = options.present() if module.params["state"] == "present" else options.absent()
    except Trouble as trouble:
        module.fail_json(msg=str(trouble))
    module.exit_json(
        changed=bool(options.changes),
        changes=options.changes,
        restart=restart,
        answers=options.answers,
    )


if __name__ == "__main__":
    main()
