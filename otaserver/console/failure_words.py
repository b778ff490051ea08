"""What failure codes mean, in the viewer's language: the catalogue of `failures` is written in English."""

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from otaserver.campaigns.models import WorkshopCase
from otaserver.campaigns.rules import failures
from otaserver.console import sentences
from otaserver.console.tables import NOTHING


def meaning_of(code: str) -> str:
    """Return what a code means; nothing of one that nobody has described."""
    known = failures.CATALOGUE.get(code)
    return gettext(known.meaning) if known is not None else ""


def with_meaning(code: str) -> SafeString | str:
    """Return a code and below it what it means, for a table's cell."""
    if not code:
        return NOTHING
    meaning = meaning_of(code)
    shown = format_html("<code>{}</code>", code)
    return format_html('{} <span class="c-there">{}</span>', shown, meaning) if meaning else shown


def reason_of(case: WorkshopCase) -> str:
    """Return why a vehicle is in the workshop: the catalogue's sentences about its code, and between them its own."""
    known = failures.CATALOGUE.get(case.code)
    if known is None or not (case.reason.startswith(known.meaning) and case.reason.endswith(known.advice)):
        return sentences.of(case.reason)
    own = case.reason[len(known.meaning) : -len(known.advice)].strip()
    return " ".join(part for part in (gettext(known.meaning), own, gettext(known.advice)) if part)
