"""WebAuthn's two ceremonies, registration and authentication, by py_webauthn; what proves nothing is a ValueError."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import webauthn
from cryptography.exceptions import UnsupportedAlgorithm
from webauthn.helpers import bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from ari_app.store.passkeys import PasskeyRow
from ari_app.web.access.passkeys import RelyingParty

NAME = "Astergram"
TOUCH = UserVerificationRequirement.DISCOURAGED
"""The password comes first, so having the device is enough: no PIN of its own is asked for."""

Answered = TypeVar("Answered")


@dataclass(frozen=True)
class Created:
    """What a device has made: the credential's id in base64url, its public key (COSE), and its counter."""

    credential: str
    public_key: bytes
    sign_count: int


def creation_options(party: RelyingParty, user_name: str, challenge: bytes, known: Iterable[str]) -> str:
    """For navigator.credentials.create(); a device that holds one of ``known`` makes no other.

    Its user's id is a random one: a device keeps one passkey for each id and host, and several installations may be
    localhost to it.
    """
    options = webauthn.generate_registration_options(
        rp_id=party.id,
        rp_name=NAME,
        user_name=user_name,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.DISCOURAGED, user_verification=TOUCH
        ),
        exclude_credentials=_descriptors(known),
    )
    return webauthn.options_to_json(options)


def created(party: RelyingParty, challenge: bytes, credential: str) -> Created:
    """What navigator.credentials.create() has answered; raises ValueError."""
    made = _checked(
        lambda: webauthn.verify_registration_response(
            credential=credential, expected_challenge=challenge, expected_rp_id=party.id, expected_origin=party.origin
        )
    )
    return Created(bytes_to_base64url(made.credential_id), made.credential_public_key, made.sign_count)


def request_options(party: RelyingParty, challenge: bytes, known: Iterable[str]) -> str:
    """For navigator.credentials.get(), by one of ``known``."""
    options = webauthn.generate_authentication_options(
        rp_id=party.id, challenge=challenge, allow_credentials=_descriptors(known), user_verification=TOUCH
    )
    return webauthn.options_to_json(options)


def credential_of(credential: str) -> str:
    """Which credential has answered, by its id in base64url; raises ValueError."""
    given: Any = _checked(lambda: json.loads(credential))
    if not isinstance(given, dict) or not isinstance(given.get("id"), str):
        raise ValueError("it names no credential")  # noqa: TRY004 - of what somebody has sent
    return str(given["id"])


def asserted(party: RelyingParty, challenge: bytes, credential: str, its: PasskeyRow) -> int:
    """The counter of a device whose answer navigator.credentials.get() has given; raises ValueError."""
    return _checked(
        lambda: webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=its.public_key,
            credential_current_sign_count=its.sign_count,
        )
    ).new_sign_count


def _checked(verify: Callable[[], Answered]) -> Answered:
    try:
        return verify()
    except (WebAuthnException, UnsupportedAlgorithm, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _descriptors(credentials: Iterable[str]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=webauthn.base64url_to_bytes(each)) for each in credentials]
