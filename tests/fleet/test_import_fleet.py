"""The management command: a file taken in at once, on the server."""

import os

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command

from otaserver.fleet.arrival_models import FleetImport
from otaserver.fleet.models import Vehicle
from otaserver.fleet.tasks import run_import, run_imports
from tests.factories import NOON, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def fleet(tmp_path):
    make_tenant("acme")
    path = tmp_path / "fleet.csv"
    path.write_text("vehicle_id,protocol\nVIN1,ddi\nVIN2,ddi\n")
    return path


def test_a_file_is_taken_in_and_told(fleet, capsys):
    call_command("import_fleet", "acme", str(fleet))

    told = capsys.readouterr().out.splitlines()
    assert ("lines: 2" in told, "vehicles_created: 2" in told) == (True, True)
    assert Vehicle.objects.count() == 2


def test_a_dry_run_writes_nothing(fleet, capsys):
    call_command("import_fleet", "acme", str(fleet), "--dry-run")

    assert "vehicles_created: 2" in capsys.readouterr().out
    assert not Vehicle.objects.exists()


def test_lines_left_out_are_told_and_end_the_command_with_a_failure(fleet, capsys):
    fleet.write_text(fleet.read_text() + "a b,ddi\n")

    with pytest.raises(CommandError, match="1 lines were left out"):
        call_command("import_fleet", "acme", str(fleet))

    assert capsys.readouterr().out.startswith("line 4: vehicle.id_refused: 'a b'")
    assert Vehicle.objects.count() == 2


@pytest.mark.parametrize(("tenant", "name"), [("nobody", "fleet.csv"), ("acme", "none.csv"), ("acme", "fleet.txt")])
def test_what_cannot_be_read_ends_with_a_sentence(fleet, tenant, name):
    (fleet.parent / "fleet.txt").write_text("VIN1")

    with pytest.raises(CommandError):
        call_command("import_fleet", tenant, str(fleet.parent / name))

    assert not FleetImport.objects.exists()


def test_a_failure_of_the_server_ends_the_import_with_a_reason(fleet, caplog):
    os.makedirs(default_storage.path("imports/x"))
    row = FleetImport.objects.create(
        tenant=make_tenant("other"),
        kind="csv",
        filename="x.csv",
        # A folder, which cannot be read.
        stored_as="imports/x",
        sha256="0" * 64,
        length=1,
        created_by="alice",
        created_at=NOON,
    )

    run_import(import_id=row.pk)
    run_import(import_id=row.pk)

    row.refresh_from_db()
    assert (row.state, row.failed_reason) == ("failed", "The server failed: IsADirectoryError.")


def test_the_tick_hands_out_what_waits_and_nothing_twice(fleet, monkeypatch):
    handed = []
    monkeypatch.setattr(run_import, "apply_async", lambda kwargs, expires: handed.append(kwargs["import_id"]))
    row = FleetImport.objects.create(
        tenant=make_tenant("other"), kind="csv", filename="x.csv", stored_as="imports/x", sha256="0" * 64, length=1,
        created_by="alice", created_at=NOON,
    )  # fmt: skip

    run_imports()
    run_import(import_id=row.pk)
    run_imports()

    assert handed == [row.pk]
