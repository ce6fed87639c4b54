"""What can be dialled, and how a person is shown to the PBX."""

import pytest
from telethon.tl import types

from ari_app.telegram.peers import Destination, Kind, MalformedDestination, Person


@pytest.mark.parametrize(
    ("dialled", "kind", "value"),
    [
        ("+79990000002", Kind.PHONE, "+79990000002"),
        (" +79990000002 ", Kind.PHONE, "+79990000002"),
        ("+390612345678", Kind.PHONE, "+390612345678"),
        ("@anna_b", Kind.USERNAME, "anna_b"),
        ("tg#anna_b", Kind.USERNAME, "anna_b"),
        ("5000000002", Kind.ID, "5000000002"),
        ("tg#5000000002", Kind.ID, "5000000002"),
    ],
)
def test_what_can_be_dialled(dialled: str, kind: Kind, value: str) -> None:
    assert Destination.parse(dialled) == Destination(kind, value)


@pytest.mark.parametrize(
    ("dialled", "said"),
    [
        ("", "is no destination"),
        ("+", "only digits"),
        ("+7abc", "only digits"),
        ("+٧٩٩٩٠٠٠٠٠٠٢", "only digits"),
        ("+7999", "TOO_SHORT"),
        ("+7999000000200000", "TOO_LONG"),
        ("+99999999999", "no country's numbers"),
        ("@", "no username"),
        ("@x", "no username"),
        ("@1abcd", "no username"),
        ("@анна_б", "no username"),
        ("tg#a b c d", "no username"),
        ("0", "is no destination"),
        ("99999999999999999999", "is no destination"),
        ("tg#99999999999999999999", "no username"),
        ("anna", "is no destination"),
    ],
)
def test_what_can_not(dialled: str, said: str) -> None:
    with pytest.raises(MalformedDestination, match=said) as error:
        Destination.parse(dialled)
    assert repr(dialled.strip()) in str(error.value)


@pytest.mark.parametrize("before", ["", "+", "@", "tg#", "0"])
@pytest.mark.parametrize("prefix", ["", "+7"])
def test_more_digits_than_python_takes_for_a_number(before: str, prefix: str) -> None:
    with pytest.raises(MalformedDestination) as error:
        Destination.parse(before + "1" * 4301, prefix)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize(
    ("dialled", "prefix", "value"),
    [
        ("9990000002", "+7", "+79990000002"),
        ("79990000002", "+", "+79990000002"),
        ("+79990000002", "+49", "+79990000002"),
    ],
)
def test_digits_with_a_prefix_are_a_phone_number(dialled: str, prefix: str, value: str) -> None:
    assert Destination.parse(dialled, prefix) == Destination(Kind.PHONE, value)


def test_a_prefix_leaves_ids_and_usernames_alone() -> None:
    assert Destination.parse("tg#5000000002", "+7") == Destination(Kind.ID, "5000000002")
    assert Destination.parse("@anna_b", "+7") == Destination(Kind.USERNAME, "anna_b")
    with pytest.raises(MalformedDestination, match="TOO_SHORT"):
        Destination.parse("12", "+7")


def test_the_number_is_the_first_that_is_known() -> None:
    assert Person(7, phone="+79990000002", username="anna_b").number == "+79990000002"
    assert Person(7, username="anna_b").number == "anna_b"
    assert Person(7).number == "7"


def test_variables_hold_nothing_that_would_begin_another_line() -> None:
    """They may end in a SIP header or in a manager's event."""
    person = Person(
        7, "+79990000001\r\n", "an\x00na", "Анна\r\nX-Evil: 1", "Иван\tова\x1b[31m\u2028\u202e", language="ru\n"
    )
    variables = person.variables()
    assert all(value.isprintable() for value in variables.values())
    assert variables["TELEGRAM_FIRST_NAME"] == variables["X-TG-FirstName"] == "Анна  X-Evil: 1"
    assert variables["TELEGRAM_LAST_NAME"] == "Иван ова [31m"
    assert variables["TELEGRAM_PHONE"] == "+79990000001"


def test_the_name_as_a_display_shows_it() -> None:
    assert Person(7, first_name="Анна", last_name="Б").name == "Анна Б"
    assert Person(7, username="anna_b").name == "anna_b"
    assert Person(7).name == "7"


def named(*names: tuple[str, bool], username: str | None = None) -> Person:
    """Somebody as Telegram describes a person with several usernames; each is active or not."""
    several = [types.Username(name, active=active) for name, active in names]
    return Person.of(7, types.User(id=7, username=username, usernames=several))


def test_several_usernames() -> None:
    anna = named(("old_anna", False), ("anna", True), ("anna_b", True))
    assert anna.username == anna.number == "anna"
    assert set(anna.usernames) == {"old_anna", "anna", "anna_b"}
    assert named(("anna", True), username="main_anna").username == "main_anna"
    assert named(("old_anna", False)).number == "7"
    assert Person.of_json(anna.as_json()) == anna
