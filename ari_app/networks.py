"""Addresses and networks, as an administrator writes them."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated

from pydantic import BeforeValidator


def _network(given: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(given))
    except ValueError:
        raise ValueError(f"{given!r} is no address or network, such as 127.0.0.1 or 10.0.0.0/8") from None


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]


def address_of(text: str) -> IPv4Address | IPv6Address:
    """Of a socket's other end; IPv4 in IPv6 (::ffff:192.0.2.1) is IPv4. Raises ValueError."""
    address = ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address
