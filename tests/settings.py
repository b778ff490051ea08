"""The settings under test: the embedded default, on the database of this run, with its files in a temporary folder.

OTA_TEST_DATABASE chooses `sqlite` (default) or `postgresql`; the latter uses DATABASE_URL where given, or else starts a
server of its own. Workers of pytest-xdist inherit the environment and with it both, and get folders of their own.
"""

import os
import tempfile
from pathlib import Path

import environ

from tests import postgresql

if "OTA_TEST_ROOT" not in os.environ:
    os.environ["OTA_TEST_ROOT"] = tempfile.mkdtemp(prefix="ota-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT"))
ROOT = Path(os.environ["OTA_TEST_ROOT"])
USES_POSTGRESQL = os.environ.get("OTA_TEST_DATABASE", "sqlite") == "postgresql"
DATABASE_URL = postgresql.url(ROOT) if USES_POSTGRESQL else ""

# What is tested is the embedded default, whatever the environment says.
for _name in [name for name in os.environ if name.startswith("OTA_") and not name.startswith("OTA_TEST_")]:
    del os.environ[_name]
for _name in ("DATABASE_URL", "REDIS_URL"):
    os.environ.pop(_name, None)
os.environ["OTA_VAR"] = str(ROOT / os.environ.get("PYTEST_XDIST_WORKER", "main"))

from otaserver.settings import *  # noqa: E402, F403
from otaserver.settings import DATABASES, METRICS_DIR, VAR_DIR  # noqa: E402

METRICS_DIR.mkdir(parents=True, exist_ok=True)
if USES_POSTGRESQL:
    DATABASES["default"] = environ.Env.db_url_config(DATABASE_URL)
# A file rather than memory: connections of several threads then are what they are in production.
DATABASES["default"]["TEST"] = {"NAME": "test_ota" if USES_POSTGRESQL else str(VAR_DIR / "test.sqlite3")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Each test client would otherwise read every static file of every package: nine tenths of what a request takes.
WHITENOISE_AUTOREFRESH = True
