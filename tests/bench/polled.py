"""The server as it is, but that a vehicle's contact is due to be written again a second after the last.

A run of a second then stands for a polling interval. GET /bench/grow?first=…&last=… has the front keep the answer to
one vehicle for a whole fleet: what a million polls, an hour of them, would leave behind. It answers with the memory
of this process in bytes.
"""

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs

from otaserver import wsgi
from otaserver.fleet.operations import contacts
from otaserver.front import application as polling
from otaserver.front.answers import Kept, content_of, head_of
from otaserver.front.requests import compared
from tests.bench.fleets import token_of

polling._CONTACT_SECONDS = 1.0
contacts.CONTACT_RESOLUTION = timedelta(seconds=1)
# Of one thread: a vehicle's entry is made from the last one that Django's answer made.
_seen = {}


def application(environ, start_response):
    if environ["PATH_INFO"] == "/bench/grow":
        body = str(_grow(**{name: int(value) for name, (value,) in parse_qs(environ["QUERY_STRING"]).items()})).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    if not _seen:
        _seen.update(environ)
    return wsgi.application(environ, start_response)


def _grow(first, last):
    """Keep an answer for every vehicle from `first` to `last`, by their rows' numbers."""
    answers = wsgi.front.answers
    entry = answers.get(answers.keys()[0])
    pattern = Kept(*head_of(entry), content_of(entry))
    for number in range(first, last + 1):
        asked = _seen | {"HTTP_AUTHORIZATION": f"Bearer {token_of(number)}"}
        key, rest = compared(asked, is_trusted=False)
        assert answers.keep(key, pattern._replace(owner=number, rest=rest)), "the front is full"
    pages = int(Path(f"/proc/{os.getpid()}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
