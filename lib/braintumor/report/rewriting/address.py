"""Which machines may be asked: this one and those of the private network, unless a person says otherwise."""

from __future__ import annotations

import ipaddress
import socket

from braintumor.domain import LanguageModelError

_LOCAL = tuple(
    map(ipaddress.ip_network, ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
)
"""Loopback, RFC 1918 and RFC 4193. Link-local addresses are left out: clouds serve their own secrets there."""


def is_local(address: str) -> bool:
    """Whether an IP address is this machine's or the private network's.

    >>> is_local("192.168.1.7"), is_local("::ffff:8.8.8.8"), is_local("169.254.169.254")
    (True, False, False)
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in _LOCAL)


def resolved(host: str, port: int, *, allow_remote: bool) -> tuple[str, ...]:
    """The IP addresses of a host, in the order in which to try them.

    The caller connects to these and does not look the name up again: a name that leads elsewhere at the second look-up would
    defeat the check.

    Raises
    ------
    LanguageModelError
        If the name is not known, or one of its addresses is neither loopback nor private and `allow_remote` is not set.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise LanguageModelError(
            f"The language model's host '{host}' is not known", remedy="Check the address and the name service"
        ) from None
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not allow_remote and not all(map(is_local, addresses)):
        raise LanguageModelError(
            f"The language model's host '{host}' is outside the private network, and what a report says of a patient must not"
            " leave it",
            remedy="Run the model on this machine or in the private network; to send the sentences away all the same,"
            " which needs a legal basis, allow remote hosts explicitly",
        )
    return addresses
