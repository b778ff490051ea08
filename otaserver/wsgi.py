"""The WSGI application that granian serves."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from otaserver.bodies import Bodies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "otaserver.settings")

application = Bodies(
    get_wsgi_application(),
    limit=settings.MAX_BODY_BYTES,
    slots=settings.BODY_SLOTS,
)
