"""Every address of the server, by its first segment (DESIGN.md, "Addresses and ids")."""

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path
from django.views import defaults
from django.views.i18n import set_language

from otaserver import exposition, health
from otaserver.console import admin, refused  # noqa: F401 - admin puts pages on the site
from otaserver.console.site import site
from otaserver.operator_api.problems import problem_response

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("console/language/", set_language, name="set_language"),
    # Before the site's own, whose sign-in asks for a password alone.
    path("console/", include("otaserver.console.people.urls")),
    path("metrics", exposition.metrics),
    path("console/", site.urls),
    path("api/v1/", include("otaserver.operator_api.urls")),
    path("", include("otaserver.vehicle_api.urls")),
]


def _is_for_people(request: HttpRequest) -> bool:
    return request.path.startswith("/console/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_for_people(request):
        return defaults.bad_request(request, exception)
    return problem_response(400, "request.malformed", "The request is malformed.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_for_people(request):
        return refused.permission_denied(request, exception)
    return problem_response(403, "permission.missing", "This is not allowed.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_for_people(request):
        return refused.not_found(request, exception)
    return problem_response(404, "resource.not_found", f"There is nothing at {request.path}.")


def server_error(request: HttpRequest) -> HttpResponse:
    if _is_for_people(request):
        return defaults.server_error(request)
    return problem_response(500, "server.error", "The server failed. What happened is in its log.")


handler400 = bad_request
handler403 = permission_denied
handler404 = not_found
handler500 = server_error
