"""How metadata is answered: stored bytes, a strong ETag over them, and 304 for those who have them."""

import hashlib

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response

# A numbered version never changes; anything else must be asked for again each time.
IMMUTABLE = "max-age=31536000, immutable"
NO_CACHE = "no-cache"


def metadata(request: HttpRequest, body: bytes, *, cache: str) -> HttpResponseBase:
    """Return signed metadata, or 304 where If-None-Match names it."""
    response = HttpResponse(body, content_type="application/json")
    response["Cache-Control"] = cache
    etag = f'"{hashlib.sha256(body).hexdigest()}"'
    response["ETag"] = etag
    answer: HttpResponseBase | None = get_conditional_response(request, etag=etag, response=response)
    return answer or response
