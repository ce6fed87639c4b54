"""Activity on the overview: to each reader what they may see."""

from pathlib import Path

from ari_app.alerts.book import AlertCondition, AlertKind
from ari_app.i18n import message
from ari_app.pbx.events import TelegramDrain, TelegramPause
from tests.integration.command import done
from tests.integration.test_cli import written
from tests.integration.web_helpers import program, signed_in, site, user

PAUSED = "+79990000001: paused, Telegram said FLOOD_WAIT_300 (phone.requestCall)"


async def test_who_sees_what(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    config = written(tmp_path / "state")
    async with site(tmp_path / "state") as page, signed_in(page) as admin, user(page, "viewer") as viewer:
        its = page.services
        its.activity.put(
            TelegramPause(line="+79990000001", request="phone.requestCall", seconds=300, reason="FLOOD_WAIT_300")
        )
        its.activity.put(TelegramDrain(state="begun"))
        condition = AlertCondition(AlertKind.DISK, "", message("Only {free} MB are free.", free=7))
        its.alerts._book.look([condition], page.clock.now)
        page.clock.now += 60
        await admin.get("/settings")
        await admin.post("/settings/installation", {"company": "Acme"})
        shown = (await admin.get("/overview/activity")).text
        for said in (PAUSED, "New calls were stopped", "Alert: Only 7 MB are free.", "Signed in", "Settings changed"):
            assert said in shown, said
        assert shown.index("Settings changed") < shown.index("Alert: Only 7 MB"), "the newest first"
        seen = (await viewer.get("/")).text
        assert PAUSED in seen
        assert "Settings changed" not in seen
        assert "Signed in" not in seen
        async with program(page) as cli:
            found = await (await cli.get("/api/activity?limit=3")).json()
        assert (found[0]["kind"], found[0]["who"]) == ("audit", "admin")
        assert len(found) == 3
        assert "New calls were stopped" in await done("activity", "--config", config)
        async with signed_in(page, Accept_Language="ru") as reader:
            shown = (await reader.get("/overview/activity")).text
            assert "Новые звонки остановлены" in shown
            assert "Изменены настройки" in shown
