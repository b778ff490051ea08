import io
import json
import subprocess
import sys

import httpx
import pytest
from rich.console import Console

from clients.publisher.cli import campaign_texts
from firmware_store.models import Package, Release, RoleMetadata
from otaserver.campaigns.models import Campaign, WorkshopCase
from otaserver.campaigns.states import CampaignState
from otaserver.fleet.models import Vehicle
from otaserver.tenants import operations as tenants
from otaserver.tenants.states import Role
from tests.factories import NOON, make_group, make_vehicle

pytestmark = pytest.mark.any_database

PUBLISH = (
    "publish",
    "{file}",
    "--role",
    "supplier",
    "--name",
    "engine",
    "--version",
    "1.0",
    "--hardware-id",
    "gateway",
)


def publish(command, firmware, *more):
    return command(*(part.format(file=firmware) for part in PUBLISH), *more)


def test_from_keys_to_a_running_campaign_with_json_all_the_way(bench, command, firmware):
    make_group(bench.tenant, make_vehicle(bench.tenant), name="everyone")
    steps = [
        ("trust", "init"),
        tuple(part.format(file=firmware) for part in PUBLISH),
        ("packages",),
        ("release", "create", "autumn", "1", "--package", "supplier/engine-1.0", "--note", "en=Smoother"),
        ("release", "list"),
        (
            *("campaign", "create", "first", "--release", "autumn", "1", "--group", "everyone"),
            *("--wave", "group=everyone:1", "--wave", "5", "--wave", "100:2", "--no-way-back", "first release"),
            *("--set", "max_failed=3", "--set", "is_dynamic=true"),
        ),
        ("campaign", "submit", "first"),
        ("campaign", "approve", "first"),
        ("campaign", "start", "first"),
        ("campaign", "show", "first"),
        ("campaign", "decisions", "first"),
        ("campaign", "close", "first", "--reason", "Nobody else."),
    ]

    for step in steps:
        code, out, err = command(*step, "--json")
        assert (code, err) == (0, ""), (step, out)
        json.loads(out)

    campaign = Campaign.objects.get()
    assert (campaign.state, campaign.max_failed) == (CampaignState.RUNNING, 3)
    assert [(wave.size, wave.max_failed) for wave in campaign.waves.all()] == [
        ("group everyone", 1),
        ("5 %", 0),
        ("100 %", 2),
    ]
    assert campaign.closed_at is not None


def test_every_command_answers_people_as_well(bench, command, firmware, tmp_path):
    car = make_vehicle(bench.tenant)
    make_group(bench.tenant, car, name="everyone")
    steps = {
        ("trust", "init"): "supplier",
        tuple(part.format(file=firmware) for part in PUBLISH): "supplier/engine-1.0 is published",
        ("packages",): "supplier/engine-1.0",
        ("republish", "supplier/engine-1.0", "--version", "1.0-again"): "engine-1.0-again is published",
        ("raise-counter", "supplier/engine-1.0", "--version", "1.0-final"): "release counter 1",
        ("withdraw", "supplier/engine-1.0-again"): "is withdrawn",
        ("trust", "refresh"): "supplier",
        ("trust", "add-role", "brakes"): "brakes",
        ("trust", "rotate-root", "--new-keys"): "director",
        ("root", "fetch", str(tmp_path / "roots")): "image-root.tuf-1.0.json",
        ("release", "create", "autumn", "1", "--package", "supplier/engine-1.0@2"): "holds 1 package(s)",
        (
            *("release", "create", "autumn", "2", "--package", "supplier/engine-1.0"),
            *("--signal", "boots:3:0.01:0.05", "--halt-code", "brakes_lost"),
        ): "holds 1 package(s)",
        ("release", "list"): "autumn",
        ("group", "block", "everyone", "--reason", "Press."): "everyone: Press.",
        ("group", "unblock", "everyone", "--reason", "Back."): "everyone: no block list",
        (
            *("campaign", "suggest", "--release", "autumn", "1", "--group", "everyone"),
            *("--failure-budget", "5", "--growth", "3"),
        ): "--wave 100 --set failure_budget=5",
        ("vehicle", "test-bench", str(car), "--reason", "Hall 3."): "stands on a test bench",
        ("vehicle", "order", str(car), "--release", "autumn", "1", "--reason", "Brakes."): f"direct {car} 1",
        (
            *("campaign", "create", "first", "--release", "autumn", "1", "--group", "everyone", "--wave", "100"),
            *("--no-way-back", "first release", "--soak-seconds", "60", "--window", "mon-fri 22:00-06:00"),
            *("--ends-at", "2026-11-01T00:00:00Z", "--precondition", "link_type in wifi,usb", "--control", "12.5"),
        ): "is a draft with 1 wave(s)",
        ("campaign", "submit", "first"): "in_review",
        ("campaign", "reject", "first", "--reason", "later"): "draft",
        ("campaign", "cancel", "first"): "cancelled",
        ("campaign", "show", "first"): "first: cancelled",
        ("campaign", "decisions", "first"): "campaign.rejected",
        ("freeze", "holidays", "--reason", "Nobody is there."): "for the whole fleet from",
        ("blackout", "declare", "summit", "--reason", "x", "--group", "everyone"): "for one group from",
        ("blackout", "list"): "holidays",
        ("blackout", "lift", "holidays", "--reason", "Back."): "holidays is lifted",
        ("vehicle", "time-zone", Vehicle.objects.get().vehicle_id, "Asia/Kolkata"): "is in Asia/Kolkata",
    }

    for step, expected in steps.items():
        code, out, err = command(*step)
        assert code == 0, (step, err)
        assert expected in out, step


def test_keys_are_made_shown_and_replaced_without_a_server(command, tmp_path, capsys):
    folder = tmp_path / "new"
    made = command(
        "keys", "init", "--dir", str(folder), "--tenant", "t", "--role", "supplier", "--no-aktualizr", "--json"
    )
    shown = command("keys", "public", "supplier", "--keys", str(folder))
    (tmp_path / "key.json").write_text(json.dumps(json.loads(shown[1])["keys"][0]))
    replaced = command(
        *("keys", "set", "image/supplier", "--uri", "hv:release", "--public", str(tmp_path / "key.json")),
        *("--keys", str(folder), "--json"),
    )

    assert [made[0], shown[0], replaced[0]] == [0, 0, 0]
    assert json.loads(made[1])["release_roles"] == ["supplier"]
    assert json.loads(replaced[1])["threshold"] == 1


def test_a_suppliers_keys_are_delegated_to_from_the_file_that_it_sends(command, tmp_path):
    command("trust", "init")
    command("keys", "init", "--dir", str(tmp_path / "b"), "--tenant", "acme", "--role", "brakes", "--root-keys", "0")
    _, shown, _ = command("keys", "public", "brakes", "--keys", str(tmp_path / "b"))
    (tmp_path / "brakes.json").write_text(shown)

    delegated = command("trust", "add-role", "brakes", "--public", str(tmp_path / "brakes.json"))
    first = command("trust", "refresh", "--role", "brakes", "--keys", str(tmp_path / "b"), "--json")

    assert delegated[0] == first[0] == 0
    assert json.loads(first[1])[0]["version"] == 1


def test_wrong_input_exits_with_2_and_says_why(command, tmp_path):
    command("trust", "init")

    code, out, err = publish(command, tmp_path / "none.bin")

    assert (code, out) == (2, "")
    assert err == f"file.unreadable: {tmp_path / 'none.bin'} cannot be read: No such file or directory.\n"


def test_a_refusal_exits_with_3_and_the_servers_code(command, firmware):
    command("trust", "init")
    publish(command, firmware)
    firmware.write_bytes(b"other")

    code, out, err = publish(command, firmware, "--json")

    assert (code, err) == (3, "")
    assert json.loads(out)["error"]["code"] == "package.name_taken"


def test_a_server_that_does_not_answer_exits_with_4(bench, command):
    def cut(request):
        raise httpx.ConnectError("connection refused")

    bench.wire.before = cut

    code, out, err = command("trust", "init")

    assert (code, out) == (4, "")
    assert err.startswith("server.unreachable: GET /api/v1/trust/image/root: connection refused")
    assert "Traceback" not in err


def test_an_answer_that_is_no_problem_document_is_still_a_sentence(bench, command):
    def garble(request, response):
        response.status_code = 502
        response._content = b"<html>bad gateway</html>"

    bench.wire.after = garble

    code, _, err = command("packages")

    assert code == 4
    assert err.startswith("server.unexpected: GET http://testserver/api/v1/packages was answered with 502")


def test_metadata_that_does_not_verify_exits_with_5(command, firmware):
    command("trust", "init")
    for row in RoleMetadata.objects.filter(role="supplier"):
        row.body = bytes(row.body).replace(b'"version":1', b'"version":2')
        row.save()

    code, _, err = publish(command, firmware)

    assert code == 5
    assert err.startswith("trust.signature: ")
    assert not Package.objects.exists()


def test_watching_exits_with_6_when_the_campaign_is_halted_and_0_when_it_completes(bench, command, firmware):
    make_group(bench.tenant, make_vehicle(bench.tenant), name="everyone")
    command("trust", "init")
    publish(command, firmware)
    command("release", "create", "autumn", "1", "--package", "supplier/engine-1.0")
    command(
        *("campaign", "create", "first", "--release", "autumn", "1", "--group", "everyone", "--wave", "100"),
        *("--no-way-back", "first release"),
    )
    for action in ("submit", "approve", "start"):
        command("campaign", action, "first")
    command("campaign", "stop", "first", "--reason", "smoke")

    halted = command("campaign", "watch", "first")
    halted_json = command("campaign", "watch", "first", "--json")
    Campaign.objects.update(state=CampaignState.COMPLETED, reason="")
    completed = command("campaign", "watch", "first", "--json")

    assert halted[0] == 6
    assert "campaign.halted: Campaign 'first' is halted: smoke" in halted[2]
    assert json.loads(halted_json[1])["error"]["code"] == "campaign.halted"
    assert completed[0] == 0
    assert json.loads(completed[1])["state"] == "completed"


def test_a_token_that_may_not_do_it_is_told_which_permission_it_lacks(bench, command, monkeypatch, firmware):
    command("trust", "init")
    viewer = tenants.issue_service_token(bench.tenant, name="looks", role=Role.VIEWER, by="test", at=NOON)
    monkeypatch.setenv("OTA_TOKEN", viewer)

    code, _, err = publish(command, firmware)

    assert code == 3
    assert err == "permission.missing: Token looks has the role viewer, which lacks the permission publish.\n"
    assert not Package.objects.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("release", "create", "a", "1", "--package", "supplier/x-1@second"),
        ("release", "create", "a", "1", "--package", "supplier/x-1", "--note", "nothing"),
        ("release", "create", "a", "1", "--package", "supplier/x-1", "--signal", "boots:3:0.01"),
        ("release", "create", "a", "1", "--package", "supplier/x-1", "--signal", "boots:nan:0.01:0.02"),
        ("campaign", "create", "c", "--release", "a", "1", "--group", "g", "--wave", "5:many"),
        ("campaign", "create", "c", "--release", "a", "1", "--group", "g", "--wave", "size=5"),
        ("campaign", "create", "c", "--release", "a", "1", "--group", "g", "--wave", "count=few"),
        ("group", "block", "nobody", "--reason", "Press."),
        ("campaign", "create", "c", "--release", "a", "1", "--group", "g", "--wave", "5", "--set", "alpha=high"),
        ("trust", "rotate-root", "--repository", "other"),
        ("trust", "add-role", "brakes", "--public", "/nowhere.json"),
        ("keys", "set", "image/supplier", "--uri", "hv:a", "--public", "/nowhere.pem"),
        ("keys", "set", "image/supplier", "--uri", "hv:a", "--uri", "hv:b", "--public", "/nowhere.pem"),
        ("packages", "--url", "ftp://testserver"),
        ("nosuchcommand",),
        ("publish",),
    ],
)
def test_arguments_that_make_no_sense_exit_with_2_and_change_nothing(command, arguments):
    code, out, err = command(*arguments)

    assert code == 2
    assert err
    assert "Traceback" not in err + out
    assert not Release.objects.exists()


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "clients.publisher", "packages"],
        env={"PATH": "/usr/bin:/bin", "OTA_URL": "http://127.0.0.1:9", "OTA_TOKEN": "x"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 4
    assert done.stderr.startswith("server.unreachable: ")
    assert "Traceback" not in done.stderr


def test_the_workshop_list_is_read_and_closed(bench, command):
    vehicle = make_vehicle(bench.tenant, "VIN1")
    case = WorkshopCase.objects.create(vehicle=vehicle, code="silent", reason="Silent.", opened_at=NOON)
    code, out, _ = command("workshop", "list", "--json")
    assert (code, [row["vehicle"] for row in json.loads(out)]) == (0, ["VIN1"])

    code, out, _ = command("workshop", "close", str(case.pk), "--note", "Gateway replaced.")

    assert (code, out) == (0, "The case of VIN1 is closed.\n")
    assert json.loads(command("workshop", "list", "--json")[1]) == []
    assert len(json.loads(command("workshop", "list", "--all", "--json")[1])) == 1


def test_a_campaigns_place_among_others_is_given_by_options(bench, command, firmware):
    make_group(bench.tenant, make_vehicle(bench.tenant), name="everyone")
    command("trust", "init")
    publish(command, firmware)
    command("release", "create", "autumn", "1", "--package", "supplier/engine-1.0")
    stone = ("--stepping-stone", "autumn", "1")
    assert command("release", "create", "autumn", "2", "--package", "supplier/engine-1.0", *stone)[0] == 0
    options = ("--group", "everyone", "--wave", "100", "--no-way-back", "A test.", "--release", "autumn", "1")
    assert command("campaign", "create", "first", *options)[0] == 0

    more = ("--priority", "security", "--requires", "first", "--on-halt", "hold_offers", "--foreign-software", "adopt")
    code, _, problem = command("campaign", "create", "second", *options, *more)

    assert code == 0, problem
    made = Campaign.objects.get(name="second")
    assert (made.priority, made.halt_action, made.foreign_software) == (1, "hold_offers", "adopt")
    assert [required.name for required in made.requires.all()] == ["first"]
    assert Release.objects.get(version="2").stepping_stone == Release.objects.get(version="1")


@pytest.mark.parametrize("name", ["[/red] boom", "[eu] pilots", "[bold]"])
def test_names_are_shown_as_they_are_whatever_marks_they_hold(bench, command, name):
    make_group(bench.tenant, name=name)

    code, out, err = command("group", "list")

    assert (code, err, name in out) == (0, "", True)


def test_a_campaign_is_drawn_as_it_is_named():
    wave = {"number": 1, "percent": None, "group": {"name": "[eu] pilots"}, "state": "open", "counts": {}}
    campaign = {"name": "[/red] boom", "state": "running", "reason": "[x]", "counts": {}, "waves": [wave]}
    console = Console(width=120, file=io.StringIO())

    console.print(campaign_texts.table_of(campaign))

    drawn = console.file.getvalue()
    assert ("group [eu] pilots" in drawn, "[/red] boom: running ([x])" in drawn) == (True, True)


@pytest.mark.parametrize("token", ["ota_s\u00e9cret", "ota_sec\nret", "ota_sec\x1bret", "ota_sec ret"])
@pytest.mark.parametrize("arguments", [("whoami",), ("login", "http://testserver")])
def test_what_is_no_token_is_neither_sent_nor_printed(bench, command, monkeypatch, token, arguments):
    monkeypatch.setenv("OTA_TOKEN", token)

    code, out, err = command(*arguments)

    assert (code, out, err) == (2, "", "input.token: A token is printable ASCII without blanks; this one is not.\n")
    assert bench.wire.seen == []


def test_a_folder_that_cannot_hold_profiles_is_told(bench, command, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("OTA_CONFIG", str(tmp_path / "file" / "ota"))

    code, out, err = command("login", "http://testserver")

    assert (code, out) == (2, "")
    assert err.startswith(("file.unwritable: ", "input.invalid: "))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("campaign", "show", "--json"), "Missing argument"),
        (("packages", "--nonsense", "--json"), "No such option"),
        (("nonsense", "--json"), "No such command"),
    ],
)
def test_wrong_arguments_are_told_as_json_where_that_is_asked_for(command, arguments, words):
    code, out, err = command(*arguments)

    assert (code, err, json.loads(out)["error"]["code"]) == (2, "", "input.usage")
    assert words in json.loads(out)["error"]["detail"]


def test_help_is_no_failure_with_json_either(command):
    assert command("packages", "--json", "--help")[0] == 0


def test_an_address_that_is_none_is_told(command):
    code, _, err = command("whoami", "--url", "http://testserver:port")

    assert (code, err.partition(":")[0]) == (2, "input.url")


def answering(status, body=b"", **headers):
    """Let something else than the server answer."""

    def instead(request, response):
        response.status_code, response._content = status, body
        response.headers.update(headers)

    return instead


@pytest.mark.parametrize("arguments", [("whoami",), ("group", "create", "x"), ("tenant", "polling", "5")])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (answering(200, b"<html>Sign in</html>"), (4, "server.unexpected")),
        (answering(301, Location="https://ota.example.com/"), (2, "server.redirects")),
        (answering(429, b'{"code": "rate.limited", "detail": "Too many."}'), (4, "rate.limited")),
    ],
)
def test_what_is_not_the_server_or_has_no_time_is_told(bench, command, arguments, answer, expected):
    bench.wire.after = answer

    code, out, err = command(*arguments, "--json")

    assert (code, json.loads(out)["error"]["code"]) == expected
    assert err == ""
