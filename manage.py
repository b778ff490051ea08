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
        sentence = _explained(error)
        if not sentence:
            raise
        sys.exit(sentence)


def _explained(error: Error) -> str:
    """Return what an operator can do about it; "" where it is not for them."""
    if "no such table" in str(error) or getattr(error.__cause__, "sqlstate", "") == "42P01":
        # One that nobody has brought up to date, or another one than was meant.
        return (
            f"The database {connection.settings_dict['NAME']} has no such table as it should "
            f"({str(error).splitlines()[0]}): see that it is the database meant, then run `manage.py migrate`. "
            "In production the environment says which (docs/production.md)."
        )
    if type(error.__cause__).__name__ == "PoolTimeout":
        return "The database that DATABASE_URL names does not let anybody in: the lines above say why."
    return ""


if __name__ == "__main__":
    main()
