"""Letters, as a mail server on this machine receives them."""

import email
from datetime import timedelta
from email import policy

import pytest
from aiosmtpd.controller import Controller
from django.core import mail as outbox

from otaserver import clock
from otaserver.audit import operations as audit
from otaserver.events import operations, posts, tasks
from otaserver.events.errors import MailSettingsRefusedError
from otaserver.events.models import Mail, MailPreference
from otaserver.events.queries import mails
from otaserver.events.states import MailState
from otaserver.tenants.models import Member, User
from otaserver.tenants.states import Role
from tests.events.conftest import free_port
from tests.factories import NOON, make_tenant

pytestmark = pytest.mark.django_db


class Inbox:
    """Keeps what the server is given, as bytes and as a message."""

    def __init__(self):
        self.received = []

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=policy.default)
        self.received.append((envelope.mail_from, envelope.rcpt_tos, message))
        return "250 kept"


@pytest.fixture
def inbox(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    settings.PUBLIC_URL = "https://ota.example.com"
    handler = Inbox()
    controller = Controller(handler, hostname="127.0.0.1", port=settings.EMAIL_PORT)
    controller.start()
    yield handler
    controller.stop()


def make_member(tenant, name, role=Role.APPROVER):
    user = User.objects.create(username=name, email=f"{name}@example.com")
    return Member.objects.create(tenant=tenant, user=user, role=role)


def halt(tenant, sentence="Too many failed.", *, at=NOON, subject="campaign:7 autumn"):
    audit.record("campaign.notify", subject, tenant=tenant, by="engine", at=at, sentence=sentence, wave=1)
    operations.publish(tenant, at=at)


def send(at=NOON):
    with clock.using(lambda: at):
        tasks.send_letters()


def test_a_halt_reaches_the_approvers_mailbox_as_text_and_html_with_a_link(tenant, inbox):
    make_member(tenant, "ada")
    make_member(tenant, "vera", Role.VIEWER)
    halt(tenant, "autumn was halted: <4> of 12 failed.")

    send()

    ((sender, recipients, message),) = inbox.received
    assert (sender, recipients) == ("ota-server@localhost", ["ada@example.com"])
    assert message["Subject"] == "[acme] autumn was halted: <4> of 12 failed."
    assert message["Auto-Submitted"] == "auto-generated"
    text, html = (part.get_content() for part in message.iter_parts())
    link = "https://ota.example.com/console/campaigns/campaign/7/change/"
    assert "2026-06-01 12:00 UTC  autumn was halted: <4> of 12 failed." in text and link in text
    assert f'<a href="{link}">' in html and "&lt;4&gt; of 12 failed." in html
    assert Mail.objects.get().state == MailState.SENT


def test_who_has_left_gets_nothing_that_still_waited(tenant, inbox):
    ada, _ = make_member(tenant, "ada"), make_member(tenant, "bob")
    halt(tenant)
    ada.delete()

    send()

    assert [recipients for _, recipients, _ in inbox.received] == [["bob@example.com"]]
    assert Mail.objects.get(address="ada@example.com").state == MailState.FAILED


def test_nothing_is_sent_twice(tenant, inbox):
    make_member(tenant, "ada")
    halt(tenant)

    send()
    send()

    assert len(inbox.received) == 1


def test_one_letter_about_a_subject_in_an_hour_holds_all_that_happened_meanwhile(tenant, inbox):
    make_member(tenant, "ada")
    halt(tenant, "First.")
    send()
    for minute in (10, 20):
        halt(tenant, f"After {minute}.", at=NOON + timedelta(minutes=minute))
    halt(tenant, "Another.", at=NOON + timedelta(minutes=20), subject="campaign:8 winter")

    send(NOON + timedelta(minutes=59))
    told = [message["Subject"] for _, _, message in inbox.received]
    send(NOON + timedelta(minutes=60))

    assert told == ["[acme] First.", "[acme] Another."]
    last = inbox.received[-1][2]
    assert last["Subject"] == "[acme] After 20. (and 1 before)"
    assert "After 10." in last.get_body(("plain",)).get_content()
    assert len(inbox.received) == 3


def test_a_sentence_of_several_lines_makes_no_further_header(tenant, inbox):
    make_member(tenant, "ada")
    halt(tenant, "One.\r\nBcc: everyone@example.com\r\n\r\nTwo.")

    send()

    message = inbox.received[0][2]
    assert message["Subject"] == "[acme] One. Bcc: everyone@example.com Two."
    assert (message["Bcc"], inbox.received[0][1]) == (None, ["ada@example.com"])


def test_an_address_that_nobody_can_write_to_keeps_no_other_letter_back(tenant, inbox):
    make_member(tenant, "a,b")
    halt(tenant)
    other = make_tenant("other")
    make_member(other, "ada")
    halt(other)

    send()

    assert [recipients for _, recipients, _ in inbox.received] == [["ada@example.com"]]
    kept = Mail.objects.get(tenant=tenant)
    assert (kept.state, kept.tries, kept.problem.partition(":")[0]) == (MailState.PENDING, 1, "ValueError")


def test_a_mail_server_that_is_away_is_asked_again_later_and_later(tenant, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    make_member(tenant, "ada")
    halt(tenant)

    send()

    mail = Mail.objects.get()
    assert (mail.state, mail.tries, mail.due_at) == (MailState.PENDING, 1, NOON + timedelta(minutes=2))
    assert mail.problem.startswith("ConnectionRefusedError")
    Mail.objects.update(tries=7)
    send(NOON + timedelta(minutes=2))
    assert Mail.objects.get().state == MailState.FAILED


def test_members_choose_and_a_tenant_says_what_is_written_at_all(tenant):
    for name in ("ada", "bob", "eve"):
        make_member(tenant, name)
    Member.objects.filter(user__username="eve").update(role=Role.VIEWER)
    operations.choose_mail(tenant, User.objects.get(username="bob"), kinds=[], by="bob", at=NOON)
    operations.choose_mail(tenant, User.objects.get(username="eve"), kinds=["halts"], by="eve", at=NOON)
    operations.change_mail_settings(tenant, kinds=["halts"], addresses=["team@example.com"], by="alice", at=NOON)

    readers = {kind: sorted(addresses) for kind, addresses in mails.readers(tenant).items()}

    assert readers == {"halts": ["ada@example.com", "eve@example.com", "team@example.com"]}


def test_nobody_of_another_tenant_and_nobody_who_has_left_is_written_to(tenant):
    make_member(make_tenant("other"), "oscar", Role.ADMINISTRATOR)
    left = make_member(tenant, "lena").user
    User.objects.filter(pk=left.pk).update(is_active=False)
    without_address = make_member(tenant, "nora").user
    User.objects.filter(pk=without_address.pk).update(email="")

    halt(tenant)

    assert Mail.objects.count() == 0


@pytest.mark.parametrize("given", [{"kinds": ["spam"]}, {"addresses": ["nobody"]}])
def test_settings_that_cannot_be_are_refused(tenant, given):
    with pytest.raises(MailSettingsRefusedError):
        operations.change_mail_settings(tenant, **({"kinds": [], "addresses": []} | given), by="alice", at=NOON)

    assert mails.mail_settings(tenant).pk is None
    assert MailPreference.objects.count() == 0


def test_a_long_letter_shows_the_last_and_counts_the_rest(tenant):
    make_member(tenant, "ada")
    for number in range(25):
        audit.record(
            "campaign.notify", "campaign:7 a", tenant=tenant, by="engine", at=NOON, sentence=f"Number {number}."
        )
    operations.publish(tenant, at=NOON)

    message = posts.compose(Mail.objects.get())

    assert "… and 5 before these." in message.body
    assert "Number 4." not in message.body and "Number 24." in message.body
    assert outbox.outbox == []


@pytest.mark.parametrize(
    ("subject", "page"),
    [("package/3", "firmware_store/package/3/change/"), ("root/image root 3", ""), ("campaign/x", "")],
)
def test_a_letter_links_to_the_page_if_there_is_one(subject, page, settings):
    settings.PUBLIC_URL = "https://ota.example.com"

    assert posts.link_to(subject) == f"https://ota.example.com/console/{page}"
