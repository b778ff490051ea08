"""What is in `deploy/`, which cannot be started here, held against what it starts."""

import re
import shlex
import shutil
import subprocess

import pytest
import yaml
from celery.bin.beat import beat
from celery.bin.worker import worker
from django.core.management import get_commands
from granian.cli import cli as granian

from tests.deploy.units import read_unit
from tests.processes import ROOT
from tests.test_docs import VARIABLE

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
FILES = [*UNITS, DEPLOY / "compose.yaml", DEPLOY / "Dockerfile", DEPLOY / "ota.env.example"]
NEEDED = {"DATABASE_URL", "REDIS_URL", "OTA_STORAGE_URL", "OTA_SECRET_KEY", "OTA_URL_SECRET", "OTA_ONLINE_KEYS"}


def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def commands():
    """Every command line, as words, with what it stands in."""
    for unit in UNITS:
        for line in re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.M):
            yield unit.name, shlex.split(line)
    for name, service in compose()["services"].items():
        if "command" in service:
            yield name, service["command"]
    yield "Dockerfile", yaml.safe_load(re.search(r"^CMD (\[.*\])", dockerfile(), re.M | re.S)[1])


def dockerfile():
    return (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")


def options_of(command):
    return {name for option in command.params for name in [*option.opts, *option.secondary_opts]}


def unknown_option(words):
    """Return the first option that the program which these words start does not have."""
    text = " ".join(words)
    if "manage.py" in text:
        named = re.findall(r"manage\.py (\w+)", text)
        return next((name for name in named if name not in get_commands()), None)
    if "granian" in words:
        known, given = options_of(granian), words[words.index("granian") + 1 :]
    elif "celery" in words:
        kind = worker if "worker" in words else beat
        known, given = options_of(kind) | {"--app"}, words[words.index("celery") + 1 :]
    else:
        return None
    return next((word for word in given if word.startswith("--") and word.partition("=")[0] not in known), None)


@pytest.mark.parametrize(("place", "words"), list(commands()), ids=[place for place, _ in commands()])
def test_every_command_is_one_that_its_program_knows(place, words):
    assert unknown_option(words) is None


def test_an_option_that_is_none_is_found():
    assert unknown_option(["python", "-m", "granian", "--workers", "2", "--wrokers", "2"]) == "--wrokers"
    assert unknown_option(["python", "-m", "celery", "--app", "x", "beat", "--pool", "threads"]) == "--pool"
    assert unknown_option(["python", "manage.py", "migrat"]) == "migrat"


def test_every_application_that_is_named_exists():
    named = {word for _, words in commands() for word in words if re.fullmatch(r"otaserver\.[\w.]+:\w+", word)}

    assert named == {"otaserver.wsgi:application", "otaserver.embedded.downloads:make_app"}
    for each in named:
        path, _, name = each.partition(":")
        assert re.search(rf"^(def )?{name}\b", (ROOT / f"{path.replace('.', '/')}.py").read_text(), re.M)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_variable_that_is_named_is_in_the_reference(path):
    described = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "production.md").read_text(), re.M))

    assert set(re.findall(VARIABLE, path.read_text())) - described == set()


def test_the_example_has_everything_without_which_production_does_not_start():
    given = set(re.findall(r"^(\w+)=", (DEPLOY / "ota.env.example").read_text(), re.M))

    assert NEEDED | {"OTA_ALLOWED_HOSTS"} <= given


# What runs in a container as it runs by a unit.
AS_UNITS = {
    "migrate": "ota-migrate.service",
    "web-8000": "ota-web@8000.service",
    "web-8001": "ota-web@8001.service",
    "worker": "ota-worker.service",
    "beat": "ota-beat.service",
    "nginx": "ota-nginx.service",
}


def unit_of(name):
    file = re.sub(r"@\d+", "@", AS_UNITS[name])
    return read_unit(AS_UNITS[name], (DEPLOY / "systemd" / file).read_text())


def arguments(words):
    """What a program is told, wherever the program itself lies."""
    return [word for word in words if not word.endswith(("/python", "/nginx")) and word not in ("python", "nginx")]


def test_every_part_of_the_server_runs_after_the_migration():
    services = compose()["services"]

    assert set(services) == {"host", "database", "redis", *AS_UNITS}
    for name in set(AS_UNITS) - {"migrate"}:
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        if name != "nginx":
            # Wanted, not required: PostgreSQL may be there after a second try alone.
            for relation in ("Wants", "After", "PartOf"):
                assert "ota-migrate.service" in unit_of(name).names(relation)
            waits = "+/bin/systemctl is-active --quiet ota-migrate.service"
            assert (unit_of(name).all("ExecStartPre"), unit_of(name).one("Restart")) == ([waits], "always")


@pytest.mark.parametrize("name", sorted(set(AS_UNITS) - {"migrate"}))
def test_a_container_is_told_what_its_unit_tells(name):
    service, unit = compose()["services"][name], unit_of(name)

    (line,) = unit.all("ExecStart")
    assert arguments(service["command"]) == arguments(shlex.split(line))
    assert service.get("stop_grace_period") == (
        f"{unit.one('TimeoutStopSec')}s" if unit.one("TimeoutStopSec") else None
    )
    assert service.get("stop_signal") == (unit.one("KillSignal") or None)


def test_the_container_that_migrates_does_what_its_unit_does():
    script = compose()["services"]["migrate"]["command"][-1].splitlines()

    done = [arguments(shlex.split(line)) for line in script]
    assert done[:2] == [arguments(shlex.split(line)) for line in unit_of("migrate").all("ExecStart")]
    # For a new version nothing less is done.
    assert unit_of("migrate").all("ExecReload") == unit_of("migrate").all("ExecStart")
    # The page has it done by hand, before nginx first starts.
    assert done[2:] == [["manage.py", "fleet_authorities", "/srv/ota/nginx/authorities.pem"]]


def test_nginx_finds_both_groups_where_it_looks_for_them_by_units_and_in_containers():
    text, services = (DEPLOY / "nginx.conf").read_text(), compose()["services"]

    looked_for = {f"{host}:{port}" for host, port in re.findall(r"^\s+server ([\d.]+):(\d+) ", text, re.M)}
    given = [services[name]["command"] for name in AS_UNITS if name.startswith("web-")]
    assert looked_for == {f"{words[words.index('--host') + 1]}:{words[words.index('--port') + 1]}" for words in given}
    assert {(services[name]["network_mode"], services[name]["pid"]) for name in AS_UNITS} == {("service:host",) * 2}
    assert services["host"]["ports"] == ["443:443"]
    assert "listen 443 ssl;" in text
    (trusted,) = re.findall(r"^OTA_TRUSTED_PROXIES=(.*)$", (DEPLOY / "ota.env.example").read_text(), re.M)
    assert f"proxy_bind {trusted};" in text
    for name in set(AS_UNITS) - {"nginx"}:
        assert {"OTA_TRUSTED_PROXIES", "OTA_ACCEL_PREFIX"} & set(services[name]["environment"]) == set()


def test_containers_are_asked_whether_they_are_ready_at_their_own_port():
    for name in ("web-8000", "web-8001"):
        service = compose()["services"][name]
        assert service["environment"]["OTA_PORT"] == int(name.removeprefix("web-"))
        assert 'os.environ["OTA_PORT"]' in service["healthcheck"]["test"][-1]
        compile(service["healthcheck"]["test"][-1], name, "exec")


def test_postgresql_is_healthy_only_once_it_listens_where_it_is_called():
    assert "pg_isready --host 127.0.0.1 " in compose()["services"]["database"]["healthcheck"]["test"][-1]


def test_what_the_containers_say_is_not_kept_for_ever():
    assert {service["logging"]["driver"] for service in compose()["services"].values()} == {"local"}


def test_what_the_compose_file_refers_to_exists():
    read = compose()
    mounted = {volume.partition(":")[0] for each in read["services"].values() for volume in each.get("volumes", [])}

    files = {name for name in mounted if name.startswith("./")}
    assert mounted - files == set(read["volumes"])
    # The certificate is the host's own, and the page says where it comes from.
    assert files == {"./nginx.conf", "./server.pem", "./server.key"}
    assert (DEPLOY / "nginx.conf").exists()
    assert (DEPLOY / read["x-ota"]["build"]["dockerfile"].removeprefix("deploy/")).exists()
    for source in re.findall(r"^COPY (\S+) ", dockerfile(), re.M):
        assert (ROOT / source).exists()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_with_the_units():
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, UNITS)], capture_output=True, text=True, check=False
    )

    # The programs are where the page says, and not here.
    complaints = [line for line in checked.stderr.splitlines() if "is not executable: No such file" not in line]
    assert [line for line in complaints if "ota-" in line] == []
