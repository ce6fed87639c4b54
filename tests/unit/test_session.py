"""Answers of Telegram's that are of another type than the request's: each costs that request, and nothing else."""

from typing import Any

import pytest
from telethon.tl import functions, types

from ari_app.telegram.errors import Unreadable
from ari_app.telegram.session import Session

PONG = types.Pong(1, 2)
USER = types.UserEmpty(7)


def session_that_gets(answer: Any) -> Session:
    async def client(request: Any) -> Any:
        return answer

    made: Any = client
    return Session(made)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (functions.updates.GetStateRequest(), PONG),
        (functions.updates.GetStateRequest(), True),
        (functions.updates.GetStateRequest(), None),
        (functions.phone.RequestCallRequest(types.InputUserSelf(), b"", None, 1), types.PhoneCallEmpty(1)),
        (functions.users.GetUsersRequest([types.InputUserSelf()]), USER),
        (functions.phone.ReceivedCallRequest(types.InputPhoneCall(1, 2)), PONG),
        (functions.messages.SearchRequest(*[None] * 12), [USER]),
    ],
)
async def test_an_answer_of_another_type(request_: Any, answer: Any) -> None:
    with pytest.raises(Unreadable, match="of another type"):
        await session_that_gets(answer).invoke(request_)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (functions.PingRequest(1), PONG),
        (functions.users.GetUsersRequest([types.InputUserSelf()]), [USER]),
        (functions.phone.ReceivedCallRequest(types.InputPhoneCall(1, 2)), True),
        (functions.messages.StartBotRequest(*[None] * 4), types.UpdatesTooLong()),
    ],
)
async def test_an_answer_of_the_type(request_: Any, answer: Any) -> None:
    assert await session_that_gets(answer).invoke(request_) is answer
