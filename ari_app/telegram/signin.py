"""Signing an account in, by the code that Telegram sends to its other devices or as an SMS."""

import asyncio
import getpass

from telethon import errors

from ari_app.telegram.errors import translated
from ari_app.telegram.line import Account, connected


async def sign_in_at_terminal(account: Account) -> None:
    """Ask for the code, and the two-step password where there is one; raises TelegramError with Telegram's own word."""
    async with connected(account) as client:
        with translated("auth.signIn"):
            if await client.is_user_authorized():
                print(f"{account.number} is signed in already")
                return
            sent = await client.send_code_request(account.number)
            code = await asyncio.to_thread(input, f"The code that Telegram sent to {account.number}: ")
            try:
                await client.sign_in(account.number, code.strip(), phone_code_hash=sent.phone_code_hash)
            except errors.SessionPasswordNeededError:
                password = await asyncio.to_thread(getpass.getpass, "The account's two-step password: ")
                await client.sign_in(password=password)
        print(f"{account.number} is signed in")
