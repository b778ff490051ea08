"""From a file to a fleet, in a browser: each journey goes on where the one before has ended."""

import base64

import pytest
from playwright.sync_api import expect

from clients.publisher.packages import PackageSpec
from otaserver.demo.fleet_plan import HARDWARE, ROLE, target_name
from tests.console.world import (
    ADMINISTRATION,
    PAGES,
    VEHICLES,
    WITHOUT_AUTHENTICATOR,
    cell,
    follow,
    press,
    running_world,
    serious_findings,
    state,
)

pytestmark = [pytest.mark.long, pytest.mark.e2e, pytest.mark.any_database, pytest.mark.xdist_group("console-journeys")]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running_world(tmp_path_factory.mktemp("journeys")) as world:
        yield world


def test_a_person_sets_up_a_second_factor_and_signs_in_with_it(world):
    page = world.fresh_page_of(WITHOUT_AUTHENTICATOR)
    world.give_password(page, WITHOUT_AUTHENTICATOR)
    # The tenant demands a second factor: without one there is nothing to see but the way to it.
    expect(page.get_by_role("heading", name="Your authenticator")).to_be_visible()
    expect(page.locator("svg[height]")).to_be_visible()
    world.authenticators[WITHOUT_AUTHENTICATOR] = base64.b32decode(page.locator("li.break-all").inner_text())
    page.get_by_label("Code").fill("000000")
    press(page, "Confirm")
    expect(page.get_by_text("The code is not the one that the authenticator shows now.")).to_be_visible()
    page.get_by_label("Code").fill(world.code_of(WITHOUT_AUTHENTICATOR))
    press(page, "Confirm")
    expect(page.locator("li.break-all")).to_have_count(10)

    page.goto(f"{world.server.url}/console/profile/")
    press(page, "Sign out everywhere")
    world.give_password(page, WITHOUT_AUTHENTICATOR)
    # A code counts once: the next one, which the authenticator shows within half a minute, is taken already.
    world.give_code(page, WITHOUT_AUTHENTICATOR)

    expect(page.locator(".c-figures")).to_be_visible()
    assert page.errors == []


def test_a_package_is_sent_from_the_browser_and_published_by_its_signature(world):
    page = world.go("rex", "packages/new/")
    page.get_by_label("Release role").fill(ROLE)
    page.get_by_label("Name", exact=True).fill("gateway")
    page.get_by_label("Version").fill("2.0")
    press(page, "Upload")
    expect(page.locator("#upload-error")).to_have_text("Choose a file.")

    page.get_by_label("File").set_input_files(world.firmware["2.0"].files["gateway"])
    press(page, "Upload")
    expect(page.locator(".c-field").filter(has_text="Compatible hardware").locator(".c-error")).to_have_text(
        "This field is required."
    )
    page.get_by_label("Compatible hardware").fill("gateway-a, gateway-b")
    press(page, "Upload")
    expect(page.get_by_text("4096 of 4096")).to_be_visible()
    spec = PackageSpec(ROLE, "gateway", "2.0", HARDWARE["gateway"])
    world.operator.publisher.packages.publish(world.firmware["2.0"].files["gateway"], spec)

    page.reload()
    expect(page.get_by_text("published").first).to_be_visible()
    assert page.errors == []


def test_a_release_is_made_of_published_packages(world):
    world.publish("2.0", leave_out=("gateway",))
    page = world.go("rex", "releases/new/")
    page.get_by_label("Name", exact=True).fill("city-car")
    page.get_by_label("Version").fill("2.0")
    for ecu in HARDWARE:
        page.get_by_label(target_name(ecu, "2.0")).check()
    page.get_by_label("Release notes, English").fill("Smoother display.")
    press(page, "Publish release")

    expect(page.get_by_text("city-car 2.0").first).to_be_visible()
    left, right = (row["id"] for row in sorted(world.operator.publisher.api.rows("/releases"), key=lambda r: r["id"]))
    world.go("rex", f"releases/compare/?left={left}&right={right}")
    expect(page.get_by_role("row").filter(has_text="demo-supplier/radio")).to_contain_text("differs")


def test_a_group_is_made_by_a_filter_that_tells_its_errors_and_its_vehicles(world):
    page = world.go("fin", "groups/new/")
    page.get_by_label("Name").fill("all")
    area = page.get_by_label("Filter")
    area.press_sequentially("vehicle_id startwith")
    expect(page.locator("[data-follows] .c-error")).to_contain_text("Line 1, column 12:")
    area.fill("")
    area.press_sequentially("vehicle_")
    expect(page.get_by_role("option", name="vehicle_id")).to_be_visible()
    area.press("Enter")
    area.press_sequentially(' startswith "DEMO"')
    expect(page.get_by_text(f"{VEHICLES} vehicles match.")).to_be_visible()
    press(page, "Make group")

    expect(page.get_by_role("row").filter(has_text="all")).to_contain_text('vehicle_id startswith "DEMO"')


def test_a_campaign_is_planned_in_steps_that_keep_what_was_given(world):
    page = world.go("cam", "campaigns/new/what/")
    press(page, "Next")
    expect(page.get_by_role("alert").first).to_have_text("This field is required.")
    page.get_by_label("Name").fill("summer")
    page.locator("#id_release").select_option("city-car 2.0")
    page.locator("#id_fallback_release").select_option("city-car 1.0")
    press(page, "Next")
    page.locator("#id_group").select_option("all")
    expect(page.get_by_text(f"{VEHICLES} of {VEHICLES} vehicles of all fit city-car 2.0.")).to_be_visible()
    press(page, "Next")
    page.get_by_label("Vehicles that may break").fill("3")
    press(page, "Suggest waves")
    expect(page.get_by_text("The first wave is 3 vehicles")).to_be_visible()
    press(page, "Next")
    page.get_by_label("Soak, in hours").fill("0.0006")
    press(page, "Back")
    press(page, "Next")
    expect(page.get_by_label("Soak, in hours")).to_have_value("0.0006")
    press(page, "Next")
    page.get_by_label("Preconditions").fill("flying")
    press(page, "Next")
    expect(page.get_by_role("alert").first).to_contain_text("flying: there is no such precondition.")
    page.get_by_label("Preconditions").fill("")
    press(page, "Next")
    expect(page.get_by_text(f"{VEHICLES} vehicles fit now.")).to_be_visible()
    press(page, "Send for approval")

    expect(state(page)).to_have_text("in review")
    assert page.errors == []


def test_another_person_approves_it_and_its_waves_fill_before_ones_eyes(world):
    author = world.page_of("cam")
    expect(author.locator("#do-approve")).to_have_count(0)
    page = world.go("app", world.room("summer"))
    follow(page, "Approve")
    expect(page.locator(".c-effects")).to_contain_text(f"{VEHICLES}")
    press(page, "Approve")
    expect(state(page)).to_have_text("approved")

    expect(author.locator("#do-start")).to_be_visible()
    follow(author, "Start")
    press(author, "Start")
    author.evaluate("window.isSamePage = true")
    expect(author.locator(".c-ladder tbody tr").first.locator(".c-state")).to_have_text("passed")
    expect(state(author)).to_have_text("completed")
    expect(cell(author, "succeeded")).to_have_text(str(VEHICLES))
    assert author.evaluate("window.isSamePage")
    assert author.errors == []


def test_a_bad_release_is_halted_before_ones_eyes_and_each_failure_leads_to_its_vehicle(world):
    world.publish("3.0")
    world.plan("bad", "3.0", fallback="2.0")
    page = world.go("app", world.room("bad"))
    follow(page, "Approve")
    press(page, "Approve")
    page = world.go("cam", world.room("bad"))
    follow(page, "Start")
    press(page, "Start")

    expect(state(page)).to_have_text("halted")
    expect(page.locator("#h-gate .c-state")).to_have_text("halt")
    # What is being installed is not interrupted, and counts.
    for column in ("under way", "soaking"):
        expect(cell(page, column)).to_have_text("0")
    failed = int(cell(page, "failed").inner_text())
    assert failed >= 4
    codes = page.locator("section", has=page.locator("#h-codes"))
    expect(codes).to_contain_text("health_failed")
    codes.get_by_role("link").first.click()
    expect(page.locator("#result_list tbody tr")).to_have_count(failed)


def test_it_is_rolled_back_after_the_numbers_were_stated(world):
    page = world.go("cam", world.room("bad"))
    follow(page, "Roll back")
    expect(page.locator(".c-effects")).to_contain_text("vehicles run what would be taken back")
    page.get_by_label("Name of the roll-back").fill("bad back")
    press(page, "Roll back")
    expect(state(page)).to_have_text("draft")
    assert world.campaign("bad back")["rolls_back"] == world.campaign("bad")["id"]


def test_the_emergency_stop_halts_everything_and_is_seen_on_every_page(world):
    world.plan("slow", "1.0", fallback="2.0", soak_seconds=600)
    for action in ("approve", "start"):
        page = world.go("app" if action == "approve" else "cam", world.room("slow"))
        page.locator(f"#do-{action}").click()
        page.locator(".c-page form [type=submit]").first.click()
    expect(state(page)).to_have_text("running")
    watching = world.go("app", world.room("slow"))
    follow(page, "Emergency stop")
    page.get_by_label("Reason").fill("Smoke in two cars.")
    press(page, "Stop everything of default")

    expect(page.get_by_role("alert").first).to_contain_text("Smoke in two cars.")
    expect(state(watching)).to_have_text("halted")
    world.go("rex", "keys/")
    expect(world.page_of("rex").get_by_role("alert").first).to_contain_text("Everything of default is stopped.")
    follow(page, "Let campaigns run again")
    page.get_by_label("Reason").fill("It was the barbecue.")
    press(page, "Let campaigns run again")
    expect(page.locator(".c-alarm")).to_have_count(0)


def test_a_vehicle_explains_itself_in_a_sentence(world):
    page = world.go("fin", "fleet/vehicle/?q=DEMO00003")
    follow(page, "DEMO00003")

    told = world.operator.publisher.api.get("/vehicles/DEMO00003/explanation")
    expect(page.locator(".c-sentence")).to_have_text(told["answers"][0]["sentence"])
    expect(page.get_by_role("row").filter(has_text="DEMO00003-radio").first).to_be_visible()


def test_a_campaign_is_ended_by_the_keyboard_alone(world):
    page = world.go("cam", world.room("slow"))

    def tab_to(element):
        for _ in range(80):
            if element.evaluate("each => each === document.activeElement"):
                return
            page.keyboard.press("Tab")
        raise AssertionError("The keyboard does not reach it.")

    tab_to(page.locator("#do-cancel"))
    page.keyboard.press("Enter")
    tab_to(page.get_by_label("Reason"))
    page.keyboard.type("Nobody needs it any more.")
    tab_to(page.get_by_role("button", name="Cancel", exact=True))
    page.keyboard.press("Enter")

    expect(state(page)).to_have_text("cancelled")
    expect(page.locator(".c-decisions li").first).to_contain_text("Nobody needs it any more.")


def test_the_console_speaks_chinese(world):
    page = world.another_page_of("cam", locale="zh-CN", timezone_id="Asia/Shanghai")
    page.goto(f"{world.server.url}/console/")
    expect(page.locator(".c-page h2").first).to_have_text("进行中的活动")
    page.goto(f"{world.server.url}/console/{world.room('summer')}")

    expect(state(page)).to_have_text("已完成")
    expect(page.get_by_role("heading", name="批次")).to_be_visible()
    expect(page.get_by_text("紧急停止")).to_be_visible()
    expect(page.locator("[data-zone-note]")).to_contain_text("Asia/Shanghai")
    page.context.close()


def test_axe_finds_nothing_serious_on_any_page(world):
    # Nobody drives any more: what vehicles ask for meanwhile only takes time.
    world.fleet.terminate()
    found, known = {}, set()
    for name, paths in {
        "cam": [*PAGES, world.room("bad"), f"{world.room('bad')}resume/", f"{world.room('bad')}rollback/"],
        "rex": ["packages/new/", "releases/new/"],
        "fin": ["groups/new/"],
        "ada": ADMINISTRATION,
    }.items():
        for path in paths:
            found[path] = serious_findings(world.go(name, path), known=known)

    assert {path: findings for path, findings in found.items() if findings} == {}


def test_axe_finds_nothing_serious_where_nobody_is_signed_in_yet(world):
    page = world.go("ada", "members/")
    press(page, "Make a link")
    link = page.locator("li.break-all").inner_text()
    stranger, found = world.fresh_page_of("a stranger"), {}
    stranger.goto(link)
    expect(stranger.get_by_text("ada invites you to default")).to_be_visible()
    press(stranger, "Join")
    expect(stranger.get_by_text("This field is required.").first).to_be_visible()
    found["invitation"] = serious_findings(stranger)
    stranger.goto(f"{world.server.url}/console/login/")
    press(stranger, "Single sign-on")
    expect(stranger.get_by_role("alert").first).to_contain_text("issuer_unavailable")
    found["failed sign-on"] = serious_findings(stranger)
    world.give_password(stranger, "ada")
    expect(stranger.get_by_label("Code")).to_be_visible()
    found["second factor"] = serious_findings(stranger)

    assert {path: findings for path, findings in found.items() if findings} == {}


def test_axe_finds_nothing_serious_of_a_plan_that_is_begun(world):
    page, found = world.go("cam", "campaigns/new/what/"), {}
    press(page, "Next")
    expect(page.get_by_role("alert").first).to_be_visible()
    found["what is wrong in a step"] = serious_findings(page)
    page = world.go("cam", "campaigns/campaign/")
    expect(page.locator(".c-drafts")).to_be_visible()
    found["plans begun"] = serious_findings(page)

    assert {path: findings for path, findings in found.items() if findings} == {}


def test_axe_finds_nothing_serious_in_the_dark(world):
    page = world.another_page_of("cam", color_scheme="dark")
    found = {}
    for path in ("", world.room("bad"), f"{world.room('bad')}resume/", "profile/"):
        page.goto(f"{world.server.url}/console/{path}")
        expect(page.locator("html.dark")).to_have_count(1)
        # It differs in its colours alone.
        found[path] = serious_findings(page, "color-contrast")
    page.get_by_role("button", name="cam").click()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    found["the person's menu"] = serious_findings(page, "color-contrast")

    assert {path: findings for path, findings in found.items() if findings} == {}
    page.context.close()
