import pytest
from django.core.management import CommandError, call_command

from otaserver.embedded import front, tasks
from otaserver.fleet import operations
from tests.factories import NOON, make_tenant

pytestmark = pytest.mark.django_db


def test_the_cas_of_all_tenants_are_written_for_nginx_once(tmp_path):
    cas = [operations.create_fleet_authority(make_tenant(name), at=NOON).certificate_pem for name in ("a", "b")]
    path = tmp_path / "authorities.pem"

    assert front.write_authorities(path, at=NOON) is True
    assert front.write_authorities(path, at=NOON) is False
    assert path.read_text() == "".join(cas)


def test_before_there_is_a_tenant_nginx_has_a_ca_that_issues_nothing(tmp_path):
    path = tmp_path / "authorities.pem"

    assert front.write_authorities(path, at=NOON) is True
    placeholder = path.read_text()
    assert front.write_authorities(path, at=NOON) is False

    assert placeholder.count("BEGIN CERTIFICATE") == 1
    assert path.read_text() == placeholder


@pytest.mark.parametrize("pid", ["", "nothing", "1", "999999999"])
def test_a_pid_that_is_not_nginx_is_left_alone(tmp_path, pid):
    (tmp_path / "nginx.pid").write_text(pid)

    assert front.write_authorities(tmp_path / "authorities.pem", at=NOON) is True


def test_the_tick_keeps_the_file_up_to_date(tmp_path, settings):
    settings.AUTHORITIES_FILE = str(tmp_path / "authorities.pem")
    tasks.write_authorities()
    authority = operations.create_fleet_authority(make_tenant(), at=NOON)

    tasks.write_authorities()
    tasks.write_authorities()

    assert (tmp_path / "authorities.pem").read_text() == authority.certificate_pem


def test_the_command_says_whether_anything_was_new(tmp_path, capsys):
    operations.create_fleet_authority(make_tenant(), at=NOON)
    path = tmp_path / "authorities.pem"

    call_command("fleet_authorities", str(path))
    call_command("fleet_authorities", str(path))

    assert capsys.readouterr().out == f"{path} is new.\n{path} is as it was.\n"


def test_the_command_says_what_it_cannot_write(tmp_path):
    with pytest.raises(CommandError, match="cannot be brought up to date"):
        call_command("fleet_authorities", str(tmp_path / "nowhere" / "authorities.pem"))
