"""base_images: a second set under another name, and what the images can do."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from converge import Converged, converge

REGISTRY = "images-test.lab.test:5998"
CACHE = Path("/var/cache/virtlab")
PORT = 8987

pytestmark = pytest.mark.host


def run(folder: Path, *more: str, **changes: Any) -> Converged:
    return converge(
        "base_images",
        {
            "virtlab_state_dir": str(folder / "state"),
            "base_images_registry": REGISTRY,
            "base_images_list": ["debian", "busybox"],
            "base_images_cache_dir": str(folder / "cache"),
            **changes,
        },
        *more,
    )


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def folder(tmp_path: Path, client: docker.DockerClient) -> Iterator[Path]:
    yield tmp_path
    assert run(tmp_path, base_images_state="absent").ok
    assert not [t for i in client.images.list() for t in i.tags if t.startswith(REGISTRY)]


def ids(client: docker.DockerClient) -> dict[str, str]:
    return {tag: i.id for i in client.images.list() for tag in i.tags if tag.startswith(REGISTRY)}


def test_check_converge_again_rebuild_undo(folder: Path, client: docker.DockerClient) -> None:
    for tar in CACHE.glob("debian-*.tar"):  # half a minute saved; below it is made for real
        (folder / "cache").mkdir(exist_ok=True)
        shutil.copy(tar, folder / "cache")
    assert run(folder, "--check").changed == 1
    assert not ids(client)

    assert run(folder).changed == 1
    first = ids(client)
    assert len(first) == 2
    record = json.loads((folder / "state/host.d/base_images.json").read_text())
    assert record == {"images": {name: f"{REGISTRY}/{name}" for name in ("debian", "busybox")}}
    assert run(folder).changed == 0

    # another edition: everything anew, nothing of the old left
    assert run(folder, base_images_edition="test").changed == 1
    second = ids(client)
    assert not set(first.values()) & set(second.values())
    for image in first.values():
        with pytest.raises(docker.errors.ImageNotFound):
            client.images.get(image)
    assert len(list((folder / "cache").iterdir())) == 1
    assert run(folder, base_images_edition="test").changed == 0

    assert run(folder, base_images_edition="test", base_images_state="absent").changed == 1
    assert not ids(client)
    assert not (folder / "state/host.d/base_images.json").exists()
    assert run(folder, base_images_state="absent").changed == 0


def test_a_mirror_that_is_away_is_named_and_nothing_is_left(
    folder: Path, client: docker.DockerClient
) -> None:
    failed = run(folder, base_images_mirror="http://127.0.0.1:9/debian")
    assert not failed.ok
    assert "http://127.0.0.1:9/debian" in failed.output
    assert "base_images_mirror" in failed.output
    assert not ids(client)
    assert not list((folder / "cache").iterdir())
    assert not (folder / "state/host.d").exists()


def inside(container: Any, *command: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["docker", "exec", "-i", container.name, *command],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def images() -> dict[str, str]:
    images: dict[str, str] = json.loads(Path("/var/lib/virtlab/host.d/base_images.json").read_text())[
        "images"
    ]
    return images


def test_the_small_ones_do_what_they_are_for(client: docker.DockerClient, images: dict[str, str]) -> None:
    def said(image: str, *command: str, **more: Any) -> str:
        return client.containers.run(images[image], list(command), remove=True, **more).decode()

    for applet in ("httpd", "wget", "nslookup", "ping", "nc"):
        assert applet in said("busybox", "ls", "/bin").split()
    assert "0.0% packet loss" in said("busybox", "ping", "-c1", "127.0.0.1").replace(
        "0% packet", "0.0% packet"
    )
    assert "2.8" in said("registry", "--version")
    assert "learner:$2y$" in said("registry", "-Bbn", "learner", "x", entrypoint="htpasswd")
    apt = said(
        "debian",
        "sh",
        "-c",
        "apt-get update -q 2>&1 && apt-get install -qy --no-install-recommends tree 2>&1 && tree --version",
        network_mode="host",
    )
    assert "tree v" in apt
    web = client.containers.run(images["nginx"], detach=True, ports={"80/tcp": ("127.0.0.1", PORT)})
    try:
        for _ in range(50):
            try:
                page = requests.get(f"http://127.0.0.1:{PORT}/", timeout=2)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        assert "Welcome to nginx" in page.text
        assert "GET / HTTP" in web.logs().decode()
    finally:
        web.remove(force=True, v=True)


def test_a_blog_from_nothing(client: docker.DockerClient, images: dict[str, str], tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text('it\'s a "pass\\word" $1')  # whatever somebody's generator makes
    password.chmod(0o600)
    secret = {str(password): {"bind": "/run/secrets/password", "mode": "ro"}}
    network = client.networks.create("images-test")
    made = []
    try:
        database = client.containers.run(
            images["mariadb"],
            name="images-test-db",
            detach=True,
            network=network.name,
            volumes=secret,
            environment={
                "MARIADB_ROOT_PASSWORD": "r",
                "MARIADB_DATABASE": "blog",
                "MARIADB_USER": "wp",
                "MARIADB_PASSWORD_FILE": "/run/secrets/password",
            },
        )
        made.append(database)
        blog = client.containers.run(
            images["wordpress"],
            name="images-test-wp",
            detach=True,
            network=network.name,
            volumes=secret,
            ports={"80/tcp": ("127.0.0.1", PORT)},
            environment={
                "WORDPRESS_DB_HOST": "images-test-db",
                "WORDPRESS_DB_NAME": "blog",
                "WORDPRESS_DB_USER": "wp",
                "WORDPRESS_DB_PASSWORD_FILE": "/run/secrets/password",
            },
        )
        made.append(blog)
        url = f"http://localhost:{PORT}"
        words = [
            "wp-lab",
            "install",
            "--url",
            url,
            "--title",
            "A blog",
            "--user",
            "admin",
            "--email",
            "a@lab.test",
        ]
        assert inside(blog, *words, stdin="admin-password") == "installed\n"
        assert inside(blog, *words, stdin="admin-password") == "already installed\n"
        assert inside(
            blog, "wp-lab", "post", "--title", "First", "--once", stdin="<p>It lives.</p>"
        ).startswith("posted")
        assert inside(blog, "wp-lab", "post", "--title", "First", "--once", stdin="x").startswith(
            "already there"
        )
        page = requests.get(url, timeout=10).text
        assert "First" in page
        assert "It lives." in page
        login = requests.post(
            f"{url}/wp-login.php",
            data={"log": "admin", "pwd": "admin-password", "testcookie": "1"},
            cookies={"wordpress_test_cookie": "WP+Cookie+check"},
            timeout=10,
            allow_redirects=False,
        )
        assert login.status_code == 302
        inside(database, "healthcheck.sh", "--connect", "--innodb_initialized")
        assert "It lives." in inside(database, "mariadb-dump", "-uroot", "-pr", "-h127.0.0.1", "blog")
        # killed, it comes back with everything
        database.kill()
        database.start()
        inside(blog, "wp-lab", "is-installed") if _wait(blog) else pytest.fail(
            "the database did not come back"
        )
        assert "It lives." in requests.get(url, timeout=10).text
    finally:
        for container in made:
            container.remove(force=True, v=True)
        network.remove()


def _wait(blog: Any) -> bool:
    return any(blog.exec_run(["wp-lab", "is-installed"]).exit_code == 0 for _ in range(10))
