"""The baseline of everything over HTTP: one constant answer."""

BODY = b'{"answer":"the same for everybody, and about as long as a timestamp would be in headers alone"}'
_HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))]


def application(environ, start_response):
    start_response("200 OK", _HEADERS)
    return [BODY]
