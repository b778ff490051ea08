"""The WSGI application that granian serves."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

# Before anything that reads the settings.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "otaserver.settings")

from otaserver import metrics
from otaserver.bodies import Bodies

metrics.make_folder()
application = Bodies(
    get_wsgi_application(),
    limit=settings.MAX_BODY_BYTES,
    slots=settings.BODY_SLOTS,
)
