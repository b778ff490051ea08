"""One server, twelve simulated vehicles, and people with browsers, for all journeys through the console."""

import os
import shutil
import signal
import subprocess
import sys
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
from tests.processes import ROOT, Server, environment, wait_for

PASSWORD = "correct horse battery"
expect.set_options(timeout=45_000)
VEHICLES = 12
START_SECONDS = 300
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
PEOPLE = {
    "rex": "release_engineer",
    "fin": "fleet_manager",
    "cam": "campaign_manager",
    "app": "approver",
    "aud": "auditor",
}
_MAKE_PEOPLE = f"""
import django
django.setup()
from otaserver.tenants.models import Member, Tenant, User
tenant = Tenant.objects.get()
for name, role in {PEOPLE!r}.items():
    Member.objects.create(tenant=tenant, user=User.objects.create_user(name, password={PASSWORD!r}), role=role)
"""


class World:
    """What the journeys share; each of them goes on where the one before has ended."""

    def __init__(self, server, operator, browser, firmware):
        self.server = server
        self.operator = operator
        self.firmware = firmware
        self._browser = browser
        self._pages = {}

    def page_of(self, name, **context):
        """Return the browser page of a person who is signed in; the same one each time, unless it is a special one."""
        if context:
            return self._sign_in(name, **context)
        if name not in self._pages:
            self._pages[name] = self._sign_in(name)
        return self._pages[name]

    def _sign_in(self, name, **context):
        context = self._browser.new_context(**{"viewport": {"width": 1440, "height": 900}, "locale": "en-US"} | context)
        context.set_default_timeout(45_000)
        page = context.new_page()
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(f"{self.server.url}/console/login/")
        page.locator("input[name=username]").fill(name)
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("button[type=submit]").click()
        expect(page.locator(".c-figures")).to_be_visible()
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
    server = Server(folder / "server", OTA_TICK_SECONDS=0.5)
    with ExitStack() as stack:
        stack.callback(server.end)
        # On a busy machine everything takes its time; nothing here is about how fast a server starts.
        server.start(wait=False)
        wait_for(server.is_ready, seconds=START_SECONDS, what=f"a ready server; it said: {server.said()[-2000:]}")
        settings = environment(server.var, DJANGO_SETTINGS_MODULE="otaserver.settings")
        subprocess.run([sys.executable, "-c", _MAKE_PEOPLE], cwd=ROOT, env=settings, check=True)
        token = (server.var / "operator-token").read_text().strip()
        operator = stack.enter_context(Operator.at(server.url, token, folder))
        firmware = {version: make_up_firmware(folder / "firmware", version) for version in ("1.0", "2.0", "3.0")}
        operator.establish_trust(polling_seconds=1)
        operator.publisher.api.patch("/tenant", {"required_approvals": 1, "rollbacks_need_approval": False})
        world = World(server, operator, _browser(stack), firmware)
        world.publish("1.0")
        _drive_fleet(stack, world, folder)
        wait_for(lambda: operator.count_confirmed("1.0") == VEHICLES, seconds=START_SECONDS, what="the fleet")
        yield world


def _browser(stack):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    playwright = stack.enter_context(sync_playwright())
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    stack.callback(browser.close)
    return browser


def _drive_fleet(stack, world, folder):
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
    stack.callback(fleet.wait, 20)
    stack.callback(fleet.send_signal, signal.SIGTERM)


def serious_findings(page):
    """Return what axe-core finds on a page that is serious or worse, as `rule: element`."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['html'][:120]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"][:3]
    ]
