"""Why a setting is refused, in words that can be translated where it is a frequent reason."""

import re

from ari_app.sentence import Sentence, say

WORDS: tuple[tuple[re.Pattern[str], Sentence], ...] = (
    (re.compile(r"Input should be a valid (?:integer|number)"), say("Enter a number.")),
    (re.compile(r"Input should be greater than or equal to (?P<n>[\d.]+)"), say("At least {n}, please.")),
    (re.compile(r"Input should be less than or equal to (?P<n>[\d.]+)"), say("At most {n}, please.")),
    (re.compile(r"String should match pattern"), say("This does not have the form that is needed here.")),
    (re.compile(r"Input should be ''"), say("Enter a phone number with + and country code, or nothing.")),
    (re.compile(r"there is no file"), say("There is no such file on the server.")),
    (
        re.compile(r"(?P<text>'.*') is no phone number with a country code"),
        say("{text} is no phone number with a country code, such as +79990000001."),
    ),
    (re.compile(r"(?P<text>'.*') is no time zone"), say("{text} is no time zone, such as Europe/Moscow.")),
    (
        re.compile(r"{(?P<name>[^}]*)} is no variable of this text"),
        say("{{{name}}} is no variable of this text; a brace that is none is doubled."),
    ),
    (re.compile(r"is empty; it needs a text"), say("It needs a text.")),
    (re.compile(r"is longer than the (?P<n>\d+) characters"), say("It is longer than the {n} characters that fit.")),
    (
        re.compile(r"more than one line has default = true"),
        say("Another line is the default already; only one can be."),
    ),
)


def worded(reason: str) -> Sentence | str:
    """A reason why a setting is refused, as a sentence that can be translated where it is a frequent one."""
    for pattern, sentence in WORDS:
        if found := pattern.match(reason):
            return Sentence(sentence.text, found.groupdict())
    return reason
