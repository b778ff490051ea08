"""Migrations run while the version before them still answers vehicles."""

import pytest
from django.apps import apps
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from otaserver import online_migrations as online
from tests import migration_rules

OURS = {app.label for app in apps.get_app_configs() if app.name.startswith(("otaserver.", "firmware_store"))}
ROW = migrations.CreateModel(
    "Car", [("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=9))]
)


def make(*operations, name="0002_more", atomic=True):
    kind = type("Migration", (migrations.Migration,), {"operations": list(operations), "atomic": atomic})
    return kind(name, "garage")


def state():
    found = ProjectState()
    ROW.state_forwards("garage", found)
    return found


def found(*operations, **options):
    return list(migration_rules.problems(make(*operations, **options), state()))


def index(kind):
    return kind("Car", models.Index(fields=["name"], name="car_name"))


def check(kind):
    return kind("Car", models.CheckConstraint(name="car_named", condition=~models.Q(name="")))


def test_every_migration_after_the_first_keeps_the_rules():
    loader = MigrationLoader(None, ignore_no_migrations=True)
    broken = {
        key: list(migration_rules.problems(migration, loader.project_state(key, at_end=False)))
        for key, migration in loader.disk_migrations.items()
        if key[0] in OURS and key[1] != "0001_initial"
    }

    assert {key: problems for key, problems in broken.items() if problems} == {}


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        (migrations.AddField("Car", "age", models.IntegerField(default=0)), "adds a column"),
        (
            migrations.AddField("Car", "plate", models.CharField(max_length=9, null=True, unique=True)),
            "builds the index",
        ),
        (migrations.AddField("Car", "colour", models.CharField(max_length=9, null=True, db_index=True)), "builds the"),
        (
            migrations.AddField("Car", "twin", models.ForeignKey("garage.Car", models.CASCADE, null=True)),
            "builds the index",
        ),
        (migrations.RenameField("Car", "name", "title"), "renames"),
        (migrations.RenameModel("Car", "Auto"), "renames"),
        (migrations.RemoveField("Car", "name"), "removes what"),
        (migrations.DeleteModel("Car"), "removes what"),
        (migrations.AlterField("Car", "name", models.CharField(max_length=5)), "changes a column"),
        (index(migrations.AddIndex), "builds an index under"),
        (index(online.AddIndexConcurrently), "builds an index concurrently inside"),
        (check(migrations.AddConstraint), "checks all rows"),
        (
            migrations.AddConstraint("Car", models.UniqueConstraint(fields=["name"], name="car_once")),
            "adds a unique constraint",
        ),
        (migrations.RunPython(lambda apps, editor: None), "changes rows and cannot"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_the_version_before_would_stumble_over_is_found(operation, problem):
    assert [each.startswith(problem) for each in found(operation)] == [True]


def test_what_disturbs_nobody_is_let_through():
    assert (
        found(
            migrations.AddField("Car", "age", models.IntegerField(null=True)),
            migrations.AddField("Car", "doors", models.IntegerField(db_default=4)),
            migrations.AddField(
                "Car", "twin", models.ForeignKey("garage.Car", models.CASCADE, null=True, db_index=False)
            ),
            migrations.AlterField("Car", "name", models.CharField(max_length=9, help_text="words")),
            check(online.AddConstraintNotValid),
            online.ValidateConstraint("Car", "car_named"),
        )
        == []
    )
    assert found(index(online.AddIndexConcurrently), atomic=False) == []
    assert found(migrations.RemoveField("Car", "name"), name="0003_contract_name") == []
    door = migrations.CreateModel("Door", [("id", models.BigAutoField(primary_key=True))])
    assert found(door, migrations.AddField("Door", "width", models.IntegerField())) == []


def test_rows_are_changed_apart_from_tables():
    rows = migrations.RunPython(lambda apps, editor: None, migrations.RunPython.noop)

    assert found(rows) == []
    assert len(found(rows, migrations.AddField("Car", "age", models.IntegerField(null=True)))) == 1


@pytest.mark.django_db(transaction=True)
def test_an_index_and_a_check_come_without_a_lock_on_either_database():
    start = state()
    steps = [index(online.AddIndexConcurrently), check(online.AddConstraintNotValid)]
    with connection.schema_editor() as editor:
        ROW.database_forwards("garage", editor, ProjectState(), start)
    try:
        before = start
        for step in [*steps, online.ValidateConstraint("Car", "car_named")]:
            after = before.clone()
            step.state_forwards("garage", after)
            with connection.schema_editor(atomic=False) as editor:
                step.database_forwards("garage", editor, before, after)
            before = after
        with connection.cursor() as cursor:
            assert {"car_name", "car_named"} <= set(connection.introspection.get_constraints(cursor, "garage_car"))
    finally:
        with connection.schema_editor() as editor:
            editor.execute("DROP TABLE garage_car")
