"""The dialplan that Asterisk runs with, seen over AMI: what calls come in and go out by, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable

from ari_app.asterisk.ami import Ami, Fields
from ari_app.asterisk.errors import AriNotFound
from ari_app.doctor.dialplan import FROM_PHONES, TO_TELEGRAM
from ari_app.doctor.findings import Finding, Topic, advice, ok, problem
from ari_app.doctor.surroundings import Surroundings
from ari_app.i18n import message

EMERGENCY_NUMBERS = ("112", "911")
WRITE_IT = message(
    "Run `astergram dialplan install`, or copy the lines of the page Connect to extensions.conf. Then:"
    " asterisk -rx 'dialplan reload'"
)


async def incoming(ami: Ami, surroundings: Surroundings) -> list[Finding]:
    """Whether each line's calls, and its call backs, have an extension to go to."""
    found = []
    for line in surroundings.lines:
        wanted = [(line.context, line.extension)]
        if line.callback:
            extension, _, context = line.callback.partition("@")
            wanted.append((context, extension))
        for context, extension in wanted:
            found.append(await _incoming(ami, line.number, context, extension))
    return found


async def _incoming(ami: Ami, number: str, context: str, extension: str) -> Finding:
    steps = await _steps(ami, context, extension)
    if not steps:
        return problem(
            Topic.DIALPLAN,
            message(
                "Line {number}: no extension {extension} in [{context}] of the dialplan: its calls fail.",
                number=number,
                extension=extension,
                context=context,
            ),
            WRITE_IT,
        )
    for to_context, to_extension in _goes_on_at(steps, extension):
        if not await _steps(ami, to_context, to_extension):
            return problem(
                Topic.DIALPLAN,
                message(
                    "Line {number}: its calls go on at {extension} in [{context}], which does not exist.",
                    number=number,
                    extension=to_extension,
                    context=to_context,
                ),
                message(
                    "Make that extension: on FreePBX by an inbound route with that DID, on MikoPBX by an incoming route"
                    " without a provider for that number."
                ),
            )
    sentence = message(
        "Line {number}: {extension} in [{context}] exists.", number=number, extension=extension, context=context
    )
    return ok(Topic.DIALPLAN, sentence)


def _goes_on_at(steps: Iterable[Fields], extension: str) -> list[tuple[str, str]]:
    """Where Goto() with a context leads, as far as that can be told without a call."""
    found = []
    for step in steps:
        parts = str(step.get("AppData", "")).replace("${EXTEN}", extension).split(",")
        if step.get("Application") == "Goto" and len(parts) == 3 and "$" not in "".join(parts):
            found.append((parts[0], parts[1]))
    return found


async def outgoing(ami: Ami, surroundings: Surroundings) -> list[Finding]:
    """Whether the sample's context for outgoing calls is there, and meant for this program."""
    app = surroundings.app
    steps = [step for step in await _steps(ami, TO_TELEGRAM) if step.get("Application") == "Stasis"]
    if not steps:
        return [
            advice(
                Topic.DIALPLAN,
                message("The dialplan has no [{context}] with Stasis({app},...).", context=TO_TELEGRAM, app=app),
                message(
                    "If phones are to call Telegram, copy it from the page Connect; a context of your own does as well."
                ),
            )
        ]
    others = {str(step.get("AppData", "")).partition(",")[0] for step in steps} - {app}
    if others:
        return [
            problem(
                Topic.DIALPLAN,
                message(
                    "[{context}] sends calls to the Stasis application {other}; Astergram is {app}.",
                    context=TO_TELEGRAM,
                    other=", ".join(sorted(others)),
                    app=app,
                ),
                message("Write the same name there and in [asterisk] app."),
            )
        ]
    for context in (TO_TELEGRAM, FROM_PHONES):
        if taken := [number for number in EMERGENCY_NUMBERS if await _steps(ami, context, number)]:
            return [
                problem(
                    Topic.DIALPLAN,
                    message(
                        "[{context}] takes {numbers}, too: where phones include it, emergency calls go to Telegram.",
                        context=context,
                        numbers=", ".join(taken),
                    ),
                    message("Copy it anew from the page Connect: it takes +, @ and tg# only, or a prefix of your own."),
                )
            ]
    return [ok(Topic.DIALPLAN, message("[{context}] sends calls to Astergram.", context=TO_TELEGRAM))]


async def included(ami: Ami) -> list[Finding]:
    """Whether phones call Telegram as they should. Reads all of the dialplan, which a large one takes seconds for."""
    if not await _steps(ami, FROM_PHONES):
        return []  # by a trunk, or by lines of one's own
    answer = await ami.action("ShowDialPlan")
    by: dict[object, list[str]] = {FROM_PHONES: [], TO_TELEGRAM: []}
    for event in answer.events:
        if (includes := event.get("IncludeContext")) in by:
            by[includes].append(str(event["Context"]))
    found = [
        advice(
            Topic.DIALPLAN,
            message(
                "[{context}] includes [{included}]: its phones' calls can't be transferred by ## and *2, and whom they"
                " hold hears no music.",
                context=context,
                included=TO_TELEGRAM,
            ),
            message("Put `include => {context}` in its place.", context=FROM_PHONES),
        )
        for context in by[TO_TELEGRAM]
    ]
    if not any(by.values()):
        found.append(
            advice(
                Topic.DIALPLAN,
                message("No context includes [{context}]: no phone calls Telegram by it.", context=FROM_PHONES),
                message(
                    "Put `include => {context}` into the context of your phones. Then: asterisk -rx 'dialplan reload'",
                    context=FROM_PHONES,
                ),
            )
        )
    return found or [ok(Topic.DIALPLAN, message("[{context}] is included by phones.", context=FROM_PHONES))]


async def _steps(ami: Ami, context: str, extension: str = "") -> list[Fields]:
    """The dialplan's steps for an extension, by way of patterns and includes; none if it does not exist."""
    headers = {"Context": context} | ({"Extension": extension} if extension else {})
    try:
        answer = await ami.action("ShowDialPlan", **headers)
    except AriNotFound:
        return []
    return [event for event in answer.events if "Application" in event]
