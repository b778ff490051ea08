"""A new campaign in steps: what each asks, that nothing given is lost, and that all of it reaches the campaign."""

from dataclasses import replace
from datetime import timedelta

import pytest

from otaserver import clock
from otaserver.campaigns import operations, tasks
from otaserver.campaigns.draft_models import PlanDraft
from otaserver.campaigns.forecast_models import CampaignForecast
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.operations import fits
from otaserver.console.pages.when_forms import WhenForm
from otaserver.tenants.models import Member, Tenant
from otaserver.tenants.states import Role
from tests.campaigns.campaign_factories import make_campaign
from tests.console.conftest import make_member, signed_in
from tests.factories import NOON, make_group, make_tenant

pytestmark = pytest.mark.any_database
LIVE = {"X-Requested-With": "fragment"}


@pytest.fixture
def person(tenant):
    return make_member(tenant, Role.CAMPAIGN_MANAGER)


@pytest.fixture
def earlier(tenant):
    """A campaign of four vehicles, whose release and group are to be had."""
    return make_campaign(vehicles=4, tenant=tenant)


def step(name, tenant="north"):
    return f"/console/campaigns/new/{name}/?tenant={tenant}"


def rows(prefix, *given):
    """The rows of a table in a form, as a browser sends them."""
    found = {f"{prefix}-TOTAL_FORMS": len(given), f"{prefix}-INITIAL_FORMS": 0}
    return found | {f"{prefix}-{n}-{name}": value for n, row in enumerate(given) for name, value in row.items()}


def plan(earlier, pilots):
    """All steps of a campaign that uses everything there is."""
    return {
        "what": {
            "name": "autumn",
            "release": earlier.release_id,
            "fallback_release": earlier.fallback_release_id,
            "priority": 1,
            "requires": [earlier.pk],
        },
        "whom": {"group": earlier.group_id, "control_percent": "0", "foreign_software": "redrive"},
        "waves": rows(
            "form",
            {"unit": "group", "group": pilots.pk, "max_failed": 1},
            {"unit": "count", "size": 1, "max_failed": 0},
            {"unit": "percent", "size": 100, "max_failed": 2},
        ),
        "gate": {
            "acceptable_percent": 0.5,
            "unacceptable_percent": 2,
            "alpha_percent": 1,
            "beta_percent": 5,
            "soak_hours": 1,
            "wave_rule": "ask",
            "max_verification_failed": 3,
            "halt_action": "withdraw",
        },
        "when": {
            **rows(
                "window",
                {"weekdays": ["mon", "sun"], "start": "22:00", "length_hours": 2},
                {"weekdays": ["sat"], "start": "06:30", "length_hours": 0.5},
                {},
            ),
            **WhenForm.DEFAULTS,
            "megabytes_per_hour": 5000,
            "grace_hours": 12,
            "max_attempts": 5,
            "retry_minutes": 1.5,
            "offer_timeout_days": 3,
            "consent": "none",
        },
    }


def give_all(client, steps):
    return [client.post(step(name), given).status_code for name, given in steps.items()]


def test_all_that_is_given_reaches_the_campaign(tenant, person, earlier):
    pilots = make_group(tenant, earlier.group.memberships.first().vehicle)
    client = signed_in(person)

    assert give_all(client, plan(earlier, pilots)) == [302] * 5
    page = client.get(step("review"))
    done = client.post(step("review"), {"keep": "1", "shown": page.context["shown"]})

    made = Campaign.objects.get(name="autumn")
    assert (page.context["campaign"], page.context["error"]) == (made, "")
    assert (done.status_code, done["Location"]) == (302, f"/console/campaigns/{made.pk}/")
    assert list(made.requires.all()) == [earlier]
    assert (made.foreign_software, made.priority, made.wave_rule) == ("redrive", 1, "ask")
    assert [(w.group, w.count, w.percent, w.max_failed) for w in made.waves.all()] == [
        (pilots, None, None, 1),
        (None, 1, None, 0),
        (None, None, 100, 2),
    ]
    assert [(w.weekdays, w.start_minute, w.length_minutes) for w in made.windows.all()] == [
        (0b1000001, 22 * 60, 120),
        (0b0100000, 6 * 60 + 30, 30),
    ]
    assert (made.bytes_per_hour, made.grace_hours, made.max_verification_failed) == (5 * 10**9, 12, 3)
    assert (made.max_attempts, made.retry_seconds, made.offer_timeout_seconds) == (5, 90, 3 * 86400)
    assert not PlanDraft.objects.exists()


def test_what_the_steps_leave_alone_is_what_a_plan_has_by_default(tenant, person, earlier):
    client = signed_in(person)
    steps = plan(earlier, earlier.group)
    steps["when"] = {**rows("window", {}), **WhenForm.DEFAULTS, "consent": "none"}
    steps["waves"] = rows("form", {"unit": "percent", "size": 100})
    give_all(client, steps)
    client.post(step("review"), {"keep": "1", "shown": client.get(step("review")).context["shown"]})

    made = Campaign.objects.get(name="autumn")
    names = ("offer_timeout_seconds", "download_timeout_seconds", "install_timeout_seconds", "retry_seconds")
    names += ("max_attempts", "grace_hours", "bytes_per_hour", "offers_per_minute", "downloads_early")
    assert {name: getattr(made, name) for name in names} == {
        name: Campaign._meta.get_field(name).get_default() for name in names
    }
    assert not made.windows.exists()


def test_a_plan_outlives_the_session_and_is_its_persons_alone(tenant, person, earlier):
    signed_in(person).post(step("what"), {"name": "autumn"})

    again = signed_in(person)
    assert 'value="autumn"' in again.get(step("what")).content.decode()
    listed = again.get("/console/campaigns/campaign/").content.decode()
    assert "Plans that you have begun" in listed
    other = signed_in(make_member(tenant, Role.CAMPAIGN_MANAGER, "olaf"))
    assert 'value="autumn"' not in other.get(step("what")).content.decode()
    assert "Plans that you have begun" not in other.get("/console/campaigns/campaign/").content.decode()
    assert other.post("/console/campaigns/new/drop/?tenant=north").status_code == 302
    assert PlanDraft.objects.get().person == person


def test_a_plan_is_thrown_away_and_the_campaign_that_it_became_stays(tenant, person, earlier):
    client = signed_in(person)
    give_all(client, plan(earlier, earlier.group) | {"waves": rows("form", {"unit": "percent", "size": 100})})
    client.get(step("review"))

    answer = client.post("/console/campaigns/new/drop/?tenant=north")

    assert (answer.status_code, answer["Location"]) == (302, step("what"))
    assert not PlanDraft.objects.exists()
    assert Campaign.objects.filter(name="autumn", state="draft").exists()


def test_of_two_tenants_each_has_a_plan_of_its_own_and_the_address_says_which(tenant, person):
    south = make_tenant("south")
    Member.objects.create(tenant=south, user=person, role=Role.CAMPAIGN_MANAGER)
    client = signed_in(person)

    for name in ("north", "south"):
        client.post(step("what", name), {"name": f"for {name}"})

    plans = {draft.tenant.name: draft.steps["what"]["name"] for draft in PlanDraft.objects.all()}
    assert plans == {"north": ["for north"], "south": ["for south"]}
    page = client.get(step("what", "south")).content.decode()
    assert "/console/campaigns/new/whom/?tenant=south" in page
    assert Tenant.objects.get(name="south") == client.get(step("what", "south")).context["tenant"]


def test_more_rows_are_two_more_and_what_was_given_stays(person, earlier):
    client = signed_in(person)

    answer = client.post(step("waves"), {**rows("form", {"unit": "count", "size": 7}), "more": "1"})

    assert (answer.status_code, answer["Location"]) == (302, step("waves"))
    shown = client.get(answer["Location"]).context["form"]
    assert (len(shown.forms), shown.forms[0]["size"].value()) == (3, "7")
    assert client.post(step("when"), {**rows("window", {}), "more": "1"}).status_code == 302
    assert len(client.get(step("when")).context["form"].windows.forms) == 3


def test_what_no_database_stores_is_kept_without_it(person):
    assert signed_in(person).post(step("what"), {"name": "aut\0umn", "\0": "x"}).status_code == 422

    assert PlanDraft.objects.get().steps["what"]["name"] == ["autumn"]


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("waves", rows("form", {"unit": "group", "size": ""}), "Choose the group of this wave."),
        ("waves", rows("form", {"unit": "group", "group": "{group}", "size": 5}), "leave the size empty."),
        ("waves", rows("form", {"unit": "count", "group": "{group}", "size": 5}), "or no group."),
        ("waves", rows("form", {"unit": "count", "size": ""}), "A campaign has at least one wave."),
        ("when", rows("window", {"weekdays": ["mon"]}), "A window needs the time from which"),
        ("when", rows("window", {"start": "10:00", "length_hours": 1}), "Choose the days on which"),
        (
            "when",
            rows("window", *[{"weekdays": ["mon"], "start": "10:00", "length_hours": 1}] * 2),
            "Two windows are the same.",
        ),
    ],
)
def test_what_cannot_be_is_told_at_its_place(person, earlier, name, given, words):
    filled = {key: str(earlier.group_id) if value == "{group}" else value for key, value in given.items()}

    answer = signed_in(person).post(step(name), {**WhenForm.DEFAULTS, "consent": "none", **filled})

    assert (answer.status_code, words in answer.content.decode()) == (422, True)


def test_another_tenants_campaign_cannot_be_required(person, earlier):
    theirs = make_campaign(tenant=make_tenant("south"), vehicles=1)
    steps = plan(earlier, earlier.group)

    answer = signed_in(person).post(step("what"), steps["what"] | {"requires": [theirs.pk]})

    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["requires"])


def test_a_change_of_a_step_is_when_the_plan_was_last_touched(person):
    client = signed_in(person)
    client.post(step("what"), {"name": "one"})
    PlanDraft.objects.update(changed_at=NOON - timedelta(days=400))

    client.post(step("whom"), {})

    draft = PlanDraft.objects.get()
    assert draft.changed_at > NOON - timedelta(days=400)
    assert draft.steps["what"]["name"] == ["one"]


def test_the_review_waits_for_a_worker_to_forecast_the_plan(tenant, person, earlier):
    client = signed_in(person)
    give_all(client, plan(earlier, earlier.group) | {"waves": rows("form", {"unit": "percent", "size": 100})})

    page = client.get(step("review")).content.decode()

    made = Campaign.objects.get(name="autumn")
    address = f"/console/campaigns/{made.pk}/forecast/"
    assert f'data-live="{address}"' in page
    assert "The forecast is being made" in page
    assert not CampaignForecast.objects.exists()
    assert client.get(address, headers={**LIVE, "If-None-Match": '"none"'}).status_code == 304
    tasks.keep_forecast(campaign_id=made.pk)
    found = client.get(address, headers={**LIVE, "If-None-Match": '"none"'})
    assert (found.status_code, found.context["forecast"].fitting) == (200, 4)
    assert [each["rate"] for each in found.context["forecast"].outlooks] == [0.005, 0.02]
    assert client.get(address, headers={**LIVE, "If-None-Match": found["ETag"]}).status_code == 304
    assert "4 vehicles fit now" in client.get(step("review")).content.decode()


def test_a_plan_that_is_changed_after_its_forecast_waits_for_another(tenant, person, earlier):
    client = signed_in(person)
    steps = plan(earlier, earlier.group) | {"waves": rows("form", {"unit": "percent", "size": 100})}
    give_all(client, steps)
    client.get(step("review"))
    made = Campaign.objects.get(name="autumn")
    tasks.keep_forecast(campaign_id=made.pk)

    client.post(step("gate"), steps["gate"] | {"soak_hours": 2})

    assert "The forecast is being made" in client.get(step("review")).content.decode()
    assert list(operations.forecasts_due(clock.now())) == [made]


def test_who_fits_of_a_large_group_is_asked_for_until_a_worker_has_counted(tenant, person, earlier, monkeypatch):
    monkeypatch.setattr(fits, "AT_ONCE", 3)
    client = signed_in(person)
    steps = plan(earlier, earlier.group)
    client.post(step("what"), steps["what"])
    client.post(step("whom"), steps["whom"])
    address = f"{step('whom')}&group={earlier.group_id}"

    waiting = client.get(address, headers=LIVE).content.decode()
    early = client.post(step("waves"), {**rows("form", {}), "suggest": "1", "failure_budget": "5"})
    (due,) = operations.fits_due(clock.now())
    tasks.count_fit(fit_id=due.pk)
    counted = client.get(address, headers=LIVE).content.decode()
    suggested = client.post(step("waves"), {**rows("form", {}), "suggest": "1", "failure_budget": "5"})

    assert ("data-again" in waiting, "data-again" in counted) == (True, False)
    assert "4 of 4 vehicles" in counted
    assert (early.context["error"][:38], "suggestion" in early.context) == (
        "The vehicles of the group are being co",
        False,
    )
    assert suggested.context["suggestion"].fitting == 4


ALL_AT_ONCE = {"waves": rows("form", {"unit": "percent", "size": 100})}


@pytest.fixture
def planned(person, earlier):
    """A client whose plan is complete, and what its steps were given."""
    client, steps = signed_in(person), plan(earlier, earlier.group) | ALL_AT_ONCE
    give_all(client, steps)
    return client, steps


@pytest.mark.parametrize("button", ["keep", "submit"])
def test_a_review_sends_nothing_that_it_did_not_show(planned, button):
    client, steps = planned
    read = client.get(step("review")).context["shown"]
    client.post(step("gate"), steps["gate"] | {"soak_hours": 48})

    answer = client.post(step("review"), {button: "1", "shown": read})

    made = Campaign.objects.get(name="autumn")
    assert (answer.status_code, made.state, PlanDraft.objects.count()) == (409, "draft", 1)
    assert "This plan has changed" in answer.content.decode()
    assert answer.context["plan"].soak_seconds == 48 * 3600
    again = client.post(step("review"), {button: "1", "shown": answer.context["shown"]})
    assert (again.status_code, PlanDraft.objects.exists()) == (302, False)


def test_whoever_looks_at_a_review_changes_nothing_that_another_wrote(planned):
    client, steps = planned
    read = client.get(step("review")).context["shown"]
    made = Campaign.objects.get(name="autumn")
    changed = replace(operations.plan_of(made), soak_seconds=7200)
    operations.change_campaign(made, changed, revision=made.revision, by="bob", at=NOON)

    page = client.get(step("review"))
    client.post(step("what"), steps["what"])
    sent = client.post(step("review"), {"submit": "1", "shown": read})

    made.refresh_from_db()
    assert (made.soak_seconds, made.state, made.revision) == (7200, "draft", 2)
    assert ("somebody has changed it" in page.content.decode(), page.context["forecast"]) == (True, None)
    assert sent.status_code == 409
    assert client.post(step("review"), {"submit": "1", "shown": sent.context["shown"]}).status_code == 302
    made.refresh_from_db()
    assert (made.soak_seconds, made.state) == (3600, "in_review")


def test_a_plan_that_cannot_become_a_campaign_says_why_and_can_still_be_mended(planned, earlier):
    client, steps = planned
    Campaign.objects.filter(name="autumn").delete()

    answer = client.post(step("what"), steps["what"] | {"name": earlier.name}, follow=True)
    kept = client.get(step("review"))

    assert f"There is a campaign {earlier.name!r} already" in answer.content.decode().replace("&#x27;", "'")
    assert kept.context["campaign"] is None
    client.post(step("what"), steps["what"])
    assert Campaign.objects.filter(name="autumn").exists()


@pytest.mark.parametrize("number", ["\u00b2", "9" * 5000, "\u0663", "-1", ""])
def test_a_number_of_rows_that_is_none_is_no_failure(person, number):
    client = signed_in(person)

    more = client.post(step("waves"), {"form-TOTAL_FORMS": number, "form-INITIAL_FORMS": 0, "more": "1"})
    plain = client.post(step("waves"), {"form-TOTAL_FORMS": number, "form-INITIAL_FORMS": 0})

    assert (more.status_code, plain.status_code) == (302, 422)
    assert client.get(step("waves")).status_code == 200


@pytest.mark.parametrize("budget", ["\u00b2", "9" * 5000])
def test_a_budget_that_is_no_number_is_refused(planned, budget):
    client, _ = planned

    answer = client.post(step("waves"), {**ALL_AT_ONCE["waves"], "suggest": "1", "failure_budget": budget})

    assert answer.status_code == 422


@pytest.mark.parametrize("side", ["\u00b2", "9" * 5000, "x"])
def test_a_release_to_compare_that_is_no_number_is_none(person, side):
    page = signed_in(person).get("/console/releases/compare/", {"left": side, "right": side})

    assert (page.status_code, list(page.context["rows"])) == (200, [])


def test_the_review_tells_all_that_is_sent(tenant, person, earlier):
    client, steps = signed_in(person), plan(earlier, earlier.group)
    steps["when"] |= {"ends_at": "2030-05-06T07:08", "offers_per_minute": 77}
    give_all(client, steps)

    told = dict(client.get(step("review")).context["facts"])

    assert {str(name): value for name, value in told.items()}.items() >= {
        "Priority": "security",
        "Software that no order brought": "order the release again, else show it",
        "Take in vehicles that come to match later": "no",
        "A wave that settles before the test decides": "ask a person",
        "What a halt does": "withdraw every order that is not being installed",
        "Halt at more failed verifications than": "3",
        "Offers per minute, at most": "77",
        "May install without contact for, in hours": "12",
        "Ends at": "2030-05-06 07:08:00",
    }.items()


def test_a_time_that_was_reviewed_by_one_clock_is_not_sent_by_another(tenant, person, earlier):
    client, steps = signed_in(person), plan(earlier, earlier.group) | ALL_AT_ONCE
    steps["when"] = {**steps["when"], "ends_at": "2030-05-06T07:08"}
    give_all(client, steps)
    read = client.get(step("review")).context["shown"]
    client.cookies["console_zone"] = "Asia/Shanghai"

    answer = client.post(step("review"), {"submit": "1", "shown": read})

    assert (answer.status_code, Campaign.objects.get(name="autumn").state) == (409, "draft")


def test_a_plan_that_is_thrown_away_says_which_draft_campaign_stays(planned):
    client, _steps = planned

    dropped = client.post("/console/campaigns/new/drop/?tenant=north", follow=True)

    assert not PlanDraft.objects.exists()
    assert "The draft campaign autumn stays." in dropped.content.decode()
    again = client.post("/console/campaigns/new/drop/?tenant=north", follow=True)
    assert "stays" not in again.content.decode()


def test_a_name_that_no_campaign_can_have_is_told_where_it_is_written(tenant, person, earlier):
    what = plan(earlier, earlier.group)["what"] | {"name": "夏季"}

    answer = signed_in(person).post(step("what"), what)

    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["name"])
    assert "printable ASCII" in str(answer.context["form"].errors)
