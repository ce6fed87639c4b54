"""A call in Asterisk's CDR: one row, with what a report wants to know of its Telegram side.

The row of an incoming call is made by the dialplan's half of its Local channel, that of an outgoing one by the phone,
whether the phone itself is in Stasis or has dialled ``Local/...@to-telegram/n``, whose far half is in Stasis then.
The other halves and the media channel are no calls of their own. docs/dialplan.md has the columns.
"""

from collections.abc import Mapping

from ari_app.asterisk.legs import IncomingLeg
from ari_app.calls.call import Call
from ari_app.calls.outcome import Direction, Status
from ari_app.telegram.line import Line

NO_ROW: Mapping[str, str] = {"CDR_PROP(disable)": "1"}
"""Variables of a channel that is no call of its own; func_cdr.so sets them."""


USER_FIELD = "telegram"
"""Begins the user field, where it is ours."""


def dialplan_variables(line: Line) -> dict[str, str]:
    """For the Local channel of a call into the dialplan: this half gets no row, and the other one the account code."""
    code = {"CHANNEL(peeraccount)": line.account_code} if line.account_code else {}
    return {**NO_ROW, **code}


def endpoint_variables(call: Call) -> dict[str, str]:
    """For an endpoint that is rung past the dialplan: its own channel has the row, and keeps its account code."""
    known = {"direction": call.direction.value, "line": call.line, "call": call.id}
    if call.person:
        known["id"] = str(call.person.id)
    columns = {f"CDR(telegram_{name})": value for name, value in known.items()}
    return columns | {"CDR(userfield)": " ".join([USER_FIELD, *(f"{name}={value}" for name, value in known.items())])}


class OutgoingRow:
    """The row of a channel that came from the dialplan; ``call`` is None where it was refused before there was one."""

    def __init__(self, leg: IncomingLeg, call: Call | None = None) -> None:
        self._leg = leg
        self._call = call
        self._is_local = leg.channel.name.startswith("Local/")
        self._has_user_field = False

    async def begin(self) -> None:
        """See to it that there is one row, and whose. Raises AriError."""
        if self._is_local:
            await self._leg.tell(NO_ROW)
        in_it = await self._leg.get_variable(self._of_phone("CDR(userfield)"))
        self._has_user_field = not in_it or in_it.startswith(USER_FIELD)  # an earlier run's, of this very call

    async def charge(self, line: Line) -> None:
        """Give it the line's account code, unless the phone has one of its own. Raises AriError."""
        code = self._of_phone("CHANNEL(accountcode)")
        if line.account_code and not await self._leg.get_variable(code):
            await self._leg.tell({code: line.account_code})

    def columns(self, status: Status) -> dict[str, str]:
        """What is known by now, as one variable to be set: that is one request."""
        call = self._call
        known = {
            "direction": Direction.OUT.value,
            "line": call.line if call else "",
            "id": str(call.person.id) if call and call.person else "",
            "status": status.value,
            "call": call.id if call else "",
        }
        columns = {f"CDR(telegram_{name})": value for name, value in known.items()}
        if self._has_user_field:
            columns["CDR(userfield)"] = " ".join([USER_FIELD, *(f"{name}={value}" for name, value in known.items())])
        return {self._of_phone(f"ARRAY({','.join(columns)})"): ",".join(columns.values())}

    def _of_phone(self, name: str) -> str:
        """A variable of the phone's channel: where it has dialled a Local channel, the one that began the call."""
        return f"MASTER_CHANNEL({name})" if self._is_local else name
