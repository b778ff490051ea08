"""Logging in, members and tokens from the command line."""

import io
import json

import pytest

from otaserver.people.models import Invitation, PersonalToken
from otaserver.tenants.models import Member, ServiceToken
from otaserver.tenants.states import Role
from tests.people.people_factories import make_member, make_personal_token

pytestmark = pytest.mark.any_database

URL = "http://testserver"


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "config"
    monkeypatch.setenv("OTA_CONFIG", str(folder))
    return folder


@pytest.fixture
def mia(bench):
    return make_member(bench.tenant)


@pytest.fixture
def logged_in(home, bench, command, mia, monkeypatch):
    """The command line as mia uses it: logged in, with nothing in the environment."""
    monkeypatch.setenv("OTA_TOKEN", make_personal_token(mia))
    assert command("login", URL)[0] == 0
    for name in ("OTA_URL", "OTA_TOKEN"):
        monkeypatch.delenv(name)
    return command


def test_one_logs_in_once_and_out_again(logged_in, home):
    assert (home / "profiles.json").stat().st_mode & 0o777 == 0o600
    code, out, _ = logged_in("whoami")
    assert (code, out.split(";")[0]) == (0, "mia, administrator of acme, until 2026-07-01T12:00:00Z")

    assert logged_in("logout")[:2] == (0, "Logged out.\n")

    code, _, err = logged_in("whoami")
    assert (code, err.partition(":")[0]) == (2, "input.invalid")


def test_logging_out_may_end_the_token_too(logged_in):
    code, out, _ = logged_in("logout", "--revoke", "--json")

    assert (code, json.loads(out)) == (0, {"removed": True, "revoked": True})
    assert PersonalToken.objects.get().revoked_at


def test_a_service_token_is_not_ended_by_logging_out(home, command):
    command("login", URL)

    code, _, err = command("logout", "--revoke")

    assert (code, ServiceToken.objects.get().revoked_at) == (2, None)
    assert "ota token revoke" in err
    assert json.loads(command("whoami", "--json")[1])["token"] == "ci"


@pytest.mark.parametrize("source", ["file", "stdin"])
def test_the_token_comes_from_a_file_or_from_standard_input(home, bench, command, monkeypatch, source):
    monkeypatch.delenv("OTA_TOKEN")
    path = home.with_name("token")
    path.write_text(f"{bench.token}\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{bench.token}\n"))

    code, out, _ = command("login", URL, "--token-file", str(path) if source == "file" else "-")

    assert (code, out) == (0, f"Logged in to {URL} as service token ci, administrator of acme.\n")
    assert bench.token not in out


def test_where_nobody_can_be_asked_it_says_how_to_give_the_token(home, command, monkeypatch):
    monkeypatch.delenv("OTA_TOKEN")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    assert command("login", URL)[0] == 2
    assert command("login", URL, "--token-file", "-")[0] == 2
    assert command("login", URL, "--token-file", "/nowhere")[0] == 2


def test_a_token_that_the_server_does_not_know_is_not_stored(home, command, monkeypatch):
    monkeypatch.setenv("OTA_TOKEN", "ota_guess")

    code, _, err = command("login", URL)

    assert (code, err.partition(":")[0]) == (3, "token.invalid")
    assert not home.exists()


def test_profiles_are_chosen_by_option_or_by_environment(home, bench, command, mia, monkeypatch):
    command("--profile", "ci", "login", URL)
    monkeypatch.setenv("OTA_TOKEN", make_personal_token(mia))
    command("login", URL)
    monkeypatch.delenv("OTA_TOKEN")

    assert json.loads(command("--profile", "ci", "whoami", "--json")[1])["person"] is None
    assert json.loads(command("whoami", "--json")[1])["person"] == "mia"
    monkeypatch.setenv("OTA_PROFILE", "ci")
    assert json.loads(command("whoami", "--json")[1])["token"] == "ci"


def test_members_are_listed_given_roles_and_removed(logged_in, bench):
    make_member(bench.tenant, "bob", Role.VIEWER)

    assert logged_in("member", "role", "bob", "approver")[1] == "bob has the role approver.\n"
    listed = json.loads(logged_in("member", "list", "--json")[1])
    assert [(row["username"], row["role"]) for row in listed] == [("bob", "approver"), ("mia", "administrator")]
    assert logged_in("member", "remove", "bob")[0] == 0
    assert Member.objects.get().user.username == "mia"
    code, _, err = logged_in("member", "remove", "mia")
    assert (code, err.partition(":")[0]) == (3, "member.last_administrator")
    assert logged_in("member", "remove", "nobody")[0] == 2


def test_a_link_is_made_listed_and_ended(logged_in):
    code, out, _ = logged_in("member", "invite", "approver")
    assert (code, out.startswith(f"{URL}/console/invitations/")) == (0, True)

    listed = json.loads(logged_in("member", "invitations", "--json")[1])
    logged_in("member", "uninvite", str(listed[0]["id"]))

    assert Invitation.objects.get().revoked_at


def test_service_tokens_are_made_listed_and_revoked(logged_in):
    code, out, _ = logged_in("token", "create", "ci2", "release_engineer", "--permission", "publish", "--days", "30")
    assert (code, out[:4]) == (0, "ota_")
    made = ServiceToken.objects.get(name="ci2")
    assert (made.permissions, made.expires_at.isoformat()) == (["publish"], "2026-07-01T12:00:00+00:00")

    assert "ci2" in logged_in("token", "list")[1]
    assert logged_in("token", "revoke", "ci2")[0] == 0
    made.refresh_from_db()
    assert made.revoked_at


def test_ones_own_tokens_are_made_listed_and_revoked(logged_in):
    code, out, _ = logged_in("my-token", "create", "desktop", "--permission", "view")
    assert (code, out[:5]) == (0, "otap_")

    assert "desktop" in logged_in("my-token", "list")[1]
    assert logged_in("my-token", "revoke", "desktop")[0] == 0
    assert PersonalToken.objects.get(name="desktop").revoked_at


def test_who_administers_sees_and_ends_a_members_tokens(logged_in, bench):
    make_personal_token(make_member(bench.tenant, "bob", Role.VIEWER), "phone")

    assert "phone" in logged_in("member", "tokens", "bob")[1]
    assert logged_in("member", "revoke-tokens", "bob")[1] == "1 token(s) of bob revoked.\n"
    assert PersonalToken.objects.get(name="phone").revoked_at
