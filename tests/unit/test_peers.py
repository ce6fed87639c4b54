"""What can be dialled, and how a person is shown to the PBX."""

import pytest

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
        ("+99999999999", "Could not interpret"),
        ("@", "no username"),
        ("@x", "no username"),
        ("@1abcd", "no username"),
        ("@анна_б", "no username"),
        ("tg#a b c d", "no username"),
        ("0", "is no destination"),
        ("99999999999999999999", "is no destination"),
        ("anna", "is no destination"),
    ],
)
def test_what_can_not(dialled: str, said: str) -> None:
    with pytest.raises(MalformedDestination, match=said) as error:
        Destination.parse(dialled)
    assert repr(dialled.strip()) in str(error.value)


def test_the_number_is_the_first_that_is_known() -> None:
    assert Person(7, phone="+79990000002", username="anna_b").number == "+79990000002"
    assert Person(7, username="anna_b").number == "anna_b"
    assert Person(7).number == "7"


def test_the_name_as_a_display_shows_it() -> None:
    assert Person(7, first_name="Анна", last_name="Б").name == "Анна Б"
    assert Person(7, username="anna_b").name == "anna_b"
    assert Person(7).name == "7"
