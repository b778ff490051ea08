"""What Debian's mender-client 3.4.0 sent to a loopback server, byte for byte, sent again to this one.

A recording is a list of what was sent (as it stood on the wire, in Latin-1) and how it was answered. The one thing that
changes is the token, which is what this server has given out.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path

from django.test.client import RequestFactory

from otaserver.wsgi import without_front

RECORDED = Path(__file__).parent / "recorded"
TOKEN = "recorded-token"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)


@dataclass
class Exchange:
    """One request as it was recorded, and the answer that the client was given."""

    raw: str
    status: int
    answered: str

    @property
    def method(self):
        return self.raw.split(" ", 1)[0]

    @property
    def path(self):
        return self.raw.split(" ", 2)[1]

    @property
    def headers(self):
        lines = self.raw.split("\r\n\r\n", 1)[0].split("\r\n")[1:]
        return dict(line.split(": ", 1) for line in lines)

    @property
    def body(self):
        """What is sent after the head, without the chunks' own lines."""
        raw = self.raw.split("\r\n\r\n", 1)[1].encode("latin-1")
        if "Transfer-Encoding" not in self.headers:
            return raw
        body = b""
        while True:
            size, _, raw = raw.partition(b"\r\n")
            if int(size, 16) == 0:
                return body
            body, raw = body + raw[: int(size, 16)], raw[int(size, 16) + 2 :]

    @property
    def is_download(self):
        return self.path.startswith("/dl/")

    def send(self, token=""):
        """Send it as granian hands it on: a chunked body has no length, and an end."""
        environ = RequestFactory().generic(self.method, self.path).environ
        for name, value in self.headers.items():
            environ["HTTP_" + name.upper().replace("-", "_")] = value.replace(TOKEN, token)
        environ["CONTENT_TYPE"] = self.headers.get("Content-Type", "")
        environ["CONTENT_LENGTH"] = self.headers.get("Content-Length", "")
        environ["wsgi.input"] = io.BytesIO(self.body)
        environ["wsgi.input_terminated"] = True
        found = {}

        def start_response(status, headers, exc_info=None):
            found.update(status=int(status.split(" ", 1)[0]), headers=dict(headers))

        body = b"".join(without_front(environ, start_response))
        return Answer(found["status"], found["headers"], body)


def recording(name):
    entries = json.loads((RECORDED / f"{name}.json").read_text())
    return [Exchange(entry["request"], entry["status"], entry["answer"]) for entry in entries]
