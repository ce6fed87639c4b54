"""Whether one's own TURN server relays: it is asked for a relay, as each call asks for one."""

from __future__ import annotations

import asyncio

from aioice import stun, turn

from ari_app.doctor.findings import Finding, Topic, ok, problem
from ari_app.doctor.surroundings import Surroundings
from ari_app.i18n import Message, message
from ari_app.os_words import in_words

ALLOCATE_S = 5.0
"""For both requests of a login, and a repetition of each that was lost."""
UNAUTHORIZED, QUOTA = 401, 486  # RFC 8656, section 17

_SILENT = (
    message("no answer within {seconds} s", seconds=round(ALLOCATE_S)),
    message("See that it runs, and that a firewall lets UDP through to this port and to its relay ports."),
)
_LOGIN = message(
    "Correct user and password, or the secret, in Settings; a secret needs use-auth-secret in turnserver.conf, and the"
    " same time on both machines."
)


async def relay(here: Surroundings, now: float) -> list[Finding]:
    """Whether it gives a relay; nothing where there is no such server."""
    server = here.turn
    if server is None:
        return []
    user, password = server.login(now)
    try:
        async with asyncio.timeout(ALLOCATE_S):
            transport, _ = await turn.create_turn_endpoint(
                asyncio.DatagramProtocol, server_addr=(server.host, server.port), username=user, password=password
            )
    except stun.TransactionFailed as error:
        code, said = error.response.attributes.get("ERROR-CODE", (0, ""))
        return [_fails(here, *_refused(code, said))]
    except (TimeoutError, stun.TransactionTimeout):
        return [_fails(here, *_SILENT)]
    except OSError as error:
        return [_fails(here, in_words(error), _SILENT[1])]
    address = transport.get_extra_info("sockname")
    transport.close()
    return [
        ok(
            Topic.TELEGRAM,
            message(
                "The TURN server {server} gives a relay for the audio, at {address}.",
                server=server,
                address=":".join(map(str, address)),
            ),
        )
    ]


def _refused(code: int, said: str) -> tuple[Message | str, Message]:
    if code == UNAUTHORIZED:
        return message("it refuses the login"), _LOGIN
    if code == QUOTA:
        return f"{said} ({code})", message("Raise user-quota or total-quota in turnserver.conf.")
    return f"{said} ({code})", message("Its log says why; coturn's with verbose in turnserver.conf.")


def _fails(here: Surroundings, detail: Message | str, remedy: Message) -> Finding:
    sentence = message("The TURN server {server} gives no relay: {detail}", server=here.turn, detail=detail)
    return problem(Topic.TELEGRAM, sentence, remedy)
