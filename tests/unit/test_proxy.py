"""What may be entered for a proxy, and what is told of one."""

import pytest
from pydantic import SecretStr

from ari_app.lines.installation import InstallationSettings
from ari_app.lines.settings import WITH_SECRETS
from ari_app.telegram.proxy import Proxy, ProxyKind
from ari_app.wrong import Told

SECRET = "00112233445566778899aabbccddeeff"
BASE64 = "3QARIjNEVWZ3iJmqu8zd7v8"
"""The same after dd."""


@pytest.mark.parametrize(
    ("entered", "proxy"),
    [
        ("socks5://10.0.0.1:1080", Proxy(ProxyKind.SOCKS5, "10.0.0.1", 1080)),
        (" socks5h://u:p%40ss@proxy.example:1080/ ", Proxy(ProxyKind.SOCKS5, "proxy.example", 1080, "u", "p@ss")),
        ("http://u:p@[2001:db8::1]:3128", Proxy(ProxyKind.HTTP, "2001:db8::1", 3128, "u", "p")),
        (
            "https://t.me/socks?server=proxy.example&port=1080&user=u&pass=p%26",
            Proxy(ProxyKind.SOCKS5, "proxy.example", 1080, "u", "p&"),
        ),
        ("tg://socks?server=proxy.example&port=1080", Proxy(ProxyKind.SOCKS5, "proxy.example", 1080)),
        (f"t.me/proxy?server=p.example&port=443&secret={SECRET}", Proxy(ProxyKind.MTPROXY, "p.example", 443)),
        (f"tg://proxy?server=p.example&port=443&secret=dd{SECRET}", Proxy(ProxyKind.MTPROXY, "p.example", 443)),
        (
            f"tg://proxy?server=p.example&port=443&secret={BASE64}",
            Proxy(ProxyKind.MTPROXY, "p.example", 443),
        ),
    ],
)
def test_what_is_understood(entered: str, proxy: Proxy) -> None:
    found = Proxy.parse(entered)
    if proxy.kind is ProxyKind.MTPROXY:
        assert (found.kind, found.host, found.port, found.secret) == (proxy.kind, proxy.host, proxy.port, SECRET)
    else:
        assert found == proxy


@pytest.mark.parametrize(
    ("entered", "said"),
    [
        ("proxy.example:1080", "Enter socks5://"),
        ("socks4://secret@proxy.example:1080", "Enter socks5://"),
        ("socks5://secret@proxy.example", "Enter socks5://"),
        ("socks5://secret@proxy.example:99999", "Enter socks5://"),
        ("http://proxy.example:80/secret", "Enter socks5://"),
        ("https://t.me/secret?server=a&port=1", "Enter socks5://"),
        ("https://t.me/proxy?server=a&port=secret", "Enter socks5://"),
        ("socks5://" + "secret" * 50 + ":p@proxy.example:1", "up to 255"),
        ("socks5://секрет:p@proxy.example:1", "ASCII"),
        ("tg://proxy?server=a&port=1&secret=secret", "32 hexadecimal digits"),
        (f"tg://proxy?server=a&port=1&secret={SECRET}00", "32 hexadecimal digits"),
        (f"tg://proxy?server=a&port=1&secret=ee{SECRET}676f6f676c65", "begins with ee"),
    ],
)
def test_what_is_not(entered: str, said: str) -> None:
    with pytest.raises(Told, match=said) as refused:
        Proxy.parse(entered)
    assert "secret" not in str(refused.value.sentence).replace("secret begins", "").replace("secret is", "").replace(
        "whose secret", ""
    )


def test_nothing_secret_is_told() -> None:
    for entered in (
        "socks5://naomi:pears@proxy.example:1080",
        f"tg://proxy?server=proxy.example&port=443&secret={SECRET}",
    ):
        settings = InstallationSettings(proxy=SecretStr(entered))
        told = f"{settings} {settings.way!r} {settings.way} {settings.model_dump_json()}"
        assert not any(secret in told for secret in ("naomi", "pears", SECRET))
        assert "proxy.example" in str(settings.way)
        assert entered in settings.model_dump_json(context=WITH_SECRETS)
