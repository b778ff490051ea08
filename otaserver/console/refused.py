"""What people are told where there is nothing, or nothing for them: a page of the console that leads on."""

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from otaserver.console import sentences
from otaserver.console.site import site


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 403, _("You may not do this"), sentences.of(str(exception)))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(
        request, 404, _("There is nothing here"), _("It may have been removed, or be in a tenant that you do not see.")
    )


def form_is_old(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without this session's secret: its page is from before somebody signed in here anew."""
    told = _(
        "This page was opened before you signed in. Nothing was done: go back, load it again and send it once more."
    )
    return _page(request, 403, _("Nothing was done"), told)


def _page(request: HttpRequest, status: int, title: str, told: str) -> HttpResponse:
    if not hasattr(request, "user"):
        # Refused before anybody looked who asks.
        request.user = AnonymousUser()
    is_in = site.has_permission(request)
    context = {
        **site.each_context(request),
        "title": title,
        "told": told,
        "is_in": is_in,
        "layout": "console/page_base.html" if is_in else "unfold/layouts/unauthenticated.html",
    }
    return render(request, "console/refused.html", context, status=status)
