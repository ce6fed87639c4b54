"""aiogram, whose types are completed when they are used. Each test has an interpreter of its own."""

import subprocess
import sys

SCRIPT = """
import threading
from pydantic import BaseModel
before = BaseModel.__dict__["model_rebuild"]
{first}
from ari_app.telegram import quick_aiogram
threads = [threading.Thread(target=quick_aiogram.load) for _ in range(3)]
for each in threads:
    each.start()
for each in threads:
    each.join()
assert BaseModel.__dict__["model_rebuild"] is before
from ari_app.telegram.bot_aiogram import USED
from aiogram import methods, types
all_types = [getattr(types, name) for name in types.__all__]
models = [each for each in all_types if isinstance(each, type) and issubclass(each, BaseModel)]
complete = [each for each in models if each.__pydantic_complete__]
assert all(each.__pydantic_complete__ for each in USED)
print(len(complete), len(models))
# What nobody has completed completes itself, with all that it names.
reply = types.ExternalReplyInfo.model_validate(
    {{"origin": {{"type": "hidden_user", "date": 1, "sender_user_name": "Anna"}}, "poll": None}}
)
assert reply.origin.sender_user_name == "Anna"
photo = methods.SendPhoto(chat_id=1, photo="x", reply_markup=types.ForceReply(force_reply=True))
assert photo.model_dump()["reply_markup"]["force_reply"] is True
message = {{"message_id": 2, "date": 3, "chat": {{"id": 4, "type": "private"}}}}
update = types.Update.model_validate({{"update_id": 1, "message": message}})
assert update.message.chat.id == 4
"""


def loaded(first: str = "") -> tuple[int, int]:
    """How many of its types are complete after what is used is there, and how many there are."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(first=first)], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    complete, models = done.stdout.split()
    return int(complete), int(models)


def test_few_of_its_types_are_completed_at_its_start() -> None:
    complete, models = loaded()
    assert complete < models / 10


def test_where_it_was_imported_before_nothing_changes() -> None:
    complete, models = loaded("import aiogram")
    assert complete == models
