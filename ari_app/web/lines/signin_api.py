"""Signing a line in. What Telegram refuses is told in the answer, and the sign-in stays as it was."""

from pydantic import BaseModel, ConfigDict, Field

from ari_app.i18n import Message, message
from ari_app.lines.settings import NoSuchLine, SettingRefused
from ari_app.lines.sign_ins import SignInWay
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.signin import SignIn
from ari_app.telegram.signin_view import SignInState, SignInView
from ari_app.web.http.operation import Asked, Operation
from ari_app.web.lines.api import UNKNOWN, Number, told


class NoSignIn(Exception):
    """Nobody has begun to sign the line in."""

    def __init__(self, number: str) -> None:
        super().__init__(number)
        self.sentence: Message = message("Nobody has begun to sign {number} in.", number=number)


class SignInBy(BaseModel):
    """How to sign in: by a code that Telegram sends, a QR code, or another machine of the cluster that has the line."""

    model_config = ConfigDict(extra="forbid")

    way: SignInWay


class Code(BaseModel):
    """What Telegram has sent."""

    model_config = ConfigDict(extra="forbid")

    code: str = Field(max_length=64)


class Password(BaseModel):
    """The account's two-step password."""

    model_config = ConfigDict(extra="forbid")

    password: str = Field(max_length=1024, json_schema_extra={"format": "password"})


class SignInAnswer(BaseModel):
    """How far it is; times are Unix times.

    ``sent_by`` and ``resend_by``: how the code was sent, and how the next one would be, in ``resend_in_s`` seconds.
    ``error``: why the last thing was not done, ``refusal``: Telegram's own word for it.
    """

    state: SignInState
    since: float
    sent_by: str | None
    code_length: int
    resend_by: str | None
    resend_in_s: int
    qr_url: str | None
    qr_expires: float | None
    password_hint: str | None
    user_id: int | None
    error: str | None
    refusal: str


async def begin_sign_in(asked: Asked, number: Number, body: SignInBy) -> SignInAnswer:
    """Have a code sent, a QR code shown, or another machine accept; the line goes on until it is signed in again."""
    return await _answer(asked, number, await asked.services.lines.sign_ins.begin(number, body.way))


async def get_sign_in(asked: Asked, number: Number) -> SignInAnswer:
    """How far the sign-in is, or how the last one ended."""
    return await _answer(asked, number, _sign_in(asked, number).view)


async def enter_code(asked: Asked, number: Number, body: Code) -> SignInAnswer:
    """Enter the code."""
    return await _answer(asked, number, await _sign_in(asked, number).code(body.code))


async def enter_password(asked: Asked, number: Number, body: Password) -> SignInAnswer:
    """Enter the two-step password."""
    return await _answer(asked, number, await _sign_in(asked, number).password(body.password))


async def resend_code(asked: Asked, number: Number) -> SignInAnswer:
    """Have the code sent again, in the next way."""
    return await _answer(asked, number, await _sign_in(asked, number).resend())


async def cancel_sign_in(asked: Asked, number: Number) -> None:
    """Forget about it; the line stays as it is."""
    asked.services.lines.settings(number)
    await asked.services.lines.sign_ins.cancel(number)


def _sign_in(asked: Asked, number: str) -> SignIn:
    if signing := asked.services.lines.sign_ins.of(number):
        return signing
    raise NoSignIn(number)


async def _answer(asked: Asked, number: str, view: SignInView) -> SignInAnswer:
    await asked.services.lines.sign_ins.adopted(number)
    return SignInAnswer.model_validate(vars(view) | {"error": told(asked, view.error) if view.error else None})


NOT_BEGUN: dict[int, tuple[type[Exception], ...]] = {404: (NoSuchLine, NoSignIn)}

operations = (
    Operation(
        "POST",
        "/api/lines/{number}/sign-in",
        begin_sign_in,
        "Begin to sign a line in",
        errors={404: NoSuchLine, 409: TelegramError, 422: SettingRefused},
    ),
    Operation("GET", "/api/lines/{number}/sign-in", get_sign_in, "How far the sign-in is", NOT_BEGUN),
    Operation("POST", "/api/lines/{number}/sign-in/code", enter_code, "Enter the code", NOT_BEGUN),
    Operation("POST", "/api/lines/{number}/sign-in/password", enter_password, "Enter the password", NOT_BEGUN),
    Operation("POST", "/api/lines/{number}/sign-in/resend", resend_code, "Send the code again", NOT_BEGUN),
    Operation("DELETE", "/api/lines/{number}/sign-in", cancel_sign_in, "Cancel the sign-in", UNKNOWN),
)
