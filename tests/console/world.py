"""One server, a few simulated vehicles, and people with browsers, for all journeys through the console."""

import hashlib
import hmac
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import expect, sync_playwright

from clients.fleet.behaviour import Behaviour
from clients.fleet.plan import save_plan
from clients.publisher.packages import PackageSpec
from otaserver.demo.firmware import make_up_firmware
from otaserver.demo.fleet_plan import HARDWARE, PRODUCT, ROLE, plan_fleet, target_name
from otaserver.demo.scenario import Operator
from tests.processes import ROOT, Server, environment, free_port, wait_for

PASSWORD = "correct horse battery"
# Nothing moves: what is under way would only be waited for.
STILL = {"viewport": {"width": 1440, "height": 900}, "locale": "en-US", "reduced_motion": "reduce"}
# How long anything may take to be seen: on a busy machine much does, and what is there at once waits for nothing.
PATIENCE = 120_000
expect.set_options(timeout=PATIENCE)
VEHICLES = 6
START_SECONDS = 300
AXE_SOURCE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
SEEN_ALREADY = "#nav-sidebar-inner, tbody tr:nth-child(n+5)"
_STYLES = """left_out => {
    if (left_out) document.querySelectorAll(left_out).forEach(each => each.remove());
    return [...document.querySelectorAll("body *")].map(each => `${each.tagName} ${each.getAttribute("class")}`);
}"""
PEOPLE = {
    "rex": "release_engineer",
    "fin": "fleet_manager",
    "cam": "campaign_manager",
    "app": "approver",
    "ada": "administrator",
}
# What a campaign manager opens, beside the rooms of campaigns.
PAGES = [
    "",
    "campaigns/campaign/",
    "campaigns/new/what/",
    "campaigns/new/whom/",
    "campaigns/new/waves/",
    "campaigns/new/gate/",
    "campaigns/new/when/",
    "stop/",
    "groups/",
    "keys/",
    "fleet/vehicle/",
    "firmware_store/package/",
    "firmware_store/release/",
    "releases/compare/",
]
# What an administrator opens: people, programs, and what else is in no campaign manager's day.
ADMINISTRATION = [
    "members/",
    "tokens/",
    "profile/",
    "profile/second-factor/",
    "settings/",
    "search/?q=demo",
    "audit/entry/",
    "records/verify/",
    "firmware_store/verificationkey/",
    "fleet/provisioningcredential/",
    "fleet/gatewaytoken/",
]
# Who sets an authenticator up in a journey; all others come with one.
WITHOUT_AUTHENTICATOR = "cam"
STEP_SECONDS = 30
# One hash for all of them: each takes as long as a sign-in.
_MAKE_PEOPLE = f"""
import django
django.setup()
from django.contrib.auth.hashers import make_password
from django_otp.oath import totp
from otaserver import clock
from otaserver.people import operations
from otaserver.tenants.models import Member, Tenant, User
tenant, hashed = Tenant.objects.get(), make_password({PASSWORD!r})
for name, role in {PEOPLE!r}.items():
    user = User.objects.create(username=name, password=hashed)
    Member.objects.create(tenant=tenant, user=user, role=role)
    if name != {WITHOUT_AUTHENTICATOR!r}:
        key = operations.begin_enrolment(user)
        # The code of a moment ago: that of now is for the first sign-in.
        operations.confirm_enrolment(user, f"{{totp(key, drift=-1):06}}", at=clock.now())
        print(name, key.hex())
Tenant.objects.update(second_factor_required=True)
"""


class World:
    """What the journeys share; each of them goes on where the one before has ended."""

    def __init__(self, server, operator, browser, firmware, authenticators):
        self.server = server
        self.operator = operator
        self.firmware = firmware
        self.authenticators = authenticators
        self._browser = browser
        self._pages = {}
        self._counters = {}

    def page_of(self, name):
        """Return the browser page of a person who is signed in; the same one each time."""
        if name not in self._pages:
            page = self._pages[name] = self._new_page()
            self.give_password(page, name)
            self.give_code(page, name)
            expect(page.locator(".c-figures")).to_be_visible()
        return self._pages[name]

    def another_page_of(self, name, **context):
        """Return a page of the same session in a browser that is set up differently."""
        return self._new_page(storage_state=self.page_of(name).context.storage_state(), **context)

    def fresh_page_of(self, name):
        """Return the page of a person who has yet to sign in."""
        page = self._pages[name] = self._new_page()
        return page

    def give_password(self, page, name):
        page.goto(f"{self.server.url}/console/login/")
        page.locator("input[name=username]").fill(name)
        page.locator("input[name=password]").fill(PASSWORD)
        # The first of two: the other leads to single sign-on.
        page.locator("button[type=submit]").first.click()

    def give_code(self, page, name):
        page.get_by_label("Code").fill(self.code_of(name))
        page.get_by_role("button", name="Continue").click()

    def code_of(self, name):
        """Return what the person's authenticator shows now, or next where that was given already (RFC 6238).

        Next after the one that was given, not after now: the server may have read that late, and takes it for the
        authenticator's clock that it was.
        """
        counter = max(int(time.time()) // STEP_SECONDS, self._counters.get(name, 0) + 1)
        self._counters[name] = counter
        digest = hmac.digest(self.authenticators[name], counter.to_bytes(8), hashlib.sha1)
        place = digest[-1] & 15
        return f"{(int.from_bytes(digest[place : place + 4]) & 0x7FFFFFFF) % 10**6:06}"

    def _new_page(self, **context):
        context = self._browser.new_context(**STILL | context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        return page

    def go(self, name, path):
        page = self.page_of(name)
        page.goto(f"{self.server.url}/console/{path}")
        return page

    def campaign(self, name):
        return next(row for row in self.operator.publisher.api.rows("/campaigns") if row["name"] == name)

    def room(self, name):
        return f"campaigns/{self.campaign(name)['id']}/"

    def publish(self, version, *, leave_out=()):
        """Publish a version's packages from the command line, and its release if none is left out."""
        for ecu, hardware_ids in HARDWARE.items():
            if ecu not in leave_out:
                spec = PackageSpec(ROLE, ecu, version, hardware_ids)
                self.operator.publisher.packages.publish(self.firmware[version].files[ecu], spec)
        if not leave_out:
            packages = [(target_name(ecu, version), place) for place, ecu in enumerate(HARDWARE)]
            self.operator.publisher.releases.create(PRODUCT, version, packages, notes={"en": f"{PRODUCT} {version}"})

    def plan(self, name, version, *, fallback, soak_seconds=2, **settings):
        """Draft a campaign of one wave from the command line, as somebody who is not of these people."""
        self.operator.publisher.campaigns.create(
            name,
            release=(PRODUCT, version),
            group="all",
            waves=[{"percent": "100", "max_failed": 5}],
            fallback=(PRODUCT, fallback),
            settings={"soak_seconds": soak_seconds, **settings},
        )
        self.operator.publisher.campaigns.act(name, "submit")


@contextmanager
def running_world(folder):
    """Start all of it, the fleet on release 1.0, and end it."""
    server = Server(folder / "server", OTA_TICK_SECONDS=0.5, **_issuer())
    with ExitStack() as stack:
        stack.callback(server.end)
        # On a busy machine everything takes its time; nothing here is about how fast a server starts.
        server.start(wait=False)
        wait_for(server.is_ready, seconds=START_SECONDS, what=f"a ready server; it said: {server.said()[-2000:]}")
        settings = environment(server.var, DJANGO_SETTINGS_MODULE="otaserver.settings")
        made = subprocess.check_output([sys.executable, "-c", _MAKE_PEOPLE], cwd=ROOT, env=settings, text=True)
        authenticators = {name: bytes.fromhex(key) for name, key in (line.split() for line in made.splitlines())}
        token = (server.var / "operator-token").read_text().strip()
        operator = stack.enter_context(Operator.at(server.url, token, folder))
        firmware = {version: make_up_firmware(folder / "firmware", version) for version in ("1.0", "2.0", "3.0")}
        operator.establish_trust(polling_seconds=1)
        operator.publisher.api.patch("/tenant", {"required_approvals": 1, "rollbacks_need_approval": False})
        world = World(server, operator, _browser(stack), firmware, authenticators)
        world.publish("1.0")
        world.fleet = stack.enter_context(_fleet(world, folder))
        wait_for(lambda: operator.count_confirmed("1.0") == VEHICLES, seconds=START_SECONDS, what="the fleet")
        yield world


def _issuer():
    """Settings of an issuer of single sign-on that never answers: what is looked at is the page that says so."""
    given = {"ISSUER": f"http://127.0.0.1:{free_port()}", "CLIENT_ID": "console", "CLIENT_SECRET": "s" * 32}
    given["ROLES"] = "drivers=default:viewer"
    return {f"OTA_OIDC_{name}": value for name, value in given.items()}


def _browser(stack):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    playwright = stack.enter_context(sync_playwright())
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
    stack.callback(browser.close)
    return browser


@contextmanager
def _fleet(world, folder):
    plan = plan_fleet(
        world.operator.claim_codes(VEHICLES),
        factory=world.firmware["1.0"],
        versions=("1.0", "2.0", "3.0"),
        behaviours={f"{PRODUCT} 3.0": Behaviour(failing_hardware=HARDWARE["gateway"])},
        roots=world.operator.roots,
        polling_seconds=1,
    )
    save_plan(plan, folder / "fleet.json")
    command = [sys.executable, "-m", "clients.fleet", "run", str(folder / "fleet.json")]
    command += ["--folder", str(folder / "fleet"), "--url", world.server.url]
    with (folder / "fleet.log").open("ab") as output:
        fleet = subprocess.Popen(command, cwd=ROOT, env=os.environ.copy(), stdout=output, stderr=output)
    try:
        yield fleet
    finally:
        fleet.terminate()
        fleet.wait(20)


_STILL = """() => Promise.all(document.getAnimations()
    .filter(each => each.effect.getComputedTiming().endTime !== Infinity)
    .map(each => each.finished.catch(() => null))).then(() => null)"""


def serious_findings(page, *rules, known=None):
    """Return what axe-core finds on a page that is serious or worse, as `rule: element`; by these rules, or by all.

    `known`: how the elements of the pages before were styled, which grows by this page's. What was looked at there is
    left out here: the menu, of tables all but the first rows, and, where nothing is styled in a new way, the contrast
    of colours, which is most of what a page takes.
    """
    # A colour on its way to another is neither.
    page.evaluate(_STILL)
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SOURCE)
    options = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = list(rules)
    elif known is not None:
        styles = set(page.evaluate(_STYLES, SEEN_ALREADY if known else ""))
        options["rules"] = {"color-contrast": {"enabled": not styles <= known}}
        known |= styles
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{violation['id']}: {node['html'][:120]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"][:3]
    ]


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def follow(page, name):
    page.get_by_role("link", name=name, exact=True).first.click()


def state(page):
    return page.locator(".c-room-head .c-state")


def cell(page, column):
    """The cell of the ladder's last line under a column's head."""
    heads = page.locator(".c-ladder thead th").all_inner_texts()
    # The line begins with one cell over the first four columns.
    return page.locator(".c-ladder tfoot tr > *").nth(heads.index(column) - 3)
