"""[oidc]: sign-in by a provider of OpenID Connect.

In the configuration file only: whoever may change settings on the page, or has a token that may, makes no other way in.
"""

from ipaddress import ip_address
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from ari_app.described import Setting
from ari_app.i18n import message

RoleName = Literal["administrator", "operator", "viewer"]
Secret = Annotated[SecretStr, Field(min_length=1)]
OPENID = "openid"


def _issuer(text: str) -> str:
    parts = urlsplit(text)
    safe = parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(parts.hostname or ""))
    if not (safe and parts.hostname) or parts.query or parts.fragment:
        raise ValueError("has to be an address that begins with https://, such as https://login.example.com/realms/pbx")
    return text


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class OidcSettings(BaseModel):
    """Sign-in by an OpenID Connect provider (docs/users.md); without this section, by passwords only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    issuer: Annotated[
        str,
        AfterValidator(_issuer),
        Setting(
            message("Issuer"),
            message("The provider's address, as its own discovery document names it."),
            example="https://login.example.com/realms/pbx",
        ),
    ]
    client_id: Annotated[
        str,
        Field(min_length=1),
        Setting(message("Client ID"), message("As the provider knows Astergram."), example="astergram"),
    ]
    client_secret: Annotated[
        Secret | None,
        Setting(
            message("Client secret"),
            message("None for a public client; PKCE is used with either."),
            example="the secret that the provider has made",
        ),
    ] = None
    scopes: Annotated[
        tuple[str, ...],
        Setting(
            message("Scopes"), message("What the provider is asked for; some tell groups only with one of their own.")
        ),
    ] = (OPENID, "profile", "email")
    button: Annotated[str, Setting(message("Text of the button to sign in"), message("Empty: Single sign-on."))] = ""
    users: Annotated[
        Literal["existing", "create"],
        Setting(
            message("Who may sign in"),
            message("existing: users whom an administrator has added. create: others, too, who are added thereby."),
        ),
    ] = "existing"
    name_claim: Annotated[
        str,
        Field(min_length=1),
        Setting(message("Claim with the user name"), message("Such as preferred_username, or email, of the ID token.")),
    ] = "preferred_username"
    unverified_email: Annotated[
        bool,
        Setting(
            message("Believe an e-mail address that the provider does not say to be verified"),
            message("For name_claim email, and only where people can't set their address at the provider themselves."),
        ),
    ] = False
    role_claim: Annotated[
        str,
        Setting(
            message("Claim with groups or roles"),
            message(
                "Such as groups, or realm_access.roles. Empty: roles are those that an administrator has set here."
            ),
        ),
    ] = ""
    roles: Annotated[
        dict[str, RoleName],
        Setting(
            message("Which group has which role"),
            message('{{ "pbx-admins" = "administrator", "staff" = "viewer" }}; of several, the one that may most.'),
        ),
    ] = {}
    default_role: Annotated[
        Literal["none", "viewer", "operator", "administrator"],
        Setting(
            message("Role of who is in none of these groups, or is added without any"),
            message("none: they are not let in."),
        ),
    ] = "none"
    emergency_user: Annotated[
        str,
        AfterValidator(str.lower),
        Setting(
            message("The only user who may sign in with a password"),
            message("For the day when the provider is away. Empty: everybody may who has one."),
        ),
    ] = ""
    second_factor: Annotated[
        Literal["astergram", "provider"],
        Setting(
            message("Who asks for a second factor"),
            message(
                "astergram: as after a password, whoever has turned it on, or has to. provider: it does, and Astergram "
                "does not ask again."
            ),
        ),
    ] = "astergram"

    @model_validator(mode="after")
    def _lets_somebody_in(self) -> Self:
        if OPENID not in self.scopes:
            raise ValueError("scopes has to have openid")
        if bool(self.role_claim) != bool(self.roles):
            raise ValueError("role_claim and roles go together: set both, or none")
        if self.users == "create" and not self.role_claim and self.default_role == "none":
            raise ValueError(
                'nobody who is added would be let in: set role_claim and roles, or a default_role but "none"'
            )
        return self
