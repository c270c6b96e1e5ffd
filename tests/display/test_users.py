"""Users, sessions and the throttle, on a clock turned by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from display_rig import CHEAP, PASSWORD, write_users
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from esi_room.clock import ManualClock
from esi_room.display import throttle, users
from esi_room.display.sessions import DEVICE_S, Sessions
from esi_room.display.throttle import Throttle
from esi_room.display.users import CERTIFICATE_ALONE, User, Users
from esi_room.errors import ConfigurationError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_users(tmp_path / "users")
    return tmp_path / "users"


def sessions(file: Path, clock: ManualClock) -> Sessions:
    return Sessions(Users(file), clock, session_s=3600, idle_s=600)


def login(all_: Sessions, file: Path, name: str) -> str:
    user = Users(file).verify(name, PASSWORD)
    assert user is not None
    return all_.begin(user)


# --- the file ---------------------------------------------------------------------------------------------


def test_a_password_is_right_or_not(file: Path) -> None:
    known = Users(file)
    assert known.verify("Erika Muster", PASSWORD) == known.get("Erika Muster")
    for name, password in (("Erika Muster", "guess"), ("nobody", PASSWORD), ("", ""), ("Erika Muster", "")):
        assert known.verify(name, password) is None
    assert PASSWORD not in file.read_text() and file.stat().st_mode & 0o777 == 0o600


def test_the_hash_is_of_rfc_7914() -> None:
    """Section 12's vector: scrypt("pleaseletmein", "SodiumChloride", 16384, 8, 1), cut to 32 bytes."""
    wanted = bytes.fromhex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")
    assert users._scrypt("pleaseletmein", b"SodiumChloride", (16384, 8, 1)) == wanted


def test_nobody_has_the_hash_that_unknown_names_are_checked_against(file: Path) -> None:
    write_users(file, {"x": "console"})
    users.write(file, {"cert": User("cert", "console", CERTIFICATE_ALONE)})
    assert Users(file).verify("cert", CERTIFICATE_ALONE) is None
    assert Users(file).verify("cert", "") is None


def test_a_change_of_the_file_counts_at_once(file: Path) -> None:
    known = Users(file)
    assert known.get("Otto") is not None
    write_users(file, {"Erika Muster": "console"})
    assert known.get("Otto") is None
    file.chmod(0o644)
    with capture_logs() as logs:
        assert known.get("Erika Muster") is None
    assert [line["event"] for line in logs] == ["display_users_unreadable"]
    file.chmod(0o600)
    assert known.get("Erika Muster") is not None
    file.unlink()
    assert known.get("Erika Muster") is None


@pytest.mark.parametrize(
    "line", ["a", "a:boss:-", ":console:-", "a:console:", "a b :console:-", "a:console:scrypt$1$1"]
)
def test_a_wrong_line_is_said(tmp_path: Path, line: str) -> None:
    path = tmp_path / "users"
    path.write_text(f"# users\n\nb:display:-\n{line}\n")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r":4: this is no user"):
        users.read(path)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        users.read(path)


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_password_is_its_own_and_no_other(one: str, other: str) -> None:
    secret = users.hashed(one, CHEAP)
    assert users.matches(secret, one)
    assert users.matches(secret, other) == (one == other)


# --- sessions ---------------------------------------------------------------------------------------------


def test_a_session_ends_after_its_time_and_when_nobody_uses_it(file: Path) -> None:
    clock = ManualClock()
    all_ = sessions(file, clock)
    token = login(all_, file, "Erika Muster")
    for _ in range(7):
        clock.advance(500)
        found = all_.find(token)
        assert found is not None and found.name == "Erika Muster" and found.may.console
    clock.advance(101)
    assert all_.find(token) is None, "an hour is over"
    token = login(all_, file, "Erika Muster")
    clock.advance(601)
    assert all_.find(token) is None, "ten minutes without a word"
    clock.advance(-601)
    assert all_.find(token) is None, "and it stays so"


def test_a_session_ends_with_its_user(file: Path) -> None:
    all_ = sessions(file, ManualClock())
    token = login(all_, file, "Erika Muster")
    wall = login(all_, file, "wall-1")
    assert all_.find(token) is not None and all_.find(wall) is not None
    write_users(file, password="another password")
    assert all_.find(token) is None and all_.find(wall) is None


def test_a_token_is_nobodys_but_its_sessions(file: Path) -> None:
    all_ = sessions(file, ManualClock())
    one, other = (all_.find(login(all_, file, "Otto")) for _ in range(2))
    assert one is not None and other is not None and one is not other
    assert one.csrf != other.csrf and one.client != other.client
    all_.end(one)
    assert not all_.holds(one) and all_.holds(other)
    assert sessions(file, ManualClock()).find(login(all_, file, "Otto")) is None, "a restart ends it"


def test_a_wall_display_stays_logged_in(file: Path) -> None:
    clock = ManualClock()
    token = login(sessions(file, clock), file, "wall-1")
    clock.advance(390 * 86_400)
    after_a_restart = sessions(file, clock)
    found = after_a_restart.find(token)
    assert found is not None and found.role == "display" and not found.may.identity
    clock.advance(DEVICE_S)
    assert sessions(file, clock).find(token) is None


@given(at=st.integers(0, 200), new=st.characters(codec="ascii"))
def test_a_device_token_that_was_changed_is_none(at: int, new: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "device-users"
    if not file.exists():
        write_users(file)
    all_ = sessions(file, ManualClock())
    token = login(all_, file, "wall-1")
    at %= len(token)
    changed = token[:at] + new + token[at + 1 :]
    assert (sessions(file, ManualClock()).find(changed) is not None) == (changed == token)


def test_only_displays_have_device_tokens(file: Path) -> None:
    """A token of a display whose user becomes a console is no console's."""
    all_ = sessions(file, ManualClock())
    token = login(all_, file, "wall-1")
    known = users.read(file)
    users.write(file, {"wall-1": known["wall-1"]._replace(role="console")})
    assert all_.find(token) is None and sessions(file, ManualClock()).find(token) is None


def test_a_certificate_counts_as_long_as_its_user_is_there(file: Path) -> None:
    all_ = sessions(file, ManualClock())
    one = all_.of_certificate("Otto")
    assert one is not None and one is all_.of_certificate("Otto") and one.may.records
    assert all_.of_certificate("nobody") is None
    write_users(file, {"Otto": "engineer"})
    again = all_.of_certificate("Otto")
    assert again is not None and again.role == "engineer"
    assert not all_.holds(one)


# --- the throttle -----------------------------------------------------------------------------------------


def test_who_fails_waits_longer_and_longer() -> None:
    clock = ManualClock()
    guard = Throttle(clock)
    waits = []
    for _ in range(15):
        waits.append(guard.wait_s("name x", "address a"))
        clock.advance(waits[-1])
        guard.begin("name x", "address a")
    assert waits == [0] * 5 + [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert guard.wait_s("name y", "address a") > 0, "another name from there waits as well"
    assert guard.wait_s("name x", "address b") > 0, "the same name from elsewhere, too"
    assert guard.wait_s("name y", "address b") == 0
    clock.advance(throttle.FORGET_S + 1)
    assert guard.wait_s("name x", "address a") == 0


def test_a_login_that_succeeds_does_not_wash_its_address_clean() -> None:
    clock = ManualClock()
    guard = Throttle(clock)
    for n in range(5):
        guard.begin(f"name {n}", "address a")
    clock.advance(2)
    guard.begin("name mine", "address a")
    guard.succeeded("name mine", "address a")
    guard.begin("name 5", "address a")
    assert guard.wait_s("name 6", "address a") > 0


def test_a_machine_counts_once_however_many_addresses_it_has() -> None:
    assert throttle.neighbourhood("10.1.2.3") != throttle.neighbourhood("10.1.2.4")
    assert throttle.neighbourhood("2001:db8::1") == throttle.neighbourhood("2001:db8::ffff:1")
    assert throttle.neighbourhood("2001:db8::1") != throttle.neighbourhood("2001:db8:0:1::1")
    assert throttle.neighbourhood("fe80::1%eth0") == "fe80::/64"
    assert throttle.neighbourhood("::ffff:10.1.2.3") == "::ffff:10.1.2.3"
    assert throttle.neighbourhood("nowhere") == "nowhere"


def test_made_up_names_cost_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MAX_KEYS", 100)
    guard = Throttle(ManualClock())
    for n in range(1000):
        guard.begin(f"name {n}", "address a")
    assert len(guard._failures) == 100 and guard.wait_s("address a") > 0
