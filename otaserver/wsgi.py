"""The WSGI application that granian serves."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.utils.module_loading import import_string

# Before anything that reads the settings.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "otaserver.settings")

from otaserver import metrics
from otaserver.bodies import Bodies

metrics.make_folder()
_django = get_wsgi_application()
# Models can be imported from here on.
import_string("firmware_store.trust.outside.require_restored")()
# Addresses now, and not with the first request, which would wait for them.
import_string(f"{settings.ROOT_URLCONF}.urlpatterns")
front = import_string("otaserver.front.Front")(_django, max_bytes=settings.FRONT_BYTES)
application = Bodies(front, limit=settings.MAX_BODY_BYTES, slots=settings.BODY_SLOTS)
# For clocks that do not go like the world's: what the front keeps is good for a second of that.
without_front = Bodies(_django, limit=settings.MAX_BODY_BYTES, slots=settings.BODY_SLOTS)
