"""The OpenID Connect provider: its addresses and keys, the code for an ID token, and what that token says. By authlib.

OpenID Connect Core 1.0 (3.1, authorization code flow), Discovery 1.0, RP-Initiated Logout 1.0; PKCE is RFC 7636.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from authlib.common.urls import add_params_to_uri
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import Key, KeySet
from joserfc.jws import JWSRegistry
from pydantic import BaseModel

from ari_app.i18n import Message, message
from ari_app.web.access.refusals import AccessRefused
from ari_app.web.oidc.flow import Flow
from ari_app.web.oidc.refusals import AnswerRefused, ProviderAway
from ari_app.web.oidc.settings import OidcSettings

log = logging.getLogger(__name__)

PROVIDER_S = 10.0
"""For all that one step of a sign-in asks of the provider."""
METADATA_S = 3600.0
"""How long its addresses and keys are used before they are asked for again; for an unknown key, at once."""
LEEWAY_S = 60
"""By which its clock may be off."""
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""Signatures with a key pair; `none`, and keys that both sides know, are no proof of the provider's."""
for _noisy in ("authlib", "httpx2", "httpcore2"):  # they tell verifiers, codes and every request
    logging.getLogger(_noisy).setLevel(logging.WARNING)


class Metadata(BaseModel):
    """What is used of the provider's discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str = ""
    token_endpoint_auth_methods_supported: list[str] = []


class Provider:
    """``redirect_uri``: where it sends browsers back to. ``clock`` gives Unix time, ``steady`` one that nobody sets."""

    def __init__(
        self, settings: OidcSettings, redirect_uri: str, clock: Callable[[], float], steady: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._redirect_uri = redirect_uri
        self._clock = clock
        self._steady = steady
        self._known: tuple[Metadata, KeySet] | None = None
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def sign_in_url(self, flow: Flow) -> str:
        """Where a browser signs in; raises ProviderAway."""
        async with self._bounded():
            metadata, _ = await self._its()
            async with self._client(metadata) as client:
                url, _ = client.create_authorization_url(
                    metadata.authorization_endpoint, state=flow.state, code_verifier=flow.verifier, nonce=flow.nonce
                )
                return str(url)

    async def claims(self, flow: Flow, code: str) -> Mapping[str, Any]:
        """What the ID token says of whom a code is for; raises ProviderAway, AnswerRefused."""
        async with self._bounded():
            metadata, keys = await self._its()
            async with self._client(metadata) as client:
                token = await client.fetch_token(
                    metadata.token_endpoint, grant_type="authorization_code", code=code, code_verifier=flow.verifier
                )
            if not isinstance(id_token := token.get("id_token"), str):
                raise AnswerRefused(message("there is no ID token in it"))
            try:
                decoded = _decoded(id_token, keys)
            except (InvalidKeyIdError, BadSignatureError):  # it may have other keys since
                _, keys = await self._its(anew=True)
                decoded = _decoded(id_token, keys)
            options = {"iss": self._settings.issuer, "aud": self._settings.client_id}
            its = CodeIDToken(
                decoded.claims,
                decoded.header,
                {name: {"essential": True, "value": value} for name, value in options.items()},
                {"nonce": flow.nonce, "client_id": self._settings.client_id, "access_token": token.get("access_token")},
            )
            its.validate(now=int(self._clock()), leeway=LEEWAY_S)
            return its

    async def sign_out_url(self, back: str) -> str:
        """Where a browser signs out of the provider, too; empty where it offers none. Raises ProviderAway."""
        async with self._bounded():
            metadata, _ = await self._its()
            if not metadata.end_session_endpoint:
                return ""
            asked = {"client_id": self._settings.client_id, "post_logout_redirect_uri": back}
            return str(add_params_to_uri(metadata.end_session_endpoint, list(asked.items())))

    async def examine(self) -> None:
        """Ask for its addresses and keys now; raises ProviderAway."""
        async with self._bounded():
            await self._its(anew=True)

    async def _its(self, *, anew: bool = False) -> tuple[Metadata, KeySet]:
        """Its addresses and keys."""
        async with self._asking:
            if self._known is None or anew or self._steady() >= self._until:
                self._known = await self._ask()
                self._until = self._steady() + METADATA_S
            return self._known

    async def _ask(self) -> tuple[Metadata, KeySet]:
        async with httpx2.AsyncClient(timeout=PROVIDER_S) as http:
            answer = await http.get(get_well_known_url(self._settings.issuer, external=True))
            metadata = Metadata.model_validate(answer.raise_for_status().json())
            if metadata.issuer != self._settings.issuer:
                said = message("it calls itself {issuer}: set that as its issuer", issuer=metadata.issuer)
                raise ProviderAway(said)
            keys = (await http.get(metadata.jwks_uri)).raise_for_status().json()
        return metadata, _usable(keys["keys"])

    def _client(self, metadata: Metadata) -> AsyncOAuth2Client:
        secret = self._settings.client_secret
        by_body = "client_secret_post" in metadata.token_endpoint_auth_methods_supported
        with_secret = "client_secret_post" if by_body else "client_secret_basic"
        return AsyncOAuth2Client(
            self._settings.client_id,
            secret.get_secret_value() if secret else None,
            token_endpoint_auth_method=with_secret if secret else "none",
            scope=" ".join(self._settings.scopes),
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
            timeout=PROVIDER_S,
        )

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        """In time, and with errors in words; what goes wrong is in the log, with what nobody else needs to know."""
        try:
            async with asyncio.timeout(PROVIDER_S):
                yield
        except AccessRefused as refused:
            log.warning("%s", refused.sentence)
            raise
        except (TimeoutError, httpx2.TimeoutException):
            raise self._away(message("no answer within {seconds} s", seconds=round(PROVIDER_S, 1))) from None
        except httpx2.HTTPStatusError as error:
            raise self._away(f"HTTP {error.response.status_code}") from None
        except httpx2.HTTPError as error:
            raise self._away(message("it can't be reached ({error})", error=error)) from error
        except OAuthError as error:
            raise self._refused(error.error) from error
        except JoseError as error:
            raise self._refused(f"{error.error}: {error.description}".rstrip(": .")) from error
        except (httpx2.InvalidURL, KeyError, TypeError, ValueError) as error:  # no JSON, or another one
            raise self._away(message("protocol error")) from error

    def _away(self, reason: Message | str) -> ProviderAway:
        log.warning("the OpenID Connect provider %s: %s", self._settings.issuer, reason)
        return ProviderAway(reason)

    def _refused(self, reason: str) -> AnswerRefused:
        log.warning("the answer of the OpenID Connect provider %s can't be used: %s", self._settings.issuer, reason)
        return AnswerRefused(reason)


def _usable(keys: Iterable[Any]) -> KeySet:
    """Those that can be used; others say nothing about them (RFC 7517, 5). Raises ValueError where there is none."""
    usable: list[Key] = []
    for each in keys:
        try:
            usable += KeySet.import_key_set({"keys": [each]}).keys
        except (JoseError, KeyError, TypeError, ValueError) as error:
            log.info("a key of the OpenID Connect provider's can't be used: %r", error)
    if not usable:
        raise ValueError("no key of the provider's can be used")
    return KeySet(usable)


def _decoded(id_token: str, keys: KeySet) -> jwt.Token:
    return jwt.decode(id_token, keys, registry=JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False))
