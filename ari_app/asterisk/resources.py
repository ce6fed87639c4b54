"""ARI's resources as objects, named as in ari-py and Asterisk's own API documentation.

A repository (``client.channels``) finds and makes; an object (``Channel``) carries the operations on one. Parameter
names are Asterisk's. Every operation raises AriError. tests/integration/test_ari_api_docs.py holds each method against
the documentation a running Asterisk serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ari_app.asterisk.hangup import REASONS
from ari_app.asterisk.rest import Rest

Json = dict[str, Any]
Variables = Mapping[str, str]


class Channel:
    """One channel. ``json`` is its last known snapshot, empty if none was asked for."""

    def __init__(self, rest: Rest, channel_id: str, json: Json | None = None) -> None:
        self._rest = rest
        self.id = channel_id
        self.json: Json = json or {}

    def __repr__(self) -> str:
        return f"Channel({self.id!r}, {self.json.get('name')!r}, {self.json.get('state')!r})"

    @property
    def name(self) -> str:
        """Asterisk's name for it, such as ``PJSIP/phone1-00000001``."""
        return str(self.json.get("name", ""))

    @property
    def state(self) -> str:
        """``Down``, ``Ring``, ``Ringing``, ``Up``... as of the snapshot."""
        return str(self.json.get("state", ""))

    @property
    def stasis_app(self) -> str | None:
        """The application in whose Stasis() it was at the time of the snapshot; empty if it was in none.

        None where Asterisk does not tell (before 16.12).
        """
        dialplan = self.json.get("dialplan", {})
        if "app_data" not in dialplan:
            return None
        return str(dialplan["app_data"]).partition(",")[0] if dialplan["app_name"] == "Stasis" else ""

    @property
    def sent_by_dialplan(self) -> bool:
        """Whether it was at a Stasis() line with arguments: what ARI has made, or a transfer brought, has none.

        False where Asterisk does not tell (before 16.12).
        """
        return bool(self.stasis_app and "," in self.json["dialplan"]["app_data"])

    @property
    def channelvars(self) -> dict[str, str]:
        """The variables in the snapshot (for external media: where its audio is)."""
        return dict(self.json.get("channelvars", {}))

    async def hangup(self, *, reason_code: int | None = None) -> None:
        """Hang up with a Q.850 cause; one that has no word is 16, normal clearing, to an Asterisk that is too old."""
        reason = REASONS.get(reason_code or 0)
        await self._rest.call(
            "DELETE /channels/{channelId}",
            channelId=self.id,
            reason=reason,
            reason_code=None if reason else reason_code,
        )

    async def answer(self) -> None:
        """Answer (SIP: 200)."""
        await self._rest.call("POST /channels/{channelId}/answer", channelId=self.id)

    async def ring(self) -> None:
        """Indicate ringing (SIP: 180)."""
        await self._rest.call("POST /channels/{channelId}/ring", channelId=self.id)

    async def ringStop(self) -> None:
        """Stop indicating ringing."""
        await self._rest.call("DELETE /channels/{channelId}/ring", channelId=self.id)

    async def continueInDialplan(
        self,
        *,
        context: str | None = None,
        extension: str | None = None,
        priority: int | None = None,
        label: str | None = None,
    ) -> None:
        """Leave Stasis and go on in the dialplan, by default after the Stasis() line."""
        await self._rest.call(
            "POST /channels/{channelId}/continue",
            channelId=self.id,
            context=context,
            extension=extension,
            priority=priority,
            label=label,
        )

    async def move(self, *, app: str, appArgs: str = "") -> None:
        """Hand it to another application of this Asterisk, which gets a StasisStart with these arguments."""
        await self._rest.call("POST /channels/{channelId}/move", channelId=self.id, app=app, appArgs=appArgs or None)

    async def setChannelVar(self, *, variable: str, value: str) -> None:
        """Set a channel variable or function."""
        await self._rest.call("POST /channels/{channelId}/variable", channelId=self.id, variable=variable, value=value)

    async def getChannelVar(self, *, variable: str) -> str:
        """Read a channel variable or function. AriNotFound if there is no such variable."""
        answer = await self._rest.call("GET /channels/{channelId}/variable", channelId=self.id, variable=variable)
        return str(answer["value"])

    async def sendDTMF(
        self,
        *,
        dtmf: str,
        before: int | None = None,
        between: int | None = None,
        duration: int | None = None,
        after: int | None = None,
    ) -> None:
        """Send digits towards the channel's far end; times in milliseconds."""
        await self._rest.call(
            "POST /channels/{channelId}/dtmf",
            channelId=self.id,
            dtmf=dtmf,
            before=before,
            between=between,
            duration=duration,
            after=after,
        )

    async def mute(self, *, direction: Literal["both", "in", "out"] = "both") -> None:
        """Mute the channel's audio in a direction."""
        await self._rest.call("POST /channels/{channelId}/mute", channelId=self.id, direction=direction)

    async def unmute(self, *, direction: Literal["both", "in", "out"] = "both") -> None:
        """Undo ``mute``."""
        await self._rest.call("DELETE /channels/{channelId}/mute", channelId=self.id, direction=direction)

    async def hold(self) -> None:
        """Put on hold."""
        await self._rest.call("POST /channels/{channelId}/hold", channelId=self.id)

    async def unhold(self) -> None:
        """Take off hold."""
        await self._rest.call("DELETE /channels/{channelId}/hold", channelId=self.id)

    async def startMoh(self, *, mohClass: str | None = None) -> None:
        """Play music on hold."""
        await self._rest.call("POST /channels/{channelId}/moh", channelId=self.id, mohClass=mohClass)

    async def stopMoh(self) -> None:
        """Stop music on hold."""
        await self._rest.call("DELETE /channels/{channelId}/moh", channelId=self.id)


class Channels:
    """``/channels``."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def list(self) -> list[Channel]:
        """All channels of this Asterisk, whoever's they are."""
        return [Channel(self._rest, found["id"], found) for found in await self._rest.call("GET /channels")]

    async def get(self, *, channelId: str) -> Channel:
        """One channel. AriNotFound if it is gone."""
        found = await self._rest.call("GET /channels/{channelId}", channelId=channelId)
        return Channel(self._rest, channelId, found)

    async def originate(
        self,
        *,
        endpoint: str,
        extension: str | None = None,
        context: str | None = None,
        priority: int | None = None,
        app: str | None = None,
        appArgs: str | None = None,
        callerId: str | None = None,
        timeout: int | None = None,
        variables: Variables | None = None,
        channelId: str | None = None,
        otherChannelId: str | None = None,
        originator: str | None = None,
        formats: str | None = None,
    ) -> Channel:
        """Create a channel and dial it; once answered it enters ``app`` (or the dialplan). ``timeout`` in seconds."""
        made = await self._rest.call(
            "POST /channels",
            endpoint=endpoint,
            extension=extension,
            context=context,
            priority=priority,
            app=app,
            appArgs=appArgs,
            callerId=callerId,
            timeout=timeout,
            variables=variables,
            channelId=channelId,
            otherChannelId=otherChannelId,
            originator=originator,
            formats=formats,
        )
        return Channel(self._rest, made["id"], made)

    async def create(
        self,
        *,
        endpoint: str,
        app: str,
        appArgs: str | None = None,
        variables: Variables | None = None,
        channelId: str | None = None,
        otherChannelId: str | None = None,
        originator: str | None = None,
        formats: str | None = None,
    ) -> Channel:
        """Create a channel in ``app`` without dialling it. ``variables`` needs Asterisk 16 or later."""
        made = await self._rest.call(
            "POST /channels/create",
            endpoint=endpoint,
            app=app,
            appArgs=appArgs,
            variables=variables,
            channelId=channelId,
            otherChannelId=otherChannelId,
            originator=originator,
            formats=formats,
        )
        return Channel(self._rest, made["id"], made)

    async def externalMedia(
        self,
        *,
        app: str,
        external_host: str,
        format: str,
        channelId: str | None = None,
        variables: Variables | None = None,
        encapsulation: str | None = None,
        transport: str | None = None,
        connection_type: str | None = None,
        direction: str | None = None,
    ) -> Channel:
        """Create a channel whose audio goes to another program; its snapshot's ``channelvars`` tell where."""
        made = await self._rest.call(
            "POST /channels/externalMedia",
            app=app,
            external_host=external_host,
            format=format,
            channelId=channelId,
            variables=variables,
            encapsulation=encapsulation,
            transport=transport,
            connection_type=connection_type,
            direction=direction,
        )
        return Channel(self._rest, made["id"], made)


class Bridge:
    """One bridge."""

    def __init__(self, rest: Rest, bridge_id: str, json: Json | None = None) -> None:
        self._rest = rest
        self.id = bridge_id
        self.json: Json = json or {}

    def __repr__(self) -> str:
        return f"Bridge({self.id!r}, {self.channels!r})"

    @property
    def channels(self) -> list[str]:
        """The ids of the channels in it, as of the snapshot."""
        return list(self.json.get("channels", []))

    async def addChannel(
        self, *, channel: str, role: str | None = None, absorbDTMF: bool | None = None, mute: bool | None = None
    ) -> None:
        """Add a channel (or several, comma-separated). It is not answered by this."""
        await self._rest.call(
            "POST /bridges/{bridgeId}/addChannel",
            bridgeId=self.id,
            channel=channel,
            role=role,
            absorbDTMF=absorbDTMF,
            mute=mute,
        )

    async def removeChannel(self, *, channel: str) -> None:
        """Take a channel out; it stays in Stasis."""
        await self._rest.call("POST /bridges/{bridgeId}/removeChannel", bridgeId=self.id, channel=channel)

    async def destroy(self) -> None:
        """Destroy the bridge; its channels stay in Stasis."""
        await self._rest.call("DELETE /bridges/{bridgeId}", bridgeId=self.id)


class Bridges:
    """``/bridges``."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def list(self) -> list[Bridge]:
        """All bridges of this Asterisk."""
        return [Bridge(self._rest, found["id"], found) for found in await self._rest.call("GET /bridges")]

    async def get(self, *, bridgeId: str) -> Bridge:
        """One bridge. AriNotFound if it is gone."""
        found = await self._rest.call("GET /bridges/{bridgeId}", bridgeId=bridgeId)
        return Bridge(self._rest, bridgeId, found)

    async def create(self, *, type: str | None = None, bridgeId: str | None = None, name: str | None = None) -> Bridge:
        """Make a bridge; ``type`` is a comma-separated list of attributes, such as ``mixing,dtmf_events``."""
        made = await self._rest.call("POST /bridges", type=type, bridgeId=bridgeId, name=name)
        return Bridge(self._rest, made["id"], made)


class Asterisk:
    """``/asterisk``: the server itself."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def getInfo(self) -> Json:
        """Version, configuration and status."""
        return dict(await self._rest.call("GET /asterisk/info"))

    async def listModules(self) -> list[Json]:
        """Loaded modules, each with ``name`` and ``status``."""
        return list(await self._rest.call("GET /asterisk/modules"))


class Applications:
    """``/applications``: the Stasis applications that are connected."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def list(self) -> list[Json]:
        """All applications."""
        return list(await self._rest.call("GET /applications"))

    async def get(self, *, applicationName: str) -> Json:
        """One application, with its ``channel_ids`` and ``bridge_ids``."""
        return dict(await self._rest.call("GET /applications/{applicationName}", applicationName=applicationName))

    async def subscribe(self, *, applicationName: str, eventSource: str) -> Json:
        """Have an application told about ``channel:ID``, ``bridge:ID`` or ``endpoint:TECH/NAME``."""
        return dict(
            await self._rest.call(
                "POST /applications/{applicationName}/subscription",
                applicationName=applicationName,
                eventSource=eventSource,
            )
        )


class UserEvents:
    """``/events/user``: what programs tell applications."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def generate(self, *, eventName: str, application: str) -> None:
        """Have an application told a ChannelUserevent of this name. AriNotFound if it is not connected."""
        await self._rest.call("POST /events/user/{eventName}", eventName=eventName, application=application)


class Endpoints:
    """``/endpoints``."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def list(self) -> list[Json]:
        """All endpoints, with ``technology``, ``resource`` and ``state``."""
        return list(await self._rest.call("GET /endpoints"))


class ApiDocs:
    """``/api-docs``: the description that Asterisk serves of its own ARI (Swagger 1.1)."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def get(self, *, name: str = "resources") -> Json:
        """One document: ``resources`` is the list, ``channels``, ``bridges``... the operations."""
        return dict(await self._rest.call("GET /api-docs/{name}.json", name=name))
