"""Accounts: what opens one, and what does not any more."""

import stat

import pytest

from virtlab.classroom.accounts import Accounts
from virtlab.errors import UsageError


@pytest.fixture
def accounts(tmp_path):
    found = Accounts(tmp_path / "hub")
    found.enrol(["Ada", "ming"])
    return found


def test_the_first_password_opens_and_can_be_printed_again(accounts):
    first = accounts.first_password("ada")
    assert accounts.is_right("ada", first)
    assert accounts.is_right("ADA", f" {first.upper()} ")       # as somebody types it from a card
    assert not accounts.is_right("ada", first[:-1])
    assert not accounts.is_right("ming", first)
    assert not accounts.is_right("nobody", first)
    assert Accounts(accounts.folder).first_password("ada") == first


def test_nothing_that_opens_an_account_is_stored(accounts):
    first, link = accounts.first_password("ada"), accounts.link_key("ada")
    accounts.choose("ming", "correct horse")
    stored = b"".join(file.read_bytes() for file in accounts.folder.iterdir())
    for secret in (first, link, "correct horse"):
        assert secret.encode() not in stored
    assert b"$2b$12$" in stored
    assert stat.S_IMODE(accounts.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in accounts.folder.iterdir()} == {0o600}


def test_a_password_of_ones_own_replaces_the_cards(accounts):
    first = accounts.first_password("ada")
    accounts.choose("ada", "Correct horse 马")
    assert accounts.is_right("ada", "Correct horse 马")
    assert not accounts.is_right("ada", "correct horse 马")
    assert not accounts.is_right("ada", first)
    assert accounts.first_password("ada") is None


@pytest.mark.parametrize(("password", "why"),
                         [("short", "short"), ("x" * 73, "long"), ("Very-Long-Id", "name")])
def test_a_poor_password_is_refused_and_changes_nothing(accounts, password, why):
    accounts.enrol(["very-long-id"])
    first = accounts.first_password("very-long-id")
    with pytest.raises(UsageError, match=why):
        accounts.choose("very-long-id", password)
    assert accounts.is_right("very-long-id", first)


def test_a_link_works_once_and_the_next_handout_has_another(accounts):
    key = accounts.link_key("ada")
    assert accounts.is_link("ada", key)
    assert accounts.is_link("ada", key), "looking at a link must not use it up"
    assert not accounts.redeem("ming", key)
    assert accounts.redeem("ada", key)
    assert not accounts.redeem("ada", key)
    assert accounts.redeem("ada", accounts.link_key("ada"))


def test_a_reset_account_opens_with_the_new_card_only(accounts):
    first, key = accounts.first_password("ada"), accounts.link_key("ada")
    accounts.choose("ada", "correct horse")
    accounts.reset("ada")
    assert not accounts.is_right("ada", "correct horse")
    assert not accounts.is_right("ada", first)
    assert not accounts.redeem("ada", key)
    assert accounts.is_right("ada", accounts.first_password("ada"))


def test_the_roster_decides_who_has_an_account(accounts):
    first = accounts.first_password("ada")
    accounts.enrol(["ming", "grace"])
    assert not accounts.is_right("ada", first)
    assert accounts.has("grace")
    accounts.enrol(["ming", "grace", "ada"])
    assert not accounts.is_right("ada", first), "an old card must not open a new account"
    with pytest.raises(UsageError, match="no account bob"):
        accounts.link_key("bob")
