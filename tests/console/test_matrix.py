"""Every page of the console, every role, one's own and another tenant's rows.

Pages are found by the URL resolver; one that `EXPECTED` does not know fails its test.
"""

from dataclasses import dataclass

import pytest
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseForbidden, HttpResponseNotFound
from django.test import RequestFactory
from django.urls import URLPattern, get_resolver, resolve

from firmware_store.models import Package, Release, VerificationKey
from firmware_store.states import PackageState
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.states import CampaignState, WaveState
from otaserver.console.pages import actions
from otaserver.console.site import site
from otaserver.events.models import Delivery, Endpoint
from otaserver.fleet.arrival_models import FleetImport
from otaserver.fleet.protocol_models import GatewayToken
from otaserver.fleet.provisioning_models import ProvisioningCredential
from otaserver.tenants.models import Member, Tenant
from otaserver.tenants.states import PERMISSIONS, Permission, Role
from tests.console.conftest import make_campaign, make_member, signed_in
from tests.factories import make_package, make_tenant

pytestmark = pytest.mark.any_database

# What answers to everybody who is signed in: pages about oneself, and what leads in and out.
FOR_ALL = {
    "people:profile": 200,
    "people:enrolment": 200,
    "people:sign-in": 302,
    "people:second-factor": 302,
    "console:login": 302,
    "console:index": 200,
    # Of all that one may see, so no tenant stands in its address: what it finds is in its own test.
    "console:search": 200,
    "console:password_change": 200,
    "console:password_change_done": 200,
    "console:jsi18n": 200,
    # Their own methods and rows are tested where they are made.
    "console:logout": 405,
    "people:sign-out": 405,
    "people:back-channel-logout": 405,
    # Where nobody has set up single sign-on.
    "people:sign-on": 404,
    "people:sign-on-callback": 404,
}
NEEDS = {"people:members": Permission.ADMINISTER, "people:tokens": Permission.ADMINISTER}


@dataclass(frozen=True)
class OwnPage:
    """A page of one tenant's things: where it is, and what it answers to whoever has the permission.

    Nothing is filled in, so what is sent is refused for its form, after it was asked who sends it.
    """

    path: str
    needs: Permission
    opened: int = 200
    sent: int = 405
    method: str = "POST"


@dataclass(frozen=True)
class Things:
    """What pages of our own are about, of one tenant: a wave that asks, and a package whose bytes are on their way."""

    tenant: Tenant
    campaign: Campaign
    package: Package
    gateway: GatewayToken
    provisioning: ProvisioningCredential
    verification: VerificationKey
    arrival: FleetImport
    endpoint: Endpoint
    delivery: Delivery

    def path_of(self, page):
        return "/console/" + page.path.format(**vars(self))


OWN_PAGES = {
    "console:stop_everything": OwnPage("stop/?tenant={tenant.name}", Permission.STOP, sent=422),
    "console:resume_everything": OwnPage("tenants/{tenant.pk}/resume/", Permission.MANAGE_CAMPAIGNS, sent=422),
    "console:drop_draft": OwnPage(
        "campaigns/new/drop/?tenant={tenant.name}", Permission.MANAGE_CAMPAIGNS, opened=405, sent=302
    ),
    "console:new_campaign": OwnPage("campaigns/new/what/?tenant={tenant.name}", Permission.MANAGE_CAMPAIGNS, sent=422),
    "console:control_room": OwnPage("campaigns/{campaign.pk}/", Permission.VIEW),
    "console:plan_forecast": OwnPage("campaigns/{campaign.pk}/forecast/", Permission.VIEW),
    "console:decide_wave": OwnPage("campaigns/{campaign.pk}/waves/1/decide/", Permission.MANAGE_CAMPAIGNS, sent=422),
    "console:groups": OwnPage("groups/?tenant={tenant.name}", Permission.VIEW),
    "console:new_group": OwnPage("groups/new/?tenant={tenant.name}", Permission.MANAGE_FLEET, sent=422),
    "console:new_package": OwnPage("packages/new/?tenant={tenant.name}", Permission.PUBLISH, sent=422),
    "console:package_content": OwnPage("packages/{package.pk}/content/", Permission.PUBLISH, sent=400, method="PATCH"),
    "console:sign_package": OwnPage("packages/{package.pk}/sign/", Permission.PUBLISH, sent=422),
    "console:new_release": OwnPage("releases/new/?tenant={tenant.name}", Permission.PUBLISH, sent=422),
    "console:compare_releases": OwnPage("releases/compare/?tenant={tenant.name}", Permission.VIEW),
    "console:keys": OwnPage("keys/?tenant={tenant.name}", Permission.VIEW),
    "console:verify_records": OwnPage("records/verify/?tenant={tenant.name}", Permission.AUDIT, sent=200),
    "console:tenant_settings": OwnPage("settings/?tenant={tenant.name}", Permission.ADMINISTER, sent=422),
    "console:change_ddi_settings": OwnPage("settings/ddi/?tenant={tenant.name}", Permission.ADMINISTER, sent=422),
    "console:new_gateway_token": OwnPage("gateway-tokens/new/?tenant={tenant.name}", Permission.ADMINISTER, sent=422),
    # Nothing is filled in there: what is sent is the answer to the question.
    "console:revoke_gateway_token": OwnPage("gateway-tokens/{gateway.pk}/revoke/", Permission.ADMINISTER, sent=302),
    "console:new_provisioning": OwnPage("provisioning/new/?tenant={tenant.name}", Permission.MANAGE_FLEET, sent=422),
    "console:revoke_provisioning": OwnPage("provisioning/{provisioning.pk}/revoke/", Permission.MANAGE_FLEET, sent=302),
    "console:new_verification_key": OwnPage(
        "verification-keys/new/?tenant={tenant.name}", Permission.ADMINISTER, sent=422
    ),
    "console:retire_verification_key": OwnPage(
        "verification-keys/{verification.pk}/retire/", Permission.ADMINISTER, sent=302
    ),
    "console:new_import": OwnPage("imports/new/?tenant={tenant.name}", Permission.MANAGE_FLEET, sent=422),
    "console:take_import_in": OwnPage("imports/{arrival.pk}/take-in/", Permission.MANAGE_FLEET, sent=422),
    "console:new_webhook": OwnPage("webhooks/new/?tenant={tenant.name}", Permission.ADMINISTER, sent=422),
    "console:change_webhook": OwnPage("webhooks/{endpoint.pk}/", Permission.ADMINISTER, sent=422),
    "console:pause_webhook": OwnPage("webhooks/{endpoint.pk}/pause/", Permission.ADMINISTER, sent=422),
    # It is not paused.
    "console:resume_webhook": OwnPage("webhooks/{endpoint.pk}/resume/", Permission.ADMINISTER, sent=409),
    "console:rotate_webhook_secret": OwnPage("webhooks/{endpoint.pk}/secret/", Permission.ADMINISTER, sent=200),
    "console:try_webhook": OwnPage("webhooks/{endpoint.pk}/test/", Permission.ADMINISTER, sent=302),
    "console:replay_webhook": OwnPage("webhooks/{endpoint.pk}/replay/", Permission.ADMINISTER, sent=422),
    "console:replay_delivery": OwnPage("deliveries/{delivery.pk}/replay/", Permission.ADMINISTER, sent=302),
    # The last of them: nothing more can be done to it.
    "console:remove_webhook": OwnPage("webhooks/{endpoint.pk}/remove/", Permission.ADMINISTER, sent=302),
}
# One page asks for every action, each with a permission of its own. The campaign runs: what makes
# no sense then leads back to its control room.
_ACTION_NEEDS = {
    "submit": (Permission.MANAGE_CAMPAIGNS, 302),
    "approve": (Permission.APPROVE, 302),
    "reject": (Permission.APPROVE, 302),
    "start": (Permission.MANAGE_CAMPAIGNS, 302),
    "schedule": (Permission.MANAGE_CAMPAIGNS, 302),
    "pause": (Permission.MANAGE_CAMPAIGNS, 200),
    "resume": (Permission.MANAGE_CAMPAIGNS, 302),
    "retry": (Permission.MANAGE_CAMPAIGNS, 200),
    "close": (Permission.MANAGE_CAMPAIGNS, 302),
    "rollback": (Permission.MANAGE_CAMPAIGNS, 302),
    "cancel": (Permission.MANAGE_CAMPAIGNS, 200),
    "stop": (Permission.STOP, 200),
}
ACTIONS = {
    name: OwnPage(f"campaigns/{{campaign.pk}}/{name}/", needs, opened=answer, sent=422)
    for name, (needs, answer) in _ACTION_NEEDS.items()
}
# What the admin has and this console has no use for; nothing of a tenant is in it.
WITHOUT_ROWS = {
    "console:view_on_site",
    "console:autocomplete",
    "console:app_list",
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
    known = {*FOR_ALL, *NEEDS, *OF_MODELS, *WITHOUT_ROWS, *OWN_PAGES, "console:confirm_action", "console:None"}

    assert sorted(set(named_pages()) - known) == []
    assert len(OF_MODELS) == 5 * len(site._registry)
    assert ACTIONS.keys() == actions.BY_NAME.keys()


def test_our_own_pages_are_where_the_matrix_looks_for_them():
    others = (GatewayToken, ProvisioningCredential, VerificationKey, FleetImport, Endpoint, Delivery)
    some = Things(Tenant(pk=1, name="north"), Campaign(pk=1), Package(pk=1), *(model(pk=1) for model in others))

    found = {name: resolve(some.path_of(page).partition("?")[0]).view_name for name, page in OWN_PAGES.items()}

    assert found == {name: name for name in OWN_PAGES}
    assert {resolve(some.path_of(page)).view_name for page in ACTIONS.values()} == {"console:confirm_action"}


def rows_of(tenant):
    """A row of every model, of one tenant."""
    make_campaign(tenant, name=f"rollout of {tenant}")
    return {model: model.objects.order_by("-pk").values_list("pk", flat=True)[0] for model in MODELS.values()}


def seen_by(user, path, *, method="GET"):
    """What the page behind a path answers to a person; pages are not drawn, which is nine tenths of their cost."""
    request = RequestFactory().generic(method, path, content_type="application/x-www-form-urlencoded")
    request.user, request.session = user, SessionStore()
    request._messages, request._dont_enforce_csrf_checks = FallbackStorage(request), True
    found = resolve(request.path)
    try:
        return found.func(request, *found.args, **found.kwargs)
    except PermissionDenied:
        return HttpResponseForbidden()
    except Http404:
        return HttpResponseNotFound()


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


def things_of(tenant):
    campaign = make_campaign(tenant, name=f"rollout of {tenant}")
    campaign.waves.filter(number=1).update(state=WaveState.UNDECIDED)
    package = make_package(tenant, "brake", state=PackageState.UPLOADING, published_at=None)
    protocols = (GatewayToken, ProvisioningCredential, VerificationKey, FleetImport)
    endpoint = Endpoint.objects.get(tenant=tenant)
    rows = [model.objects.get(tenant=tenant) for model in protocols]
    return Things(tenant, campaign, package, *rows, endpoint, Delivery.objects.get(endpoint=endpoint))


def answers(user, page, things):
    path = things.path_of(page)
    return [seen_by(user, path, method=method).status_code for method in ("GET", page.method)]


def due(page, refusal):
    """What a page answers, by GET and by what is sent to it, to somebody whom it refuses so (None: it does not)."""
    return [answer if answer == 405 else refusal or answer for answer in (page.opened, page.sent)]


@pytest.mark.parametrize("role", Role.values)
def test_each_role_opens_our_own_pages_as_its_permissions_say_and_none_of_another_tenant(tenant, role):
    own, foreign = things_of(tenant), things_of(make_tenant("south"))
    user = make_member(tenant, role)
    wrong = []

    for name, page in {**OWN_PAGES, **ACTIONS}.items():
        refusal = None if page.needs in PERMISSIONS[role] else 403
        found = [answers(user, page, own), answers(user, page, foreign)]
        if found != [due(page, refusal), due(page, 404)]:
            wrong.append((name, found))

    assert wrong == []
    assert set(Campaign.objects.values_list("state", flat=True)) == {CampaignState.RUNNING}


def test_a_page_of_a_tenant_where_one_may_only_look_is_refused_not_shown_for_another(tenant):
    user, south = make_member(tenant, Role.RELEASE_ENGINEER), make_tenant("south")
    Member.objects.create(tenant=south, user=user, role=Role.VIEWER)

    assert seen_by(user, "/console/keys/?tenant=south").context_data["tenant"] == south
    assert seen_by(user, "/console/packages/new/?tenant=south").status_code == 403
    assert seen_by(user, "/console/packages/new/").context_data["tenant"] == tenant


@pytest.mark.parametrize("side", ["left", "right"])
def test_no_release_of_another_tenant_is_compared(tenant, side):
    own, foreign = things_of(tenant), things_of(make_tenant("south"))
    pair = {"left": own.campaign.release.pk, "right": own.campaign.release.pk}
    path = "/console/releases/compare/?left={left}&right={right}"
    user = make_member(tenant, Role.ADMINISTRATOR)

    ours = seen_by(user, path.format(**pair)).context_data
    theirs = seen_by(user, path.format(**{**pair, side: foreign.campaign.release.pk})).context_data

    assert (ours[side], len(ours["rows"])) == (own.campaign.release, 5)
    assert (theirs[side], theirs["rows"]) == (None, [])
    assert set(theirs["releases"]) == set(Release.objects.filter(tenant=tenant))


def test_pages_for_all_answer_to_all(tenant):
    client = signed_in(make_member(tenant, Role.VIEWER))
    paths = {
        "people:profile": "profile/",
        "people:enrolment": "profile/second-factor/",
        "people:sign-in": "login/",
        "people:second-factor": "login/second-factor/",
        "console:login": "login/",
        "console:index": "",
        "console:search": "search/?q=nothing",
        "console:password_change": "password_change/",
        "console:password_change_done": "password_change/done/",
        "console:jsi18n": "jsi18n/",
        "console:logout": "logout/",
        "people:sign-out": "logout/",
        "people:back-channel-logout": "login/sign-on/logout/",
        "people:sign-on": "login/sign-on/",
        "people:sign-on-callback": "login/sign-on/callback/",
    }

    assert {name: client.get(f"/console/{path}").status_code for name, path in paths.items()} == FOR_ALL


@pytest.mark.parametrize("name", ["", "members/", "tokens/", "profile/", "profile/second-factor/", "password_change/"])
def test_nobody_is_led_to_the_sign_in(client, db, name):
    answer = client.get(f"/console/{name}")

    assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/console/login/")
