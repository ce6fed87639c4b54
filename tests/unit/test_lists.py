"""Whom a line may call and be called by."""

import pytest

from ari_app.telegram.lists import ListRefusal, Lists, Rule
from ari_app.telegram.peers import Destination, MalformedDestination, Person

ANNA = Person(7, phone="+79990000002", username="Anna_B", usernames=("Anna_B", "anna", "Rich_Anna"))
FRIEND = Person(8, contact=True)


@pytest.mark.parametrize("entry", ["+79990000002", "@anna_b", "tg#ANNA_B", "7", "@anna", "@rich_anna"])
def test_an_entry_may_be_any_name_of_a_person(entry: str) -> None:
    assert Lists.of((), (entry,), False).refuses(ANNA) == ListRefusal("+79990000002", Rule.DENY)
    assert Lists.of((entry,), (), True).refuses(ANNA) is None
    assert Lists.of((), (entry,), False).refuses(FRIEND) is None


@pytest.mark.parametrize(
    ("lists", "anna", "friend"),
    [
        (Lists(), None, None),
        (Lists.of(("7",), (), False), None, Rule.ALLOW),
        (Lists.of(("8",), (), False), Rule.ALLOW, None),
        (Lists.of((), (), True), Rule.ONLY_CONTACTS, None),
        (Lists.of(("7",), (), True), None, None),
        (Lists.of(("7", "8"), ("7", "8"), False), Rule.DENY, Rule.DENY),
        (Lists.of((), ("8",), True), Rule.ONLY_CONTACTS, Rule.DENY),
    ],
)
def test_which_list_counts(lists: Lists, anna: Rule | None, friend: Rule | None) -> None:
    for person, rule in ((ANNA, anna), (FRIEND, friend)):
        assert lists.refuses(person) == (ListRefusal(person.number, rule) if rule else None)


def test_a_hidden_phone_is_known_to_who_dials_it() -> None:
    hidden, dialled = Person(7), Destination.parse("+79990000002")
    lists = Lists.of(("+79990000002",), (), False)
    assert lists.refuses(hidden)
    assert not lists.refuses(hidden, dialled)


def test_what_is_denied_before_anybody_is_asked() -> None:
    lists = Lists.of((), ("@anna_b",), False)
    assert lists.denies(Destination.parse("@Anna_B"))
    assert not lists.denies(Destination.parse("+79990000002"))


def test_an_entry_that_names_nobody() -> None:
    with pytest.raises(MalformedDestination):
        Lists.of(("anna",), (), False)
