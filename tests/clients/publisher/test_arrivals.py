"""A fleet that moves in, from the command line."""

import json

import pytest

from otaserver.fleet import operations
from otaserver.fleet.models import Vehicle
from tests.factories import NOON

GOOD = json.dumps({"vehicle_id": "VIN1", "protocol": "ddi", "groups": ["north"]})


@pytest.fixture
def take_in(bench, command, tmp_path):
    """Run the command beside a worker, which here works whenever the publisher asks how far it is."""

    def work(request):
        if request.method == "GET" and "/imports/" in request.url.path:
            for pk in operations.due_imports(at=NOON):
                operations.run_import(pk, now=lambda: NOON)

    bench.wire.before = work

    def take_in(content, *more, name="fleet.jsonl"):
        (tmp_path / name).write_text(content)
        return command("fleet", "import", str(tmp_path / name), *more)

    return take_in


def test_a_fleet_is_taken_in_and_the_same_file_again_changes_nothing(take_in):
    assert take_in(GOOD) == (0, "1 lines changed vehicles created: 1, memberships: 1, groups created: 1.\n", "")
    assert take_in(GOOD) == (0, "1 lines changed nothing.\n", "")
    assert Vehicle.objects.count() == 1


def test_a_dry_run_says_what_would_be(take_in):
    code, out, _ = take_in(GOOD, "--dry-run")

    assert (code, out) == (0, "1 lines would change vehicles created: 1, memberships: 1, groups created: 1.\n")
    assert not Vehicle.objects.exists()


def test_lines_left_out_are_named_saved_and_make_another_exit_code(take_in, tmp_path):
    report = tmp_path / "report.csv"

    code, out, err = take_in("vehicle_id\nVIN1\na b\n", "--errors", str(report), name="fleet.csv")

    assert (code, out) == (8, "2 lines changed vehicles created: 1.\n")
    assert err.startswith("import.lines_left_out: 1 lines were left out.\n  line 3: vehicle.id_refused: 'a b': ")
    assert report.read_text().splitlines()[:2] == [
        "line,code,value,rule",
        '3,vehicle.id_refused,a b,"A vehicle id is 1 to 64 letters, digits and . _ : @ + ~ = - (first a letter or '
        "digit); 'a b' is not.\"",
    ]


def test_lines_left_out_are_one_document_where_json_is_asked_for(take_in):
    code, out, err = take_in("vehicle_id\nVIN1\na b\n", "--json", name="fleet.csv")

    error = json.loads(out)["error"]
    assert (code, err, error["code"]) == (8, "", "import.lines_left_out")
    assert (error["import"]["counts"]["vehicles_created"], [one["line"] for one in error["problems"]]) == (1, [3])


def test_what_was_taken_in_is_listed(take_in, command):
    take_in(GOOD)

    assert [row["state"] for row in json.loads(command("fleet", "imports", "--json")[1])] == ["finished"]


@pytest.mark.parametrize("name", ["fleet.xlsx", "fleet"])
def test_a_file_of_another_kind_is_not_sent(take_in, name):
    code, _, err = take_in(GOOD, name=name)

    assert (code, err.partition(":")[0]) == (2, "import.kind")


def test_a_file_that_is_not_there_is_not_sent(command, tmp_path):
    assert command("fleet", "import", str(tmp_path / "none.csv"))[0] == 2
