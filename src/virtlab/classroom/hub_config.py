"""JupyterHub's configuration, made from a class's data: `VIRTLAB_CLASS=… jupyterhub -f …/hub_config.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from virtlab.classroom import class_data
from virtlab.classroom.class_data import ClassData
from virtlab.classroom.words import both, told

OWN_AUTHENTICATOR = "virtlab.classroom.login.RosterAuthenticator"
BOARD = "/services/board"


def configure(c: Any, data: ClassData) -> None:
    hub = c.JupyterHub
    hub.bind_url = f"{'https' if data.certificate else 'http'}://{data.address}:{data.port}/"
    hub.public_url = f"{data.url}/"
    hub.hub_bind_url = hub.hub_connect_url = data.hub_url
    hub.db_url = f"sqlite:///{data.folder}/jupyterhub.sqlite"
    hub.cookie_secret_file = f"{data.folder}/secrets/cookie"

    # Seats and proxy outlive the hub: it may be stopped, killed and started in the middle of a class.
    hub.cleanup_servers = hub.cleanup_proxy = False
    hub.proxy_class = "virtlab.hub.proxy.SilentProxy"  # what passes through is not what somebody does
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{data.proxy_port}"
    c.ConfigurableHTTPProxy.auth_token = data.secret("proxy")
    hub.last_activity_interval = 15  # seconds until a new proxy knows the seats again

    hub.spawner_class = data.spawner_class
    c.Spawner.default_url = "/lab"
    c.Spawner.environment = {
        "VIRTLAB_BOARD": f"{data.board_url}{BOARD}",
        "JUPYTERHUB_ACTIVITY_INTERVAL": "60",
        "VIRTLAB_LEARNER": lambda spawner: spawner.user.name,  # whose values a lab draws
    } | data.config.get("Spawner", {}).get("environment", {})

    hub.authenticator_class = data.authenticator_class or OWN_AUTHENTICATOR
    if data.authenticator_class:  # it knows the passwords, the roster says who may come in
        c.Authenticator.allowed_users = {*data.names(), *data.instructors}
    else:
        c.RosterAuthenticator.folder = str(data.folder)
        c.Authenticator.refresh_pre_spawn = True
        c.Authenticator.auth_refresh_age = 60
        data.accounts.enrol([*data.names(), *data.instructors])

    _pages(hub, data)
    _rights(hub, data)
    for name, traits in data.config.items():
        own = {trait: value for trait, value in traits.items() if (name, trait) != ("Spawner", "environment")}
        c[name].update(own)


def _pages(hub: Any, data: ClassData) -> None:
    instructors = set(data.instructors)

    def arrival(handler: Any) -> str:
        user = handler.current_user
        is_instructor = user is not None and user.name in instructors
        return f"{BOARD}/" if is_instructor else f"{handler.hub.base_url}home"

    hub.default_url = arrival
    hub.template_paths = [str(Path(__file__).parent / "templates")]
    hub.template_vars = {
        "t": lambda _user: both,  # the hub calls what can be called, with the user
        "told": lambda _user: told,
        "languages": list(data.languages),
        "class_title": data.title,
        "own_accounts": not data.authenticator_class,
    }


def _rights(hub: Any, data: ClassData) -> None:
    """Each service may do what it is for. Students may do what the hub lets everybody do with their own."""
    hub.tornado_settings = {"oauth_no_confirm_list": Unasked({"service-board"})}
    hub.services = [
        {"name": "board", "url": data.board_url, "api_token": data.secret("board"), "oauth_no_confirm": True},
        *({"name": name, "api_token": data.secret(name)} for name in ("culler", "metrics", "lab")),
    ]
    board = "access:services!service=board"
    hub.load_roles = [
        {
            "name": "instructor",
            "scopes": ["admin-ui", "list:users", "read:users", "servers", "access:servers", board],
            "users": list(data.instructors),
        },
        {
            "name": "culler",
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
            "services": ["culler"],
        },
        {"name": "metrics", "scopes": ["read:metrics"], "services": ["metrics"]},
        {"name": "lab", "scopes": ["read:hub", "admin:users", "admin:servers", board], "services": ["lab"]},
    ]


class Unasked(set[str]):
    """Where nobody is asked first: at the board, and at the seats, which instructors open with one click.

    What a seat gets by it says who has come, and lets that visitor into that very seat.
    """

    def __contains__(self, client: object) -> bool:
        return super().__contains__(client) or str(client).startswith("jupyterhub-user-")


if "get_config" in globals():  # JupyterHub reads this file, and puts it there
    configure(globals()["get_config"](), class_data.read())
