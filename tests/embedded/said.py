"""What a granian serves behind nginx in tests: it answers with what reached it; `/slow` after a second."""

import json
import os
import time
from pathlib import Path

from otaserver.bodies import Bodies


def said(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        with (Path(os.environ["OTA_VAR"]) / "begun").open("a") as file:
            file.write("begun\n")
        time.sleep(1)
    headers = {name.removeprefix("HTTP_"): value for name, value in environ.items() if name.startswith("HTTP_")}
    # A stream's first bytes are answered when they come.
    size = 5 if environ["PATH_INFO"].endswith(("/content", "/imports")) else 30_000_000
    body = environ["wsgi.input"].read(size).decode()
    found = {
        "address": environ["REMOTE_ADDR"],
        "headers": headers,
        "length": environ.get("CONTENT_LENGTH"),
        "body": body,
    }
    content = json.dumps(found).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
    return [content]


application = Bodies(said, limit=30_000_000, slots=2)
