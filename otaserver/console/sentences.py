"""What rules and the engine say in English, also where it is stored so, in the viewer's language.

A sentence is found again by its pattern, and its values are put into the translated one. What no pattern fits - a
reason that a person gave, a message of a vehicle - is shown as it is. The stored record stays as it was written.
"""

import re
from collections.abc import Mapping
from functools import cache

from django.utils.translation import get_language, gettext

from otaserver.console import words
from otaserver.console.refusal_texts import EXPECTED, REFUSALS
from otaserver.console.sentence_texts import SENTENCES

# Places for names: one that happens to be a word ("bad", "passed") is a name all the same.
_NAMES = frozenset(
    [
        *("address", "campaign", "ecu", "email", "group", "hardware", "issuer", "name", "package", "person", "release"),
        *("rollback", "signal", "subject", "target", "tenant", "url", "vehicle", "version", "zone"),
    ]
)
_TOUCHING = re.compile("[\u4e00-\u9fff][A-Za-z0-9]|[A-Za-z0-9][\u4e00-\u9fff]")
_PLACE = re.compile(r"%\((\w+)\)s|%%")


def of(sentence: str) -> str:
    """Return a sentence of ours in the viewer's language."""
    return sentence if get_language() in (None, "en") else _translated(sentence)


def _translated(sentence: str) -> str:
    for pattern, template in _patterns():
        found = pattern.fullmatch(sentence)
        if found:
            values = {
                name: value if name in _NAMES else _translated_value(value) for name, value in found.groupdict().items()
            }
            return _filled(gettext(template), values)
    return sentence


def _filled(template: str, values: Mapping[str, str]) -> str:
    found, end = "", 0
    for place in _PLACE.finditer(template):
        before, value = template[end : place.start()], values[place[1]] if place[1] else "%"
        found, end = _joined(_joined(found, before), value), place.end()
    return _joined(found, template[end:])


def _joined(left: str, right: str) -> str:
    # Between a Chinese character and a Latin letter or a digit stands a blank.
    return f"{left} {right}" if _TOUCHING.fullmatch(left[-1:] + right[:1]) else left + right


def _translated_value(value: str) -> str:
    """Return what stands in a sentence: a sentence or a word of its own, or a name."""
    # After a colon a sentence begins with a small letter.
    for sentence in (value, value[:1].upper() + value[1:]):
        translated = _translated(sentence)
        if translated != sentence:
            return translated
    first, joined, second = value.partition(" or ")
    if joined and first in EXPECTED:
        return gettext("%(first)s or %(second)s") % {"first": gettext(first), "second": _translated_value(second)}
    return words.known_state(value) or gettext(value)


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(_pattern_of(each), re.DOTALL), each) for each in (*REFUSALS, *SENTENCES)]


def _pattern_of(template: str) -> str:
    found, end = "", 0
    for place in _PLACE.finditer(template):
        found += re.escape(template[end : place.start()]) + (f"(?P<{place[1]}>.+?)" if place[1] else "%")
        end = place.end()
    return found + re.escape(template[end:])
