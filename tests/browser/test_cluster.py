"""The machines of a cluster on the overview."""

from pathlib import Path

from playwright.async_api import expect

from ari_app.sandbox.debian import Tree
from tests.browser.conftest import set_first_password
from tests.browser.test_accessible import examined
from tests.integration.test_web_cluster import CallsElsewhere, TwoMachines, with_a_line
from tests.integration.web_lines import LINE


async def test_a_line_is_moved_to_another_machine(tmp_path: Path, chromium: Tree) -> None:
    cluster = TwoMachines()
    async with with_a_line(tmp_path, cluster) as site, examined(chromium) as examination:
        page = examination.page
        await set_first_password(page, site.served)
        machines = page.get_by_role("region", name="Machines of the cluster").get_by_role("row")
        await expect(machines.nth(1)).to_contain_text(f"Sales ({LINE})")
        cluster.trouble = "no servers"
        site.services.bus.publish("cluster")
        await expect(page.locator("#machines")).to_contain_text("The NATS servers do not answer: no servers.")
        await page.get_by_text("Move a line to another machine").click()
        await page.get_by_label("Machine", exact=True).select_option("b")
        await page.get_by_role("button", name="Move the line").click()
        await expect(page.get_by_text(f"Machine b acts for line {LINE} now.")).to_be_visible()
        assert cluster.moved == [(LINE, "b")]
        await examination.of(site, "/")


async def test_a_call_of_another_machine_is_ended(tmp_path: Path, chromium: Tree) -> None:
    calls = CallsElsewhere()
    async with (
        with_a_line(tmp_path, TwoMachines(), cluster_calls=calls) as site,
        examined(chromium) as examination,
    ):
        page = examination.page
        await set_first_password(page, site.served)
        row = page.get_by_role("region", name="Calls on other machines").get_by_role("row").nth(1)
        await expect(row).to_contain_text("<b>Anna</b> · 101")
        await examination.of(site, "/")
        await page.context.clear_cookies(name="astergram-language")
        page.on("dialog", lambda dialog: dialog.accept())
        await page.goto(site.url)
        await row.get_by_role("button", name="Hang up").click()
        await expect(page.get_by_text("The call is being ended.")).to_be_visible()
        await expect(row).to_have_count(0)
        assert not calls.live
