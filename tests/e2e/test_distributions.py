"""FreePBX and MikoPBX: dialplans made in their shape, in a plain Asterisk, with what is to be copied to each.

What is known of theirs comes from their sources: FreePBX core (release/16.0), MikoPBX Core (develop, April 2026).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from ari_app.asterisk.ami import Ami, Fields
from ari_app.doctor import LineNeeds
from ari_app.doctor.dialplan import Flavour, extensions
from ari_app.doctor.surroundings import Surroundings
from ari_app.sandbox.sip_phone import SipPhone
from ari_app.sandbox.stage import ANNA, LINE
from ari_app.telegram.phone import DiscardReason
from tests.e2e.conftest import PERSON_HZ, PHONE_HZ, TALK_S, Play, PlayMaker, heard
from tests.integration.ari_helpers import eventually, global_variable

SECOND, NOBODY = "+79990000009", "+79991234567"
TRUNK_CALLER_ID = "74951234567"

FREEPBX = f"""
; A phone's call: FreePBX finds out whose it is, then the route's trunks are tried one after the other.
[phones]
exten => _00X.,1,Set(REALCALLERIDNUM=${{CALLERID(num)}})
 same => n,Set(AMPUSER=${{REALCALLERIDNUM}})
 same => n,Set(OUTNUM=+${{EXTEN:2}})
 same => n,Gosub(custom-trunk,s,1)
 same => n,Set(GLOBAL(NEXT_TRUNK)=${{HANGUPCAUSE}})
 same => n,Dial(PJSIP/102,20)
; The caller id becomes the trunk's; a BUSY, NOANSWER or a cause of 1, 17, 18, 28 ends it, anything else goes on.
[custom-trunk]
exten => s,1,Set(CALLERID(num)={TRUNK_CALLER_ID})
 same => n,Dial(Local/${{OUTNUM}}@to-telegram/n,300,Tt)
 same => n,Goto(s-${{DIALSTATUS}},1)
exten => s-BUSY,1,Set(GLOBAL(GAVE_UP)=BUSY)
 same => n,Busy(20)
exten => s-NOANSWER,1,Set(GLOBAL(GAVE_UP)=NOANSWER)
 same => n,Congestion(20)
exten => _s-.,1,Goto(${{HANGUPCAUSE}},1)
exten => 1,1,Set(GLOBAL(GAVE_UP)=INVALID)
 same => n,Busy(20)
exten => 17,1,Goto(s-BUSY,1)
exten => 18,1,Goto(s-NOANSWER,1)
exten => 28,1,Goto(1,1)
exten => _X,1,Goto(go-on,1)
exten => _X.,1,Goto(go-on,1)
exten => go-on,1,Return()
; A trunk's call: from-trunk leads to the inbound routes, and those to their destination.
[from-trunk]
include => from-pstn
[from-pstn]
include => ext-did
[ext-did]
exten => {LINE[1:]},1,Set(__FROM_DID=${{EXTEN}})
 same => n,Set(GLOBAL(DID)=${{FROM_DID}})
 same => n,Goto(from-did-direct,101,1)
[from-did-direct]
exten => _10X,1,Dial(PJSIP/${{EXTEN}},30,Ttr)
"""

MIKOPBX = f"""
; A phone's call: MikoPBX notes where it comes from, begins its record, and lets all_peers-custom have it first.
[phones]
exten => _[0-9*#+]!,1,Set(__FROM_CHAN=${{CHANNEL}})
 same => n,Set(CHANNEL(hangup_handler_wipe)=hangup_handler,s,1)
 same => n,Gosub(${{ISTRANSFER}}dial,${{EXTEN}},1)
 same => n,GosubIf($["${{DIALPLAN_EXISTS(all_peers-custom,${{EXTEN}},1)}}"="1"]?all_peers-custom,${{EXTEN}},1)
 same => n,UserEvent(Miko,What: fell-through)
 same => n,Hangup()
exten => _[hit],1,Hangup()
; What its Lua does, told by events.
[dial]
exten => _.!,1,UserEvent(Miko,What: dial,To: ${{EXTEN}},At: ${{CHANNEL}})
 same => n,Return()
[dial_create_chan]
exten => s,1,Set(CHANNEL(hangup_handler_wipe)=hangup_handler,s,1)
 same => n,UserEvent(Miko,What: created,At: ${{CHANNEL}})
 same => n,Return()
[dial_answer]
exten => _.!,1,UserEvent(Miko,What: answer,At: ${{CHANNEL}},Of: ${{FROM_CHAN}})
 same => n,Return()
[hangup_handler]
exten => s,1,UserEvent(Miko,What: hangup,At: ${{CHANNEL}},Status: ${{DIALSTATUS}})
 same => n,Return()
; An incoming route without a provider, for the line's number, to the employee 101.
[none-incoming]
exten => {LINE[1:]},1,Set(CHANNEL(hangup_handler_wipe)=hangup_handler,s,1)
 same => n,Set(__FROM_DID=${{EXTEN}})
 same => n,Set(__FROM_CHAN=${{CHANNEL}})
 same => n,Set(__TRANSFER_OPTIONS=t)
 same => n,Dial(Local/101@internal-incoming,30,${{TRANSFER_OPTIONS}}Kg)
 same => n,Hangup()
[internal-incoming]
exten => _10X,1,Gosub(dial,${{EXTEN}},1)
 same => n,Dial(PJSIP/${{EXTEN}},30,${{TRANSFER_OPTIONS}}ekKHhU(dial_answer)b(dial_create_chan,s,1))
"""


@asynccontextmanager
async def distribution(play: PlayMaker, flavour: Flavour, theirs: str, **sections: Any) -> AsyncIterator[Play]:
    """A stage whose dialplan is theirs and what Astergram adds to it, with nothing that Asterisk complains of."""
    async with play(**sections) as stage:
        here = Surroundings("", "", stage.settings.asterisk.password, stage.settings.state_dir)
        here = replace(here, lines=(LineNeeds(LINE),))
        asterisk = stage.asterisk
        (asterisk.run_dir / "etc" / "extensions.conf").write_text(f"[general]\n{theirs}\n{extensions(flavour, here)}")
        seen = len(asterisk.log.read_text())
        await asterisk.cli("dialplan reload")
        assert not [line for line in asterisk.log.read_text()[seen:].splitlines() if "WARNING" in line]
        yield stage


async def test_freepbx_calls_by_a_custom_trunk(play: PlayMaker) -> None:
    """The line is the extension's, though the caller id is the trunk's; who is not there is tried by the next trunk."""
    lines = [{"number": SECOND, "default": True}, {"number": LINE, "callers": ["101"]}]
    async with (
        distribution(play, Flavour.FREEPBX, FREEPBX, people={SECOND: "Second"}, lines=lines) as stage,
        stage.phone() as phone,
        SipPhone(stage.asterisk, "102") as next_trunk,
        stage.person(ANNA) as anna,
    ):
        await phone.dial(f"00{ANNA[1:]}")
        call = await anna.incoming()
        await call.ring()
        await call.accept(stage.tone("anna", PERSON_HZ), stage.recording("anna"))
        await phone.established()
        await stage.talking()
        assert stage.telegram.calls[-1].caller == LINE[1:]
        assert stage.calls[-1].pbx_party == "101"
        await call.hang_up()
        await phone.closed()

        await phone.dial(f"00{ANNA[1:]}")
        await (await anna.incoming()).hang_up(DiscardReason.BUSY)
        assert await global_variable(stage.asterisk, "GAVE_UP") == "BUSY"
        await phone.hangup()
        await stage.call_over()

        await phone.dial(f"00{NOBODY[1:]}")
        await next_trunk.incoming()
        assert await global_variable(stage.asterisk, "NEXT_TRUNK") == "3"
        await phone.hangup()
        await next_trunk.closed()

        await stage.stop_astergram()
        await phone.dial(f"00{ANNA[1:]}")
        await next_trunk.incoming()
        assert await global_variable(stage.asterisk, "NEXT_TRUNK") == "38"
        await phone.hangup()
        await next_trunk.closed()


async def test_freepbx_is_called_by_an_inbound_route(play: PlayMaker) -> None:
    async with (
        distribution(play, Flavour.FREEPBX, FREEPBX) as stage,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        await phone.incoming()
        assert await global_variable(stage.asterisk, "DID") == LINE[1:]
        await phone.answer()
        await call.confirm(None, None)
        await stage.talking()
        await phone.hangup()
        await call.ended()


@asynccontextmanager
async def told(stage: Play) -> AsyncIterator[list[dict[str, str]]]:
    """What MikoPBX's own program would be told."""
    found: list[dict[str, str]] = []

    def take(event: Fields) -> None:
        if event["UserEvent"] == "Miko":
            found.append({name: str(value) for name, value in event.items()})

    asterisk = stage.asterisk
    async with Ami(asterisk.ami_host, asterisk.ami_port, asterisk.ami_user, asterisk.ami_password) as ami:
        ami.on_event("UserEvent", take)
        yield found


async def test_mikopbx_has_a_record_of_an_outgoing_call(play: PlayMaker) -> None:
    """It learns of the call, the channel called, the answer and the end. Not of a recording: that channel is Local."""
    async with (
        distribution(play, Flavour.MIKOPBX, MIKOPBX) as stage,
        told(stage) as events,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
    ):
        await phone.dial(f"*9{ANNA[1:]}")
        call = await anna.incoming()
        await call.ring()
        await call.accept(stage.tone("anna", PERSON_HZ), stage.recording("anna"))
        await phone.established()
        await stage.talking()
        assert [event["What"] for event in events] == ["dial", "created", "answer"]
        dialled, created, answered = events
        assert dialled["At"].startswith("PJSIP/101-")
        assert created["At"] == answered["At"]
        assert answered["At"].startswith("Local/+79990000002@to-telegram-")
        assert answered["Of"] == dialled["At"]
        await asyncio.sleep(TALK_S)
        await call.hang_up()
        await phone.closed()
        await eventually(lambda: {event["At"] for event in events if event["What"] == "hangup"} >= {
            dialled["At"], created["At"]
        })  # fmt: skip
        await call.close_audio()
        await stage.call_over()
        heard(stage.recording("anna"), PHONE_HZ)

        await phone.dial(f"*9{NOBODY[1:]}")
        assert (await phone.closed()).startswith("404")
        assert not any(event["What"] == "fell-through" for event in events)


async def test_mikopbx_is_called_by_an_incoming_route(play: PlayMaker) -> None:
    async with (
        distribution(play, Flavour.MIKOPBX, MIKOPBX) as stage,
        told(stage) as events,
        stage.phone() as phone,
        stage.person(ANNA) as anna,
    ):
        call = await anna.call(LINE)
        await phone.incoming()
        await phone.answer()
        await call.confirm(None, None)
        await stage.talking()
        (answered,) = [event for event in events if event["What"] == "answer"]
        assert answered["At"].startswith("PJSIP/101-"), "a channel that MikoPBX records"
        assert answered["Of"].startswith("Local/")
        await call.hang_up()
        await phone.closed()
