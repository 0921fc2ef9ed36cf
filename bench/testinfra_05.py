"""The outcomes of lab 05 as one writes them for pytest and testinfra: by asking Docker's command line."""

import json
import os
import re

import pytest

WEB, HOST = 8105, 8155


@pytest.fixture(scope="module")
def docker(host):
    def ask(command, code=0):
        done = host.run(f"docker {command}")
        assert done.rc == code, done.stderr
        return done.stdout

    return ask


def inspect(docker, name):
    return json.loads(docker(f"inspect {name}"))[0]


def address(docker, name):
    networks = inspect(docker, name)["NetworkSettings"]["Networks"]
    return next(iter(networks.values()))["IPAddress"]


def own_addresses(host):
    found = host.check_output("ip -o -4 address show")
    return [one for one in re.findall(r"inet ([\d.]+)/", found) if not one.startswith("127.")]


def closed_elsewhere(host, port):
    return not any(host.addr(one).port(port).is_reachable for one in own_addresses(host))


@pytest.mark.parametrize(("asker", "wanted"), [("net-till", "net-shop"), ("net-shop", "net-till")])
def test_names(docker, asker, wanted):
    assert address(docker, wanted) in docker(f"exec {asker} nslookup {wanted}")


def test_alias(docker):
    assert address(docker, "net-shop") in docker("exec net-till nslookup shop")


def test_published(host, docker):
    assert docker(f"ps --quiet --filter publish={WEB}").strip()
    assert os.environ["LAB_WORD"] in host.check_output(f"curl -s -m 3 http://localhost:{WEB}/")


def test_published_on_localhost_only(host):
    assert closed_elsewhere(host, WEB)


def test_host_mode_serves(host, docker):
    assert docker("ps --quiet --filter name=^net- --filter network=host").strip()
    assert "hello-host" in host.check_output(f"curl -s -m 3 http://127.0.0.1:{HOST}/")


def test_host_mode_on_localhost_only(host):
    assert closed_elsewhere(host, HOST)


def test_the_vault_is_cut_off(docker):
    assert set(inspect(docker, "net-vault")["NetworkSettings"]["Networks"]) <= {"none"}
    assert docker("exec net-vault ls /sys/class/net").split()[0] == "lo"


@pytest.mark.parametrize(("own", "other"), [("red", "blue"), ("blue", "red")])
def test_isolated(docker, own, other):
    near = address(docker, f"net-{own}-2")
    docker(f"exec net-{own}-1 ping -c 1 -W 1 {near}")
    for number in (1, 2):
        docker(f"exec net-{own}-1 ping -c 1 -W 1 {address(docker, f'net-{other}-{number}')}", code=1)


def test_the_pod_shares_a_network_namespace(docker, host):
    assert inspect(docker, "net-pod-reader")["HostConfig"]["NetworkMode"].startswith("container:")
    assert "hello-pod" in docker("exec net-pod-reader wget -q -O - http://127.0.0.1/")
    assert not host.addr(address(docker, "net-pod-web")).port(80).is_reachable
