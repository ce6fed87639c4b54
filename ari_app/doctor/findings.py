"""The findings of diagnostics, each of a topic and a grade."""

from dataclasses import dataclass
from enum import StrEnum

from ari_app.i18n import Message, message


class Grade(StrEnum):
    """How a finding is meant."""

    OK = "ok"
    ADVICE = "advice"
    """It works, or can't be told; something could be better."""
    PROBLEM = "problem"
    """Calls fail, or will."""


class Topic(StrEnum):
    """What a finding is about; a report has one group for each, in this order."""

    ARI = "ari"
    MODULES = "modules"
    CODECS = "codecs"
    TRANSPORT = "transport"
    AMI = "ami"
    DIALPLAN = "dialplan"
    TELEGRAM = "telegram"
    CLUSTER = "cluster"
    TIME = "time"
    MACHINE = "machine"


TITLES: dict[Topic, Message] = {
    Topic.ARI: message("Asterisk and its ARI"),
    Topic.MODULES: message("Asterisk's modules"),
    Topic.CODECS: message("Codecs"),
    Topic.TRANSPORT: message("Media transport"),
    Topic.AMI: message("AMI"),
    Topic.DIALPLAN: message("The dialplan"),
    Topic.TELEGRAM: message("Telegram"),
    Topic.CLUSTER: message("The cluster"),
    Topic.TIME: message("Time"),
    Topic.MACHINE: message("This machine"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that was examined, and what to do about it."""

    topic: Topic
    grade: Grade
    sentence: Message
    remedy: Message | None = None


def ok(topic: Topic, sentence: Message) -> Finding:
    """It is as it should be."""
    return Finding(topic, Grade.OK, sentence)


def advice(topic: Topic, sentence: Message, remedy: Message | None = None) -> Finding:
    """It could be better, or could not be examined."""
    return Finding(topic, Grade.ADVICE, sentence, remedy)


def problem(topic: Topic, sentence: Message, remedy: Message) -> Finding:
    """It has to be repaired."""
    return Finding(topic, Grade.PROBLEM, sentence, remedy)
