"""The console speaks its viewer's language and shows their clock; the rest of the server keeps to English and UTC."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers

from otaserver.fleet.rules import zone_of

ZONE_COOKIE = "console_zone"

Answer = Callable[[HttpRequest], HttpResponseBase]


def for_viewer(get_response: Answer) -> Answer:
    """Answer requests for the console in the language and the time zone of whoever looks at it.

    The language is chosen in the console, else the browser's; the zone is the browser's, which it tells in a cookie.
    """

    def answer(request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith("/console/"):
            return get_response(request)
        with translation.override(translation.get_language_from_request(request)), timezone.override(_zone(request)):
            response = get_response(request)
            response.headers.setdefault("Content-Language", translation.get_language() or "en")
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        return response

    return answer


def _zone(request: HttpRequest) -> ZoneInfo | None:
    name = request.COOKIES.get(ZONE_COOKIE, "").replace("%2F", "/")
    return zone_of(name)
