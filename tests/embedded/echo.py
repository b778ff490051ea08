"""What a granian serves in tests of request bodies: it answers with what Django reads, or with the first bytes."""

import json
import os

from django.core.handlers.wsgi import WSGIRequest

from otaserver.bodies import Bodies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "otaserver.settings")


def echo(environ, start_response):
    if environ["REQUEST_METHOD"] == "GET":
        found = {}
    elif environ["PATH_INFO"].endswith("/content"):
        found = {"first": environ["wsgi.input"].read(5).decode(), "length": environ.get("CONTENT_LENGTH")}
    else:
        found = {"body": WSGIRequest(environ).body.decode(), "length": environ.get("CONTENT_LENGTH")}
    body = json.dumps(found).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


application = Bodies(echo, limit=1000, slots=2)
