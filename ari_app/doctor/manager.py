"""What can be seen over AMI: access, rights, the RTP ports."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ari_app.asterisk.ami import READ_CLASSES, WRITE_CLASSES, Ami, Fields
from ari_app.asterisk.errors import AriError, AriRefused
from ari_app.asterisk.rtp_ports import ports_of_call, rtp_port_count
from ari_app.doctor.findings import Finding, Topic, advice, ok, problem
from ari_app.doctor.surroundings import AmiLogin, Surroundings
from ari_app.i18n import message

USER_EVENT_TIMEOUT_S = 2.0
USER_EVENT = "AstergramDoctor"
NEEDED_ACTIONS = {"UserEvent": "user", "ShowDialPlan": "reporting"}

NOT_CONFIGURED = advice(
    Topic.AMI,
    message("AMI is not configured: the dialplan can't be checked, and programs are told of no call."),
    message("Add a user to manager.conf as the page Connect shows, and set [ami] host, port, user and password."),
)


@asynccontextmanager
async def opened(login: AmiLogin) -> AsyncIterator[Ami]:
    """Log in. Raises AriError."""
    async with Ami(login.host, login.port, login.user, login.password.get_secret_value()) as ami:
        yield ami


def no_access(error: AriError, login: AmiLogin) -> Finding:
    """Tell why there is no AMI."""
    if isinstance(error, AriRefused):
        return problem(
            Topic.AMI,
            message("Asterisk refuses the AMI user {user}.", user=login.user),
            message(
                "See that manager.conf has [{user}], that its secret is [ami] password, and that permit and deny let"
                " this machine in. Then: asterisk -rx 'manager reload'",
                user=login.user,
            ),
        )
    return problem(
        Topic.AMI,
        message("AMI at {host}:{port} does not answer: {detail}", host=login.host, port=login.port, detail=str(error)),
        message("In manager.conf's [general] set enabled = yes, and bindaddr and port as in [ami]."),
    )


async def rights(ami: Ami) -> list[Finding]:
    """Whether the user may do what Astergram does: sends itself a user event."""
    allowed = await ami.allowed_actions()
    missing = [kind for action, kind in NEEDED_ACTIONS.items() if action not in allowed]
    found = []
    if missing:
        found.append(
            problem(
                Topic.AMI,
                message(
                    "The AMI user {user} lacks rights: write = {missing}.", user=ami.user, missing=",".join(missing)
                ),
                message(
                    "Set write = {classes} for [{user}] in manager.conf. Then: asterisk -rx 'manager reload'",
                    classes=",".join(WRITE_CLASSES),
                    user=ami.user,
                ),
            )
        )
    if "UserEvent" in allowed and not await _hears_user_events(ami):
        found.append(
            problem(
                Topic.AMI,
                message("The AMI user {user} does not receive user events.", user=ami.user),
                message(
                    "Set read = {classes} for [{user}] in manager.conf, and see that no eventfilter hides them. Then:"
                    " asterisk -rx 'manager reload'",
                    classes=",".join(READ_CLASSES),
                    user=ami.user,
                ),
            )
        )
    return found or [
        ok(Topic.AMI, message("AMI accepts the user {user}, with the rights that Astergram needs.", user=ami.user)),
    ]


async def _hears_user_events(ami: Ami) -> bool:
    token = secrets.token_hex(8)
    heard = asyncio.Event()

    def compare(event: Fields) -> None:
        if event.get("Token") == token:
            heard.set()

    ami.on_event("UserEvent", compare)
    await ami.action("UserEvent", UserEvent=USER_EVENT, Token=token)
    try:
        async with asyncio.timeout(USER_EVENT_TIMEOUT_S):
            await heard.wait()
    except TimeoutError:
        return False
    return True


async def rtp_ports(ami: Ami, surroundings: Surroundings) -> list[Finding]:
    """Whether rtp.conf has ports for all calls; says nothing where that is not known."""
    have = await rtp_port_count(ami)
    if have is None:
        return []
    needed = surroundings.calls * ports_of_call(surroundings.transport)
    if needed > have:
        return [
            problem(
                Topic.TRANSPORT,
                message(
                    "All calls that the lines may have ({calls}) need {needed} RTP ports, and rtp.conf has {have}.",
                    calls=surroundings.calls,
                    needed=needed,
                    have=have,
                ),
                message(
                    "Widen rtpstart to rtpend in rtp.conf, or lower the lines' max_calls: other calls need ports, too."
                ),
            )
        ]
    return [
        ok(
            Topic.TRANSPORT,
            message(
                "rtp.conf has RTP ports enough for all calls that the lines may have: {calls}.",
                calls=surroundings.calls,
            ),
        )
    ]
