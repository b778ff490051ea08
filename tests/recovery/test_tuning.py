"""What PostgreSQL is told of tables, and that the page says the same."""

from io import StringIO

import pytest
from django.core.management import call_command

from otaserver.recovery import tuning
from tests.processes import ROOT


@pytest.mark.django_db
@pytest.mark.postgresql
def test_every_hot_table_is_told_once():
    first, second = StringIO(), StringIO()

    call_command("tune_postgresql", stdout=first)
    call_command("tune_postgresql", stdout=second)

    assert len(first.getvalue().splitlines()) == len(tuning.TABLES)
    assert second.getvalue() == ""
    for model, wanted in tuning.TABLES.items():
        assert tuning.parameters_of(model._meta.db_table) == dict(wanted)


@pytest.mark.django_db
@pytest.mark.any_database
def test_another_database_is_told_nothing():
    said = StringIO()

    call_command("tune_postgresql", stdout=said)

    assert said.getvalue() == "The database is sqlite: there is nothing to tell it.\n"


def test_the_page_names_every_table_and_value():
    page = (ROOT / "docs" / "postgresql.md").read_text()

    for model, wanted in tuning.TABLES.items():
        assert f"`{model._meta.db_table}`" in page
        for name, value in wanted.items():
            assert f"`{name} = {value}`" in page
