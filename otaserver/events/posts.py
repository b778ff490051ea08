"""A letter as it is sent: text and HTML, with a link to what it is about."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from otaserver.events.models import Event, Mail

IN_ONE_TURN = 50
# More of them are counted.
SHOWN = 20
_PAGES = {"campaign": "campaigns/campaign", "package": "firmware_store/package", "release": "firmware_store/release"}


@dataclass(frozen=True)
class Line:
    at: str
    sentence: str


def send(mail: Mail) -> str | None:
    """Send a letter; return why no mail server took it, or None."""
    try:
        compose(mail).send()
    except (OSError, ValueError) as error:
        # smtplib's errors are of the first kind; of the second is an address that no letter can be written to.
        return f"{type(error).__name__}: {error}"
    return None


def compose(mail: Mail) -> EmailMultiAlternatives:
    events = sorted(mail.events.all(), key=lambda event: event.sequence)
    context = {
        "tenant": mail.tenant.name,
        "lines": [Line(f"{event.at:%Y-%m-%d %H:%M} UTC", event.data["sentence"]) for event in events[-SHOWN:]],
        "more": max(0, len(events) - SHOWN),
        "link": link_to(mail.subject),
    }
    message = EmailMultiAlternatives(
        subject=f"[{mail.tenant.name}] {_subject(events)}",
        body=render_to_string("events/letter.txt", context),
        to=[mail.address],
        headers={"Auto-Submitted": "auto-generated"},
    )
    message.attach_alternative(render_to_string("events/letter.html", context), "text/html")
    return message


def link_to(subject: str) -> str:
    """Return where the console shows what events of this subject are about."""
    kind, _, key = subject.partition("/")
    page = f"{_PAGES[kind]}/{key}/change/" if kind in _PAGES and key.isdigit() else ""
    return f"{settings.PUBLIC_URL}/console/{page}"


def _subject(events: Sequence[Event]) -> str:
    # One line: what a mail server would take for another header is no part of it.
    last = " ".join(str(events[-1].data["sentence"]).split()) if events else "Nothing any more"
    shown = last if len(last) <= 120 else last[:119] + "…"
    return shown if len(events) < 2 else f"{shown} (and {len(events) - 1} before)"
