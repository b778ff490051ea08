"""Names that the other apps know in English alone - of models, their fields and what may stand in these - in the
viewer's language. They are found in the console's catalogue when they are shown; what is stored stays as it is."""

from collections.abc import Iterable

from django.apps import apps
from django.db.models import Field, Model
from django.db.models.enums import ChoicesType
from django.utils.functional import lazy
from django.utils.translation import gettext, pgettext

from otaserver.campaigns.models import Assignment
from otaserver.console import sentences
from otaserver.events.models import Delivery

# What Django would make of these is no word: it writes the first letter of a name large, and no other.
_EXACT = {"url": "URL", "sha256": "SHA-256", "sha512": "SHA-512", "ecu serial": "ECU serial"}

# By model: one and several of what the menu and the documents call otherwise than the code.
_IN_THE_CONSOLE = {
    "authenticationset": ("device", "devices"),
    "endpoint": ("webhook", "webhooks"),
    "entry": ("record", "records"),
    "fleetimport": ("import", "imports"),
    "mail": ("letter", "letters"),
    "seenrequest": ("request", "requests"),
}


def translate_names(models: Iterable[type[Model]]) -> None:
    """Let these models and the apps that they belong to be called by the viewer's words."""
    for model in models:
        names = model._meta
        # The plural first: Django makes one from the singular, when it is shown.
        several = str(names.verbose_name_plural)
        one, several = _IN_THE_CONSOLE.get(str(names.model_name), (names.verbose_name, several))
        names.verbose_name_plural = _lazy(several)
        names.verbose_name = _lazy(one)
        app = apps.get_app_config(names.app_label)
        app.verbose_name = _lazy(app.verbose_name)
        for field in names.get_fields():
            if isinstance(field, Field):
                _translate_field(field)


def called(row: object) -> str:
    """Return what a row is called where its page is headed."""
    # Too short for a pattern: many a reason that a person gave would fit it.
    if isinstance(row, Assignment):
        return gettext("%(vehicle)s in %(campaign)s") % {"vehicle": row.vehicle, "campaign": row.campaign}
    if isinstance(row, Delivery):
        return gettext("%(event)s to %(endpoint)s") % {"event": row.event, "endpoint": row.endpoint}
    return sentences.of(str(row))


def choices_of(values: ChoicesType) -> list[tuple[str, object]]:
    """Return what a form offers to choose from."""
    return [(value, _lazy(label)) for value, label in values.choices]


def _translate_field(field: "Field[object, object]") -> None:
    field.verbose_name = _lazy(field.verbose_name)
    if field.choices:
        field.choices = [(value, _lazy(label)) for value, label in field.flatchoices]


def _lazy(name: object) -> str:
    # Lazily: which language is asked for is known only when it is shown. A second time changes nothing.
    found: str = _named(_EXACT.get(name, name)) if isinstance(name, str) else name  # type: ignore[assignment]
    return found


def _of_catalogue(name: str) -> str:
    # A word that counts ("3 vehicles") may be another one there than the name of what is counted.
    found = pgettext("name", name)
    return gettext(name) if found == name else found


_named = lazy(_of_catalogue, str)
