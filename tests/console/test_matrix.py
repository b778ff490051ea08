"""Every page of the console, every role, one's own and another tenant's rows.

Pages are found by the URL resolver; one that `EXPECTED` does not know fails its test.
"""

import pytest
from django.contrib.messages.storage.fallback import FallbackStorage
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseForbidden
from django.test import RequestFactory
from django.urls import URLPattern, get_resolver, resolve

from otaserver.console.site import site
from otaserver.tenants.states import PERMISSIONS, Permission, Role
from tests.console.conftest import make_campaign, make_member, signed_in
from tests.factories import make_tenant

pytestmark = pytest.mark.any_database

# What answers to everybody who is signed in: pages about oneself, and what leads in and out.
FOR_ALL = {
    "people:profile": 200,
    "people:enrolment": 200,
    "people:sign-in": 302,
    "people:second-factor": 302,
    "console:login": 302,
    "console:index": 200,
    "console:password_change": 200,
    "console:password_change_done": 200,
    "console:jsi18n": 200,
    # Their own methods and rows are tested where they are made.
    "console:logout": 405,
    "people:sign-out": 405,
    # Where nobody has set up single sign-on.
    "people:sign-on": 404,
    "people:sign-on-callback": 404,
}
NEEDS = {"people:members": Permission.ADMINISTER, "people:tokens": Permission.ADMINISTER}
# What the admin has and this console has no use for; nothing of a tenant is in it.
WITHOUT_ROWS = {
    "console:view_on_site",
    "console:autocomplete",
    "console:app_list",
    "console:search",
    "people:invitation",
}
PAGES_OF_A_MODEL = {"changelist": 200, "add": 403, "history": 200, "delete": 403, "change": 200}


def named_pages():
    """Every named address below /console/, as its namespace and name."""
    return sorted(
        {name for name in _names(get_resolver().url_patterns, "") if name.split(":")[0] in ("console", "people")}
    )


def _names(patterns, namespace):
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield f"{namespace}:{pattern.name}"
        else:
            yield from _names(pattern.url_patterns, pattern.namespace or namespace)


MODELS = {f"console:{model._meta.app_label}_{model._meta.model_name}": model for model in site._registry}
OF_MODELS = {f"{start}_{page}": (model, page) for start, model in MODELS.items() for page in PAGES_OF_A_MODEL}


def address(model, page, pk):
    base = f"/console/{model._meta.app_label}/{model._meta.model_name}/"
    return base if page == "changelist" else f"{base}add/" if page == "add" else f"{base}{pk}/{page}/"


def test_every_page_is_in_the_matrix():
    unknown = set(named_pages()) - FOR_ALL.keys() - NEEDS.keys() - OF_MODELS.keys() - WITHOUT_ROWS - {"console:None"}

    assert sorted(unknown) == []
    assert len(OF_MODELS) == 5 * len(site._registry)


def rows_of(tenant):
    """A row of every model, of one tenant."""
    make_campaign(tenant, name=f"rollout of {tenant}")
    return {model: model.objects.order_by("-pk").values_list("pk", flat=True)[0] for model in MODELS.values()}


def seen_by(user, path):
    """What the page behind a path answers to a person; pages are not drawn, which is nine tenths of their cost."""
    request = RequestFactory().get(path)
    request.user, request.session = user, {}
    request._messages = FallbackStorage(request)
    found = resolve(path)
    try:
        return found.func(request, *found.args, **found.kwargs)
    except PermissionDenied:
        return HttpResponseForbidden()


@pytest.mark.parametrize("role", Role.values)
def test_each_role_opens_what_its_permissions_say_and_nothing_of_another_tenant(tenant, role):
    foreign, own = rows_of(make_tenant("south")), rows_of(tenant)
    user = make_member(tenant, role)
    wrong = []

    def check(path, expected):
        found = seen_by(user, path)
        if found.status_code != expected:
            wrong.append((path, found.status_code, expected))
        return found

    for model, page in OF_MODELS.values():
        is_let_in = site._registry[model].permission in PERMISSIONS[role]
        nobodys = None if page in ("changelist", "add") else seen_by(user, address(model, page, 10**9))
        # The admin looks for a row before it asks who may see its history.
        refusal = nobodys.status_code if page == "history" else 403
        check(address(model, page, own[model]), PAGES_OF_A_MODEL[page] if is_let_in else refusal)
        if nobodys is None:
            continue
        # As if it did not exist: the same answer as for a row that nobody has.
        theirs = check(address(model, page, foreign[model]), nobodys.status_code)
        assert theirs.status_code in (302, 403)
        assert theirs.headers.get("Location") == nobodys.headers.get("Location")
    for name, needed in NEEDS.items():
        check(f"/console/{name.partition(':')[2]}/", 200 if needed in PERMISSIONS[role] else 403)

    assert wrong == []


def test_pages_for_all_answer_to_all(tenant):
    client = signed_in(make_member(tenant, Role.VIEWER))
    paths = {
        "people:profile": "profile/",
        "people:enrolment": "profile/second-factor/",
        "people:sign-in": "login/",
        "people:second-factor": "login/second-factor/",
        "console:login": "login/",
        "console:index": "",
        "console:password_change": "password_change/",
        "console:password_change_done": "password_change/done/",
        "console:jsi18n": "jsi18n/",
        "console:logout": "logout/",
        "people:sign-out": "logout/",
        "people:sign-on": "login/sign-on/",
        "people:sign-on-callback": "login/sign-on/callback/",
    }

    assert {name: client.get(f"/console/{path}").status_code for name, path in paths.items()} == FOR_ALL


@pytest.mark.parametrize("name", ["", "members/", "tokens/", "profile/", "profile/second-factor/", "password_change/"])
def test_nobody_is_led_to_the_sign_in(client, db, name):
    answer = client.get(f"/console/{name}")

    assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/console/login/")
