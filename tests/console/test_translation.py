"""Every text of the console's own is there in Chinese, and the compiled catalogue is that of the source."""

import ast
import gettext
import re
from pathlib import Path

import pytest
from django.utils.translation.template import templatize

from tests.processes import ROOT

pytestmark = pytest.mark.any_database
CONSOLE = ROOT / "otaserver" / "console"
CATALOGUE = CONSOLE / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.mo"
MARKS = {"_", "gettext", "gettext_lazy"}
PLACE = re.compile(r"%\((\w+)\)s")


def catalogue():
    with CATALOGUE.open("rb") as file:
        return gettext.GNUTranslations(file)._catalog


def texts_in_code(path):
    for node in ast.walk(ast.parse(path.read_text())):
        is_mark = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS
        if is_mark and node.args and isinstance(node.args[0], ast.Constant):
            yield node.args[0].value


def texts_in_template(path):
    """As the tool that collects them sees them: Django turns a template into calls of gettext."""
    marked = templatize(path.read_text(), origin=str(path))
    for found in re.finditer(r"\bn?gettext\((u?'(?:[^'\\]|\\.)*'|u?\"(?:[^\"\\]|\\.)*\")|\b_\((\"[^\"]*\")\)", marked):
        yield ast.literal_eval((found.group(1) or found.group(2)).removeprefix("u"))


def marked_texts():
    for path in sorted(CONSOLE.rglob("*.py")):
        for text in texts_in_code(path):
            yield path.name, text
    for path in sorted([*(CONSOLE / "templates").rglob("*.html"), *(CONSOLE / "overrides").rglob("*.html")]):
        for text in texts_in_template(path):
            yield path.name, text


def test_every_text_is_translated():
    known = {key[0] if isinstance(key, tuple) else key for key in catalogue()}

    missing = sorted({(name, text) for name, text in marked_texts() if text not in known})

    assert missing == []


def test_there_are_texts_to_translate():
    assert len({text for _, text in marked_texts()}) > 400


def test_a_translation_holds_the_same_places_for_values():
    different = [
        (key, translated)
        for key, translated in catalogue().items()
        if key and set(PLACE.findall(key if isinstance(key, str) else key[0])) != set(PLACE.findall(translated))
    ]

    assert different == []


def test_the_compiled_catalogue_is_that_of_its_source():
    source = CATALOGUE.with_suffix(".po").read_text()
    entries = re.findall(r'^msgstr(?:\[0\])? ((?:".*"\n?)+)', source, re.M)
    translated = {"".join(ast.literal_eval(line) for line in entry.splitlines()) for entry in entries}

    assert {text for key, text in catalogue().items() if key} == {
        text for text in translated if text and "charset" not in text
    }


def test_no_entry_is_fuzzy_or_empty():
    source = Path(CATALOGUE.with_suffix(".po")).read_text()

    assert "fuzzy" not in source
    assert re.findall(r'msgid "(.+)"\nmsgstr ""\n\n', source) == []
