"""How the console's templates write states, times and numbers."""

from datetime import datetime
from decimal import Decimal

from django import template
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from otaserver.campaigns.rules.windows import WEEKDAYS, Window
from otaserver.console import charts, failure_words, names, refusals, sentences, words
from otaserver.console.tables import NOTHING, badge
from otaserver.fleet.rules import zone_of

register = template.Library()


register.filter("state_label", badge)
register.filter("in_bytes", charts.in_bytes)
register.filter("refusal", refusals.of)
register.filter("called", names.called)
register.filter("wave_size", words.of_size)
register.filter("with_meaning", failure_words.with_meaning)


@register.filter
def state_word(state: str) -> str:
    return words.of_state(state)


@register.filter
def action_word(kind: str) -> str:
    return words.of_decision(kind)


@register.filter
def sentence(text: str) -> str:
    return sentences.of(text)


@register.filter
def record_word(action: str) -> str:
    """Return an action of the records for people."""
    return words.of_record(action)


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """Return a time by the viewer's clock."""
    if value is None:
        return NOTHING
    shown = formats.date_format(timezone.localtime(value), "DATETIME_FORMAT")
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), shown)


@register.filter
def there(value: datetime | None, zone: str) -> str:
    """Return a time by the clock of a vehicle's zone, empty where that is the viewer's own."""
    known = zone_of(zone)
    if value is None or known is None or zone == timezone.get_current_timezone_name():
        return ""
    return f"{timezone.localtime(value, known):%Y-%m-%d %H:%M} {zone}"


@register.filter
def stratum(name: str) -> SafeString:
    """Return the name of a stratum, which a line may end after each of its parts, and nowhere else."""
    return format_html_join(mark_safe("+<wbr>"), "{}", ((part,) for part in name.split("+")))


@register.filter
def signed(value: float) -> str:
    return f"{value:+.2f}"


@register.filter
def percent(value: float) -> str:
    return f"{100 * value:.2f} %"


@register.filter
def normal(value: Decimal) -> str:
    """Return a decimal number without zeros at its end."""
    return f"{value.normalize():f}"


@register.filter
def duration(seconds: int) -> str:
    """Return a number of seconds in the largest unit of which it is a whole number."""
    if seconds and seconds % 86400 == 0:
        return _("%(number)s d") % {"number": seconds // 86400}
    if seconds and seconds % 3600 == 0:
        return _("%(number)s h") % {"number": seconds // 3600}
    if seconds and seconds % 60 == 0:
        return _("%(number)s min") % {"number": seconds // 60}
    return _("%(number)s s") % {"number": seconds}


@register.filter
def window_words(window: Window) -> str:
    """Return a recurring window in words, in the viewer's language."""
    days = [str(words.WEEKDAYS[name]) for bit, name in enumerate(WEEKDAYS) if window.weekdays >> bit & 1]
    return _("%(days)s from %(start)s for %(minutes)s min") % {
        "days": ", ".join(days),
        "start": f"{window.start_minute // 60:02}:{window.start_minute % 60:02}",
        "minutes": window.length_minutes,
    }
