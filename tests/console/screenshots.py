"""Pictures of the console's main pages, from the demo that runs: `make screenshots`, beside `make demo`."""

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.processes import ROOT

WIDTHS = (1440, 820)
PASSWORD = Path(os.environ.get("OTA_VAR", ROOT / "var")) / "demo" / "console-password"
# By name of the picture: the list that a page is found in, or the page itself.
PAGES = {
    "overview": "/console/",
    "campaign": "/console/campaigns/campaign/?q=bad",
    "new-campaign": "/console/campaigns/new/gate/",
    "vehicle": "/console/fleet/vehicle/?q=DEMO00005",
    "package": "/console/firmware_store/package/?q=gateway-2.0",
}
ROW = "#result_list tbody tr a"


def main() -> None:
    url = f"http://127.0.0.1:{os.environ.get('OTA_PORT', '8000')}"
    folder = ROOT / "docs" / "screenshots"
    folder.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width in WIDTHS:
            page = browser.new_page(viewport={"width": width, "height": 900}, locale="en-US", timezone_id="UTC")
            page.goto(f"{url}/console/login/")
            page.locator("input[name=username]").fill("admin")
            page.locator("input[name=password]").fill(PASSWORD.read_text().strip())
            page.locator("button[type=submit]").click()
            page.locator(".c-figures").wait_for()
            for name, path in PAGES.items():
                page.goto(f"{url}{path}")
                if "?q=" in path:
                    page.locator(ROW).first.click()
                page.wait_for_load_state("networkidle")
                page.screenshot(path=folder / f"{name}-{width}.png", full_page=True)
                sys.stdout.write(f"docs/screenshots/{name}-{width}.png\n")
        browser.close()


if __name__ == "__main__":
    main()
