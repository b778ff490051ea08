"""The demo and the simulation start over in a folder of their own: they never touch what `make serve` keeps."""

import os
import shutil
import sys
from pathlib import Path

from django.conf import settings

_MARK = "OTA_OWN_FOLDER"
# It is always the embedded server: a production database would fill with cars that do not exist.
_ELSEWHERE = frozenset({"DATABASE_URL", "REDIS_URL", "OTA_STORAGE_URL"})


def restart_in_own_folder(name: str) -> None:
    """Empty `name` below the folder of run-time data and run this command again with it as that folder.

    Returns at once in the second run.
    """
    if os.environ.get(_MARK) == name:
        return
    folder = settings.VAR_DIR / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = {key: value for key, value in os.environ.items() if key not in _ELSEWHERE}
    environment |= {"OTA_VAR": str(folder), _MARK: name}
    os.execve(sys.executable, [sys.executable, str(Path(sys.argv[0]).resolve()), *sys.argv[1:]], environment)
