"""The demo's second part: what a person on Telegram sees and does in the chat with the line."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from ari_app.sandbox.demo.program import Program, ProgramEnded
from ari_app.sandbox.demo.report import Report
from ari_app.sandbox.demo.scenario import CALL_FAILURES, Cast, failure_text
from ari_app.sandbox.demo.show import Show
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE

AGENT = "102"
CONTEXT = "demo-menu"
DIALPLAN = f"""\
; A menu that asks for an extension, and the agent whom a call back rings first.
[{CONTEXT}]
exten => _X.,1,Answer()
 same => n,Read(EXTENSION,,3,,1,20)
 same => n,Dial(PJSIP/${{EXTENSION}},30)
exten => agent,1,Dial(PJSIP/{AGENT},30)
 same => n,Hangup(19)
"""
RING_S = 2.0
"""How long the call rings that Anna does not answer."""


def configuration(cast: Cast) -> dict[str, Any]:
    """What Astergram needs for it, besides the usual."""
    card = {"callback": f"agent@{CONTEXT}"}
    return {"bot": cast.stage.bot(), "lines": [{"number": LINE, "context": CONTEXT, "max_calls": 2, "card": card}]}


class ChatScenario:
    """Told once, with Astergram at work."""

    def __init__(self, cast: Cast, program: Program, show: Show, report: Report) -> None:
        self._cast = cast
        self._program = program
        self._show = show
        self._report = report

    async def play(self) -> None:
        """All of it; what fails is a step that is not ok. Raises ProgramEnded."""
        self._show.heading("A caller dials an extension on the keypad in their chat")
        await self._attempt("keypad", self._keypad())
        self._show.heading("A call that is not answered leaves a card, and its button calls back")
        await self._attempt("card", self._card())

    async def _keypad(self) -> None:
        anna = self._cast.anna
        async with SipPhone(self._cast.stage.asterisk, AGENT, auto_answer=True) as agent:
            call = await anna.call(LINE)
            keypad = await anna.keypad(LINE)
            rows = " / ".join(" ".join(button.text for button in row) for row in keypad.buttons)
            self._show.step("keypad", f"Anna calls; her chat shows {keypad.message!r} and the keys {rows}")
            await call.confirm(None, None)
            for key in AGENT:
                await keypad.click(text=key)
            await agent.established()
            await anna.sees(LINE, lambda messages: any(AGENT in each.message for each in messages))
            self._show.step("extension", f"Anna presses {' '.join(AGENT)}, and phone {AGENT} answers her")
            await call.hang_up()
            await agent.closed()
            await anna.sees(LINE, lambda messages: not any(each.buttons for each in messages))
            self._show.step("keypad_hidden", "Anna hangs up, and the keypad is gone from her chat")
            await call.close_audio()

    async def _card(self) -> None:
        anna, timers = self._cast.anna, self._cast.stage.telegram.timers
        async with SipPhone(self._cast.stage.asterisk, AGENT) as agent:
            usual, timers.ring_s = timers.ring_s, RING_S
            try:
                await agent.dial(ANNA)
                missed = await anna.incoming()
                await missed.ring()
                await agent.closed()
            finally:
                timers.ring_s = usual
            card = await anna.keypad(LINE)
            said, button = card.message, card.buttons[0][0].text
            self._show.step("card", f"Anna does not answer phone {AGENT}; her chat shows {said!r} and [{button}]")
            self._program.forget()
            answer = await card.click()
            await agent.incoming()
            self._show.step("callback_asked", f"Anna presses it ({answer.message!r}), and phone {AGENT} rings first")
            await agent.answer()
            call = await anna.incoming()
            await call.ring()
            await call.accept(None, None)
            await self._program.call_talks()
            self._show.step("callback", f"phone {AGENT} answers; Anna's Telegram rings, and she answers")
            await call.hang_up()
            await agent.closed()
            await call.close_audio()
            done = await anna.sees(LINE, lambda messages: next((m for m in messages if said in m.message), None))
            await anna.sees(LINE, lambda messages: not any(each.buttons for each in messages))
            state = done.message.splitlines()[-1]
            self._show.step("callback_done", f"they have talked; the card says {state!r}, and its button is gone")

    async def _attempt(self, name: str, part: Coroutine[None, None, None]) -> None:
        try:
            await self._program.during(part)
        except ProgramEnded as error:
            self._show.step(name, str(error).partition(";")[0], ok=False)
            raise
        except CALL_FAILURES as error:
            self._report.failures.append(failure_text(error))
            self._show.step(name, failure_text(error), ok=False)
