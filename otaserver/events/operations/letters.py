"""Letters to members: who is written to about what, and not more than one about a subject in an hour."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max

from otaserver.audit import operations as audit
from otaserver.events.errors import MailSettingsRefusedError
from otaserver.events.models import Event, Mail, MailPreference, MailSettings
from otaserver.events.queries import mails as queries
from otaserver.events.rules import letters as rules
from otaserver.events.rules.types import TYPES
from otaserver.events.states import MailState
from otaserver.tenants.models import Tenant, User

EVERY = timedelta(hours=1)
TRIES = 8


def write(tenant: Tenant, events: Iterable[Event], *, at: datetime) -> None:
    """Add events to letters that wait, or begin one: due at once, or an hour after the last about this subject."""
    told = [(event, kind) for event in events if (kind := TYPES[event.type].mail) is not None]
    if not told:
        return
    readers = queries.readers(tenant)
    for event, kind in told:
        for address in readers.get(kind, ()):
            _letter(tenant, address, event.subject, at=at).events.add(event)


def _letter(tenant: Tenant, address: str, subject: str, *, at: datetime) -> Mail:
    rows = Mail.objects.filter(tenant=tenant, address=address, subject=subject)
    last = rows.aggregate(last=Max("sent_at"))["last"]
    due = at if last is None else max(at, last + EVERY)
    made, _ = rows.get_or_create(
        tenant=tenant, address=address, subject=subject, state=MailState.PENDING, defaults={"due_at": due}
    )
    return made


def record_sent(mail: Mail, *, at: datetime) -> None:
    """Note that a mail server has taken a letter."""
    Mail.objects.filter(pk=mail.pk, state=MailState.PENDING).update(
        state=MailState.SENT, sent_at=at, tries=mail.tries + 1, problem=""
    )


def record_unwanted(mail: Mail) -> None:
    """Note that whoever had this address has left, or reads nothing of this kind any more; it is not sent."""
    Mail.objects.filter(pk=mail.pk, state=MailState.PENDING).update(
        state=MailState.FAILED, problem="Nobody at this address is to read it any more."
    )


def record_not_sent(mail: Mail, problem: str, *, at: datetime) -> None:
    """Note that no mail server took a letter; it is tried again, twice as late each time, and given up in the end."""
    tries = mail.tries + 1
    state = MailState.FAILED if tries >= TRIES else MailState.PENDING
    due = at + timedelta(minutes=2**tries)
    Mail.objects.filter(pk=mail.pk, state=MailState.PENDING).update(
        state=state, tries=tries, due_at=due, problem=problem[:300]
    )


@transaction.atomic
def change_mail_settings(
    tenant: Tenant, *, kinds: Sequence[str], addresses: Sequence[str], by: str, at: datetime
) -> MailSettings:
    """Set what a tenant's members are written to about, and which further addresses are.

    Raises:
        MailSettingsRefusedError: the sentence says what cannot be.
    """
    _refuse(rules.kinds_problem(kinds) or rules.addresses_problem(addresses))
    settings, _ = MailSettings.objects.update_or_create(
        tenant=tenant, defaults={"kinds": sorted(set(kinds)), "addresses": list(dict.fromkeys(addresses))}
    )
    audit.record("mail.settings_changed", tenant, tenant=tenant, by=by, at=at, kinds=settings.kinds)
    return settings


@transaction.atomic
def choose_mail(tenant: Tenant, user: User, *, kinds: Sequence[str], by: str, at: datetime) -> MailPreference:
    """Set what one member is written to about, in place of what their role says.

    Raises:
        MailSettingsRefusedError: there is no such kind.
    """
    _refuse(rules.kinds_problem(kinds))
    chosen, _ = MailPreference.objects.update_or_create(
        tenant=tenant, user=user, defaults={"kinds": sorted(set(kinds))}
    )
    audit.record("mail.chosen", user.get_username(), tenant=tenant, by=by, at=at, kinds=chosen.kinds)
    return chosen


def _refuse(problem: str | None) -> None:
    if problem is not None:
        raise MailSettingsRefusedError(problem)
