#!/usr/bin/env python
"""Django's command line for the OTA server."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import Error, connection


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "otaserver.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"The environment is not as it has to be (docs/production.md). {error}")
    except Error as error:
        place = _where_tables_are_missing(error)
        if not place:
            raise
        sys.exit(
            f"{place} has no such table as it should ({str(error).splitlines()[0]}): see that it is the database "
            "meant, then run `manage.py migrate`. In production the environment says which (docs/production.md)."
        )


def _where_tables_are_missing(error: Error) -> str:
    """Return the database, where it is one that nobody has brought up to date, or another one than was meant."""
    if "no such table" in str(error) or getattr(error.__cause__, "sqlstate", "") == "42P01":
        return f"The database {connection.settings_dict['NAME']}"
    return ""


if __name__ == "__main__":
    main()
