"""The OpenID Connect provider, for programs and the command line: what is set, and whether it answers."""

from typing import Literal

from pydantic import BaseModel, Field

from ari_app.i18n import message
from ari_app.web.access.refusals import AccessRefused
from ari_app.web.http.operation import Asked, Operation
from ari_app.web.oidc.oidc import Oidc, oidc_of
from ari_app.web.oidc.refusals import ProviderAway
from ari_app.web.oidc.settings import RoleName


class OidcAnswer(BaseModel):
    """Sign-in by an OpenID Connect provider, as the configuration file has it; of the secret only that it is set."""

    issuer: str
    client_id: str
    client_secret: Literal["set"] | None
    redirect_uri: str = Field(description="What the provider has to know as ours.")
    scopes: list[str]
    button: str
    users: Literal["existing", "create"]
    name_claim: str
    unverified_email: bool
    role_claim: str
    roles: dict[str, RoleName]
    default_role: Literal["none", "viewer", "operator", "administrator"]
    emergency_user: str
    second_factor: Literal["astergram", "provider"]

    @classmethod
    def of(cls, oidc: Oidc) -> "OidcAnswer":
        """Without the secret."""
        secret = "set" if oidc.settings.client_secret else None
        values = oidc.settings.model_dump(exclude={"client_secret"})
        return cls(**values, client_secret=secret, redirect_uri=oidc.redirect_uri)


class NoProvider(AccessRefused):
    """The configuration file has no [oidc]."""

    def __init__(self) -> None:
        super().__init__(message("No OpenID Connect provider is set: see [oidc] of the configuration file."))


async def get_oidc(asked: Asked) -> OidcAnswer:
    """What is set."""
    return OidcAnswer.of(_oidc(asked))


async def examine_oidc(asked: Asked) -> None:
    """Ask the provider for its addresses and keys, now."""
    await _oidc(asked).provider.examine()


def _oidc(asked: Asked) -> Oidc:
    oidc = oidc_of(asked.request)
    if oidc is None:
        raise NoProvider
    return oidc


operations = (
    Operation("GET", "/api/access/oidc", get_oidc, "How people sign in by OpenID Connect", errors={404: NoProvider}),
    Operation(
        "POST",
        "/api/access/oidc/test",
        examine_oidc,
        "Ask the OpenID Connect provider whether it answers",
        errors={404: NoProvider, 502: ProviderAway},
    ),
)
