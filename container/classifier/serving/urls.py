"""Fetches URLs from hosts that the operator allows, with protection against server-side request forgery (SSRF).

The client writes the URL, but the server opens it from within its network, from where the platform's credentials, other
containers and private networks can be reached. So the operator must list the host, all its addresses must be public,
the connection is made to the address that was checked, and a redirect is checked like a new URL.
"""

import functools
import http.client
import io
import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

import certifi

from classifier.errors import RequestError

MOST_BYTES = 20 << 20
MOST_SECONDS = 10.0
MOST_REDIRECTS = 3
LONGEST_URL = 8192  # characters; a presigned URL of S3 has two thousand

_PORTS = {"http": 80, "https": 443}
_PRINTABLE = re.compile(f"[!-~]{{1,{LONGEST_URL}}}")
_REDIRECTS = (301, 302, 303, 307, 308)
_PIECE_BYTES = 1 << 16
# The IPv6 addresses that are neither private, nor multicast, nor stand for another network.
_UNICAST = ipaddress.ip_network("2000::/3")
_6TO4 = ipaddress.ip_network("2002::/16")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

_Resolved = Sequence[tuple[Any, ...]]


def fetch(url: str, hosts: Collection[str]) -> bytes:
    """Return the content of a URL, of at most :data:`MOST_BYTES` bytes, within :data:`MOST_SECONDS` seconds.

    Args:
        url: A URL with the scheme ``http`` or ``https``.
        hosts: The allowed host names; with ``:port`` if the port is neither 80 nor 443.

    Raises:
        RequestError: 403 ``url_not_allowed``, for another URL, or a host whose address is not public; 400
            ``url_not_read``, if there is no response, or it is too large or too late. The message never quotes the URL.
    """
    deadline = time.monotonic() + MOST_SECONDS
    try:
        for _ in range(1 + MOST_REDIRECTS):
            found = _get(_target(url, hosts), deadline)
            if isinstance(found, bytes):
                return found
            url = _joined(url, found)
    except TimeoutError:
        raise _not_read(f"it took longer than {MOST_SECONDS:g} seconds") from None
    except ssl.SSLCertVerificationError:
        raise _not_read("its host's certificate is not trusted") from None
    except (OSError, http.client.HTTPException):
        raise _not_read("its host does not answer, or not with HTTP") from None
    raise _not_read(f"it redirects more than {MOST_REDIRECTS} times")


def is_public(address: str) -> bool:
    """Return whether an IP address is on the public internet, not on this machine, its networks or its cloud."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:  # what reaches IPv4 from a network without it
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip not in _UNICAST or ip in _6TO4:
            return False
    return ip.is_global and not ip.is_multicast


@dataclass(frozen=True)
class _Target:
    """Where a URL leads.

    Attributes:
        encrypted: Whether by TLS.
        host: A name that is allowed.
        port: Of it.
        authority: Both, as the URL has them.
        path: What is asked for there, with the query.
    """

    encrypted: bool
    host: str
    port: int
    authority: str
    path: str


def _target(url: str, hosts: Collection[str]) -> _Target:
    if not _PRINTABLE.fullmatch(url):
        raise _not_allowed(f"it must be one URL of at most {LONGEST_URL} ASCII characters, without spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _not_allowed("it is not a URL") from None
    if parts.scheme not in _PORTS:
        raise _not_allowed("it must begin with http:// or https://")
    if "@" in parts.netloc:
        raise _not_allowed("it must not contain a user name or a password")
    host = parts.hostname or ""
    port = _PORTS[parts.scheme] if port is None else port
    if f"{host}:{port}" not in hosts and not (host in hosts and port in _PORTS.values()):
        raise _not_allowed("ALLOW_IMAGE_URLS does not list its host and port")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(parts.scheme == "https", host, port, parts.netloc, path)


def _joined(url: str, location: str) -> str:
    """Return where a redirect leads, which may be no URL."""
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _get(target: _Target, deadline: float) -> bytes | str:
    """Return the content of a response, or the location that it redirects to."""
    with _connection(target, deadline) as connection:
        request = (
            f"GET {target.path} HTTP/1.1\r\nHost: {target.authority}\r\n"
            "Accept: image/*\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
        )
        connection.settimeout(_left(deadline))
        connection.sendall(request.encode("ascii"))
        with http.client.HTTPResponse(cast("socket.socket", _Until(connection, deadline)), method="GET") as response:
            response.begin()
            location = response.getheader("Location")
            if response.status in _REDIRECTS and location:
                return location
            if response.status != 200:
                raise _not_read(f"its host answers {response.status}")
            return _body(response)


def _body(response: http.client.HTTPResponse) -> bytes:
    content = bytearray()
    while len(content) <= MOST_BYTES and (piece := response.read(_PIECE_BYTES)):
        content += piece
    if len(content) > MOST_BYTES:
        raise _not_read(f"its response exceeds {MOST_BYTES >> 20} MB")
    if response.length:  # the announced bytes that have not arrived
        raise _not_read("the connection closed before the whole response arrived")
    return bytes(content)


@contextmanager
def _connection(target: _Target, deadline: float) -> Iterator[socket.socket]:
    addresses = _addresses(target.host, target.port, deadline)
    with _connected(addresses, target.port, deadline) as plain:
        if not target.encrypted:
            yield plain
            return
        plain.settimeout(_left(deadline))
        with _trust().wrap_socket(plain, server_hostname=target.host) as encrypted:
            yield encrypted


def _addresses(host: str, port: int, deadline: float) -> list[str]:
    """Return the addresses of a host, each once, all of them public."""
    found: queue.SimpleQueue[_Resolved | OSError] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.put(OSError(str(type(error))))

    # It knows no time limit; whoever waits for it does.
    threading.Thread(target=resolve, name="resolver", daemon=True).start()
    try:
        resolved = found.get(timeout=_left(deadline))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(resolved, OSError):
        raise _not_read("its host has no address")
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in resolved))
    if not all(is_public(address) for address in addresses):
        raise _not_allowed("its host does not have a public address")
    return addresses


def _connected(addresses: Sequence[str], port: int, deadline: float) -> socket.socket:
    """Connect to the first address that answers; each has its share of the time that is left."""
    for tried, address in enumerate(addresses):
        try:
            return socket.create_connection((address, port), _left(deadline) / (len(addresses) - tried))
        except OSError:
            if tried + 1 == len(addresses):
                raise
    raise OSError


class _Until(io.RawIOBase):
    """A socket with a deadline for the whole response, with the one method that HTTPResponse calls on a socket.

    Args:
        connection: The socket.
        deadline: When to give up, by the monotonic clock.
    """

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the socket as a file."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill some of a buffer; return how many bytes, 0 only at the end.

        Raises:
            TimeoutError: The time is over.
        """
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


@functools.cache
def _trust() -> ssl.SSLContext:
    """Return a context that trusts the system's CA certificates and Mozilla's; container images may have no others."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _not_allowed(problem: str) -> RequestError:
    return RequestError(403, "url_not_allowed", f"the URL is not fetched: {problem}")


def _not_read(problem: str) -> RequestError:
    return RequestError(400, "url_not_read", f"the URL can't be read: {problem}; try again, or send the image itself")
