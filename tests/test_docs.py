"""The pages of `docs/` and the README, held against the code that they speak of."""

import re

import pytest
import typer
from django.core.management import get_commands

from clients.fleet.__main__ import app as fleet
from clients.publisher.cli.main import app as publisher
from clients.vehicle.__main__ import app as vehicle
from tests.processes import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CLIENTS = {"fleet": fleet, "publisher": publisher, "vehicle": vehicle}
# What the settings, and the programs beside them, take from the environment.
READERS = [ROOT / "otaserver" / "settings.py", *sorted((ROOT / "otaserver" / "embedded").rglob("*.py"))]
# The publisher's own, the mark that the demo leaves for itself, and which database tests and benches are on.
ELSEWHERE = {"OTA_URL", "OTA_TOKEN", "OTA_KEYS", "OTA_PROFILE", "OTA_CONFIG", "OTA_OWN_FOLDER", "OTA_TEST_DATABASE"}
VARIABLE = re.compile(r"\b(OTA_[A-Z_]*[A-Z]|DATABASE_URL|REDIS_URL)\b")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def code_of(page):
    """Every command line of a page, in blocks and in sentences, joined where it goes on."""
    text = page.read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    spans = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines() + [span.replace("\n", " ") for span in spans]
    return [line.strip() for line in lines if line.strip()]


def unknown_part(app, words):
    """Return the first word that is no sub-command where one is due, and the first option that the command lacks."""
    command = typer.main.get_command(app)
    while getattr(command, "commands", None) and words and re.fullmatch(r"[a-z-]+", words[0]) and words[0][0] != "-":
        if words[0] not in command.commands:
            return words[0]
        command, words = command.commands[words[0]], words[1:]
    options = {name for option in command.params for name in [*option.opts, *option.secondary_opts]} | {"--help"}
    return next((word for word in words if re.match(r"--[a-z]", word) and word not in options), None)


def variables_read():
    named = {name for path in READERS for name in re.findall(VARIABLE, path.read_text())}
    return named - {"OTA_"}


@each_page
def test_every_link_leads_to_a_file(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())

    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_every_page_is_linked_from_the_readme():
    text = PAGES[0].read_text()

    assert [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in text] == []


@each_page
def test_every_page_is_short(page):
    assert len(page.read_text().splitlines()) < (150 if page.name == "README.md" else 100)


@each_page
def test_every_command_of_a_client_exists_with_its_options(page):
    lines = [re.sub(r"^ota ", "python -m clients.publisher ", line) for line in code_of(page)]
    typed = [found for line in lines if (found := re.search(r"python -m clients\.(\w+) ?([^|>]*)", line))]
    missing = [(line[0], unknown) for line in typed if (unknown := unknown_part(CLIENTS[line[1]], line[2].split()))]

    assert missing == []


@each_page
def test_every_command_of_the_server_exists(page):
    named = [name for line in code_of(page) for name in re.findall(r"manage\.py (\w+)", line)]

    assert [name for name in named if name not in get_commands()] == []


def test_commands_are_found_where_they_are_missing():
    assert unknown_part(publisher, ["campaign", "stop", "x", "--reason", "y"]) is None
    assert unknown_part(publisher, ["campaign", "stopp", "x"]) == "stopp"
    assert unknown_part(publisher, ["campaign", "stop", "x", "--because", "y"]) == "--because"
    assert unknown_part(vehicle, ["--config", "x", "--twice"]) == "--twice"


@each_page
def test_every_variable_that_is_named_exists(page):
    assert set(re.findall(VARIABLE, page.read_text())) - variables_read() - ELSEWHERE == set()


def test_every_variable_is_described_for_production():
    described = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "production.md").read_text(), re.M))

    assert variables_read() == described


def test_every_attack_names_a_test_that_tries_it():
    rows = re.findall(r"^\| A(\d+) \|.*", (ROOT / "docs" / "attacks.md").read_text(), re.M)
    table = dict(re.findall(r"^\| A(\d+) \|.*\| (.*) \|$", (ROOT / "docs" / "attacks.md").read_text(), re.M))
    untried = []
    for number, tests in table.items():
        files = [ROOT / "docs" / link for link in re.findall(r"\]\(([^)]+)\)", tests)]
        if not any(f"def test_a{int(number):02}_" in path.read_text() for path in files):
            untried.append(number)

    assert [int(number) for number in rows] == list(range(1, 31))
    # Images are not encrypted (docs/attacks.md says so).
    assert untried == ["1"]
