"""The seat: opened late, and clear about what does not answer."""

import socket
import subprocess
import sys
import time

import pytest

from virtlab import seat, settings
from virtlab.errors import MachineError, Unknown
from virtlab.seat import Seat


def test_nothing_is_imported_before_it_is_used():
    code = (
        "import sys; from virtlab.seat import Seat; Seat();"
        "sys.exit(' '.join({'docker', 'libvirt', 'requests', 'testinfra'} & set(sys.modules)) or 0)"
    )
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


def test_what_several_checks_ask_for_at_once_is_imported_before():
    code = (
        "import sys; from virtlab.catalogue import Needs; from virtlab.seat import Seat;"
        "Seat.load(Needs()); assert 'docker' not in sys.modules; Seat.load(Needs(docker=True));"
        "sys.exit('docker.errors' not in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("unix:///nowhere/docker.sock", "nothing answers at unix:///nowhere/docker.sock"),
        ("tcp://127.0.0.1:1", "nothing answers at tcp://127.0.0.1:1"),
    ],
)
def test_no_docker(monkeypatch, where, said):
    monkeypatch.setenv("DOCKER_HOST", where)
    with pytest.raises(Unknown) as caught:
        _ = Seat().docker
    assert said in caught.value.message
    assert caught.value.do


def test_refused_docker():
    refused = seat._no_docker(Exception("('Connection aborted.', PermissionError(13, 'Permission denied'))"))
    assert "permission denied on" in refused.message
    assert "`newgrp docker`" in refused.do


def test_no_libvirt(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(settings.paths, "HOST_D", tmp_path)
    (tmp_path / "kvm_host.json").write_text('{"uri": "qemu+unix:///system?socket=/nowhere/libvirt-sock"}')
    with pytest.raises(Unknown, match="I cannot reach libvirt at qemu") as caught:
        _ = Seat().libvirt
    assert "--only kvm_host" in caught.value.do
    assert capfd.readouterr() == ("", "")  # libvirt prints by itself unless told not to


def test_a_server_that_never_answers_does_not_hang_us(monkeypatch):
    import requests

    monkeypatch.setattr(seat, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        began = time.monotonic()
        with pytest.raises(requests.Timeout):
            Seat().http.get(f"http://127.0.0.1:{server.getsockname()[1]}/")
        assert time.monotonic() - began < 2


def test_no_proxy_stands_between_us_and_this_machine(monkeypatch):
    import threading

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            link, _ = server.accept()
            with link:
                link.recv(1000)
                link.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")

        threading.Thread(target=answer, daemon=True).start()
        assert Seat().http.get(f"http://127.0.0.1:{server.getsockname()[1]}/").text == "hello"


def test_what_the_roles_wrote_down(monkeypatch, tmp_path):
    monkeypatch.setattr(settings.paths, "HOST_D", tmp_path)
    (tmp_path / "registry.json").write_text('{"name": "registry.lab.test:5000", "port": 5000}')
    host = settings.host()
    assert host.registry.name == host["registry"]["name"] == "registry.lab.test:5000"
    assert "registry" in host
    with pytest.raises(MachineError, match="no kvm_host yet") as caught:
        _ = host.kvm_host
    assert caught.value.do == "Run `./lab up`."
    with pytest.raises(MachineError, match="says nothing about 'user'"):
        _ = host.registry.user
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(MachineError, match=r"cannot read .*broken\.json"):
        settings.host().as_dict()


def test_a_daemon_that_hangs_is_waited_for_once(monkeypatch, tmp_path):
    monkeypatch.setattr(seat, "DOCKER_CONNECT", 0.3)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        server.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
        hanging = Seat()
        with pytest.raises(Unknown, match=r"does not answer within 0\.3 seconds"):
            _ = hanging.docker
        began = time.monotonic()
        with pytest.raises(Unknown):
            _ = hanging.docker
        assert time.monotonic() - began < 0.1
