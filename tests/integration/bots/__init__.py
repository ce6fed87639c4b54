"""Bots at the local Telegram: foreign ones, and ours."""

from ari_app.telegram import quick_aiogram

quick_aiogram.load()  # before each of the tests would have it take five seconds longer
