"""Refusals in the viewer's language: a sentence that is known as a whole, else what its code says, and the sentence.

The API's stay English. A code is stable where its sentence changes, so each of them is in the catalogue of the console,
and the sentence, which holds the actual values, is never kept from whoever has to act on it.
"""

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from otaserver.console import sentences
from otaserver.errors import OtaError

CONTEXT = "refusal"


def of(error: OtaError) -> str:
    """Return what a refusal says to the viewer."""
    return told(error.code, error.message)


def told(code: str, sentence: str) -> str:
    """Return the same of a refusal that was written down."""
    translated = sentences.of(sentence)
    if translated != sentence:
        return translated
    # Where the viewer's language is the sentence's, the catalogue has nothing and gives the code back.
    summary = pgettext(CONTEXT, code) if code else code
    if summary == code:
        return sentence
    return _("%(summary)s (%(sentence)s)") % {"summary": summary, "sentence": sentence} if sentence else summary
