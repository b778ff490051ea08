"""The link of an invitation, and its way to whom it is for."""

import logging
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import send_mail

from otaserver.people.models import Invitation
from otaserver.tenants.states import Role

logger = logging.getLogger(__name__)

# The console's page, by path: the API hands it out too, and knows nothing of the console.
PATH = "/console/invitations/"
_TEXT = """{inviter} invites you to {tenant} as {role}.

Open this link to come in. It works once, and until {ends}:

{link}
"""


def link_of(secret: str) -> str:
    """Return the path at which an invitation is accepted."""
    return PATH + secret


def send_link(invitation: Invitation, link: str) -> bool:
    """Send the link by e-mail where the server has e-mail and the invitation an address; return whether it was sent.

    A mail server that fails takes nothing back: whoever invited has the link.
    """
    if not settings.EMAIL_HOST or not invitation.email:
        return False
    text = _TEXT.format(
        inviter=invitation.created_by,
        tenant=invitation.tenant.title or invitation.tenant.name,
        role=Role(invitation.role).label.lower(),
        ends=f"{invitation.expires_at:%Y-%m-%d %H:%M} UTC",
        link=link,
    )
    try:
        send_mail("Your invitation", text, None, [invitation.email])
    except (SMTPException, OSError) as error:
        logger.error("invitation not sent invitation=%s", invitation.pk, exc_info=error)
        return False
    return True
