"""The house as a whole: what no part of it can keep alone."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command, get_commands

from otaserver.celery import app
from tests.processes import ROOT, environment

PRODUCTION = {
    "DATABASE_URL": "postgresql://ota@db.example/ota",
    "REDIS_URL": "redis://redis.example/0",
    "OTA_STORAGE_URL": "s3://packages",
    "OTA_SECRET_KEY": "secret",
    "OTA_URL_SECRET": "another secret",
    "OTA_ONLINE_KEYS": "/keys",
    "OTA_ALLOWED_HOSTS": "ota.example",
}
TARGETS = ["demo", "serve", "test", "check", "bench", "fmt"]


def run(*command, **more):
    return subprocess.run(
        command, cwd=ROOT, env=environment(settings.VAR_DIR, **more), capture_output=True, text=True, check=False
    )


def readme_commands():
    """Every line of the README's shell blocks, joined where it goes on, without what stands before the command."""
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


@pytest.mark.xdist_group("together")
def test_tests_of_one_group_stay_on_one_worker(request):
    # Some releases of pytest and xdist do not understand each other, and say nothing.
    if getattr(request.config.option, "loadgroup", False):
        assert request.node.nodeid.endswith("@together")


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_no_part_imports_what_it_may_not():
    checked = run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")

    assert checked.returncode == 0, checked.stdout


def test_every_package_that_runs_is_pinned():
    lines = (ROOT / "requirements.txt").read_text().splitlines()

    pinned = re.compile(r"[\w.-]+(\[[\w,]+\])?==[\w.]+(; python_version < \"3\.\d+\")?$")
    assert [line for line in lines if not line.startswith("#") and not pinned.match(line)] == []


@pytest.mark.parametrize("target", TARGETS)
def test_make_knows_its_targets(target):
    assert run("make", "--dry-run", target).returncode == 0


@pytest.mark.parametrize("name", settings.CELERY_BEAT_SCHEDULE)
def test_what_the_clock_starts_exists(name):
    app.loader.import_default_modules()

    assert settings.CELERY_BEAT_SCHEDULE[name]["task"] in app.tasks


@pytest.mark.parametrize("name", settings.CELERY_BEAT_SCHEDULE)
def test_what_the_clock_starts_expires_before_it_could_pile_up(name):
    entry = settings.CELERY_BEAT_SCHEDULE[name]

    assert 0 < entry["options"]["expires"] <= max(5, entry["schedule"])


def test_the_clock_looks_for_uploads_straight_to_a_bucket_only_where_there_is_one():
    ask = "from otaserver import settings; print('direct-uploads' in settings.CELERY_BEAT_SCHEDULE)"

    found = [
        run(sys.executable, "-c", ask, **PRODUCTION, **more).stdout.strip()
        for more in ({}, {"OTA_DIRECT_UPLOADS": "false"})
    ]

    # What is under way when the way is closed still comes to its end.
    assert found == ["True", "True"]
    assert "direct-uploads" not in settings.CELERY_BEAT_SCHEDULE


def test_production_starts_with_all_its_secrets():
    assert run(sys.executable, "-c", "import otaserver.settings", **PRODUCTION).returncode == 0


@pytest.mark.parametrize("name", PRODUCTION)
def test_production_names_the_secret_without_which_it_does_not_start(name):
    given = {key: value for key, value in PRODUCTION.items() if key != name}

    refused = run(sys.executable, "-c", "import otaserver.settings", **given)

    assert refused.returncode == 1
    last = refused.stderr.splitlines()[-1]
    assert last.startswith(f"django.core.exceptions.ImproperlyConfigured: Production does not start without: {name} (")
    assert [other for other in given if other in last] == []


def test_an_address_that_a_password_makes_unreadable_is_refused_without_telling_the_password():
    given = PRODUCTION | {"DATABASE_URL": "postgresql://ota:half/other@db.example/ota"}

    refused = run(sys.executable, "-c", "import otaserver.settings", **given)

    assert refused.stderr.splitlines()[-1].startswith(
        "django.core.exceptions.ImproperlyConfigured: DATABASE_URL is not"
    )
    assert "half" not in refused.stderr


@pytest.mark.parametrize("name", ["OTA_PORT", "OTA_DB_POOL", "OTA_TICK_SECONDS"])
def test_a_number_that_is_none_is_refused_with_the_variable_that_has_it(name):
    refused = run(sys.executable, "manage.py", "check", **PRODUCTION, **{name: "ten"})

    assert refused.returncode == 1
    assert refused.stderr.startswith("The environment is not as it has to be (docs/production.md). ")
    assert f"{name} is 'ten': " in refused.stderr
    assert "Traceback" not in refused.stderr


def test_what_is_missing_is_told_to_whoever_runs_a_command_without_a_traceback():
    refused = run(sys.executable, "manage.py", "migrate", **PRODUCTION | {"OTA_SECRET_KEY": ""})

    assert refused.returncode == 1
    assert refused.stderr.splitlines()[0].endswith("without: OTA_SECRET_KEY (signs console sessions).")
    assert "Traceback" not in refused.stderr


@pytest.mark.long
def test_a_database_that_does_not_answer_is_told_to_whoever_runs_a_command_without_a_traceback(tmp_path):
    nowhere = PRODUCTION | {"DATABASE_URL": f"postgresql://ota@/ota?host={tmp_path}"}

    refused = run(sys.executable, "manage.py", "migrate", **nowhere)

    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("The database that DATABASE_URL names does not let anybody in")
    assert "No such file or directory" in refused.stderr
    assert "Traceback" not in refused.stderr


# Without production's environment each of them is asked of another server, which is not there yet.
@pytest.mark.parametrize(
    "words", [["after_restore"], ["backup", "{}/backup"], ["create_tenant", "north"], ["drill", "fleet-ca", "north"]]
)
def test_a_command_for_a_database_without_tables_says_which_database_that_is(words, tmp_path):
    options = ["--dry-run"] if words[0] == "drill" else []
    words = [word.format(tmp_path) for word in words]

    refused = run(sys.executable, "manage.py", *words, *options, OTA_VAR=str(tmp_path / "var"))

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"The database {tmp_path}/var/db.sqlite3 has no such table as it should (no such")
    assert "`manage.py migrate`" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("more", [PRODUCTION, {}])
def test_the_folder_of_the_online_keys_may_be_given_as_a_uri(more):
    """Whoever reads or writes there (keys, CAs, marks, backups) has it from the settings."""
    ask = "from otaserver import settings; print(settings.ONLINE_KEYS)"

    found = run(sys.executable, "-c", ask, **more | {"OTA_ONLINE_KEYS": "file2:/srv/keys"})

    assert found.stdout == "/srv/keys\n"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "Single sign-on does not work without OTA_OIDC_CLIENT_ID, OTA_OIDC_CLIENT_SECRET, OTA_OIDC_ROLES."),
        ({"OTA_OIDC_ROLES": "a=b:king"}, "OTA_OIDC_ROLES: 'a=b:king' is not group=tenant:role with one of the roles"),
    ],
)
def test_half_a_single_sign_on_does_not_start(given, sentence):
    refused = run(sys.executable, "-c", "import otaserver.settings", OTA_OIDC_ISSUER="https://id.example", **given)

    assert refused.returncode == 1
    assert sentence in refused.stderr.splitlines()[-1]


@pytest.mark.parametrize("module", ["otaserver.celery", "otaserver.wsgi"])
def test_every_process_counts_where_the_others_do(tmp_path, module):
    look = f"import {module}, prometheus_client.values as values; print(values.ValueClass.__name__)"

    counted = run(sys.executable, "-c", look, OTA_VAR=tmp_path / "var")

    assert (counted.returncode, counted.stdout.strip()) == (0, "MmapedValue"), counted.stderr


def test_reading_the_settings_makes_no_folder_to_count_in(tmp_path):
    run(sys.executable, "-c", "import otaserver.settings", OTA_VAR=tmp_path / "var")

    assert not (tmp_path / "var" / "metrics").exists()


def test_production_writes_no_secrets_of_its_own(tmp_path):
    run(sys.executable, "-c", "import otaserver.settings", **PRODUCTION, OTA_VAR=tmp_path / "var")

    assert not (tmp_path / "var" / "secrets.json").exists()


def test_every_make_target_and_command_in_the_readme_exists():
    found = readme_commands()
    commands = get_commands()
    makefile = (ROOT / "Makefile").read_text()

    assert len(found) > 5
    for line in found:
        for target in re.findall(r"\bmake ([a-z-]+)", line):
            assert re.search(rf"^{target}:", makefile, re.M), line
        for command in re.findall(r"manage\.py (\w+)", line):
            assert command in commands, line
        for module in re.findall(r"python -m (clients\.\w+|tests)", line):
            assert find_spec(f"{module}.__main__"), line
