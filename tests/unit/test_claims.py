"""A learner's running lab is nobody else's to take apart."""

import pytest

from virtlab import catalogue, claims, lifecycle, paths, prove, rehearsal, state
from virtlab.errors import MachineError


@pytest.fixture
def ada(kit, monkeypatch):
    """A learner with a lab started, under data of her own."""
    kit.make("90-tiny", "tiny", docker=False)
    monkeypatch.setenv("VIRTLAB_LEARNER", "ada")
    lab = catalogue.load("90-tiny")
    claims.take(lab)
    state.write("90-tiny", state.State(phase="started"))
    return lab


@pytest.fixture
def bob(ada, kit, monkeypatch):
    monkeypatch.setenv("VIRTLAB_LEARNER", "bob")
    monkeypatch.setenv("VIRTLAB_DATA", str(kit.root / "bob"))
    return catalogue.load("90-tiny")


@pytest.mark.parametrize("verb", [lifecycle.start, lifecycle.finish, prove.prove])
def test_another_learner_is_refused_with_the_reason_and_nothing_is_changed(kit, bob, verb):
    with pytest.raises(MachineError) as error:
        verb("90")
    assert error.value.message.startswith("Lab 90-tiny is started on this machine by ada, since 20")
    assert f"VIRTLAB_DATA={kit.data} lab finish 90" in error.value.do
    assert not (kit.root / "bob/state").exists()


def test_one_of_the_same_names_is_refused_too_and_another_is_not(kit, bob):
    kit.make("91-twin", "tiny", docker=False)
    kit.make("92-other", "other", docker=False)
    with pytest.raises(MachineError, match="Lab 90-tiny is started"):
        lifecycle.start("91")
    claims.check(catalogue.load("92-other"))


def test_her_own_is_hers(ada, kit):
    claims.check(ada)
    claims.take(ada)
    assert [one.who for one in claims.running()] == ["ada"]
    assert claims.others() == []


def test_a_finish_gives_it_back(ada, kit, monkeypatch):
    state.write("90-tiny", state.State(phase="finished"))
    claims.drop(ada)
    assert not paths.CLAIMS.exists()
    monkeypatch.setenv("VIRTLAB_DATA", str(kit.root / "bob"))
    claims.take(ada)


def test_what_is_left_of_a_finished_or_removed_state_claims_nothing(bob, kit, monkeypatch):
    monkeypatch.setattr(claims, "YOUNG", 0.0)
    file = kit.data / "state/90-tiny.json"
    file.write_text('{"phase": "finished"}')
    claims.check(bob)
    file.unlink()
    claims.check(bob)
    (paths.CLAIMS / "tiny-nonsense.json").write_text("nonsense")
    claims.check(bob)
    claims.drop(bob)
    assert not paths.CLAIMS.exists()  # nothing is left to look at


def test_when_two_come_at_once_none_takes_it_from_the_other(bob, kit):
    (kit.data / "state/90-tiny.json").unlink()  # ada's start is at its very beginning
    (kit.root / "bob").mkdir()
    with pytest.raises(MachineError, match="by ada"):
        claims.take(bob)
    assert [one.who for one in claims.running()] == ["ada"]


def test_all_tests_refuse_before_they_touch_the_machine(ada, kit):
    done = kit.lab("test", "-k", "nothing")
    assert done.code == 3
    assert "Lab 90-tiny is started on this machine by ada" in done.err


def test_a_rehearsal_of_a_guide_refuses_even_her_own(ada):
    with pytest.raises(MachineError, match="Lab 90-tiny is started"), rehearsal.stage("90-tiny"):
        pass
    with rehearsal.stage("91-another") as here:
        assert here.folder.is_dir()
