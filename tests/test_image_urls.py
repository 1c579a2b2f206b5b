"""URLs that clients write: images of allowed hosts come back, and nothing else in reach is ever asked."""

import contextlib
import http.server
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from classifier.errors import RequestError
from classifier.serving import requests, urls
from image_model_helpers import drawn

IMAGE = drawn("green")
SECRET = b"the credentials of another container"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers what a path says, and remembers what was asked of it."""

    server: "Host"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        name, _, rest = self.path.partition("?")[0].removeprefix("/").partition("/")
        with contextlib.suppress(OSError):
            ANSWERS[name](self, rest)

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)


class Host(http.server.ThreadingHTTPServer):
    """A host on this machine, whose address tests call public."""

    daemon_threads = True

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__((address, 0), Handler)
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.patience = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str = "image", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{path}"

    def close(self) -> None:
        self.patience.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: Any) -> None:
        pass


def _drip(handler: Handler, _rest: str) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not handler.server.patience.wait(0.02):
        handler.wfile.write(b"x")


def _drip_headers(handler: Handler, _rest: str) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-A: ")
    while not handler.server.patience.wait(0.02):
        handler.wfile.write(b"x")


def _interim(handler: Handler, _rest: str) -> None:
    while not handler.server.patience.wait(0.02):
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _silent(handler: Handler, _rest: str) -> None:
    handler.server.patience.wait(30)


def _endless(handler: Handler, _rest: str) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not handler.server.patience.is_set():
        handler.wfile.write(b"x" * 65536)


def _raw(handler: Handler, content: bytes) -> None:
    handler.wfile.write(content)


ANSWERS: Mapping[str, Callable[[Handler, str], None]] = {
    "image": lambda handler, _: handler.answer(200, IMAGE, Content_Type="image/png"),
    "chunks": lambda handler, _: _raw(
        handler,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(IMAGE), IMAGE),
    ),
    "to": lambda handler, rest: handler.answer(302, Location=rest),
    "again": lambda handler, rest: handler.answer(302, Location=f"/again/{rest}x"),
    "hops": lambda handler, rest: handler.answer(307, Location="/image" if rest == "1" else f"/hops/{int(rest) - 1}"),
    "nowhere": lambda handler, _: handler.answer(302),
    "status": lambda handler, rest: handler.answer(int(rest), SECRET),
    "announced": lambda handler, _: handler.answer(200, b"", Content_Length=str(10**12)),
    "short": lambda handler, _: handler.answer(200, b"x" * 10, Content_Length="20"),
    "drip": _drip,
    "drip-headers": _drip_headers,
    "interim": _interim,
    "silent": _silent,
    "endless": _endless,
    "no-http": lambda handler, _: _raw(handler, b"SSH-2.0-OpenSSH\r\n\r\n"),
    "many-headers": lambda handler, _: _raw(handler, b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n"),
    "long-header": lambda handler, _: _raw(handler, b"HTTP/1.1 200 OK\r\nA: " + b"b" * 200_000 + b"\r\n\r\n"),
    "bad-chunks": lambda handler, _: _raw(
        handler, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + IMAGE
    ),
    "bad-length": lambda handler, _: _raw(handler, b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n" + IMAGE),
    "gone": lambda handler, _: handler.connection.shutdown(socket.SHUT_RDWR),
}


@pytest.fixture(scope="module")
def one_host() -> Iterator[Host]:
    running = Host()
    yield running
    running.close()


@pytest.fixture
def host(one_host: Host) -> Host:
    one_host.asked.clear()
    return one_host


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the one address of the test's own host for one of the public internet."""
    monkeypatch.setattr(urls, "is_public", lambda address: address == "127.0.0.1")


def refusal(url: str, *hosts: str, status: int = 403) -> str:
    with pytest.raises(RequestError) as caught:
        urls.fetch(url, hosts)
    error = caught.value
    assert (error.status, error.code) == {403: (403, "url_not_allowed"), 400: (400, "url_not_read")}[status]
    assert len(url) < 12 or url not in error.message
    assert SECRET.decode() not in error.message
    return error.message


def hosts_of(host: Host) -> set[str]:
    return {f"127.0.0.1:{host.port}"}


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize("path", ["image", "image?size=1&x=%2f", "chunks", "to//image", "hops/3", "image#part"])
def test_an_image_of_an_allowed_host_comes_back(host: Host, path: str) -> None:
    assert urls.fetch(host.url(path), hosts_of(host)) == IMAGE


@pytest.mark.usefixtures("public")
def test_a_host_is_told_what_it_is_asked_and_nothing_of_the_machine(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    urls.fetch(host.url("image?a=b"), hosts_of(host))
    ((path, headers),) = host.asked
    assert path == "/image?a=b"
    assert headers["Host"] == f"127.0.0.1:{host.port}"
    assert set(headers) == {"Host", "Accept", "Accept-Encoding", "Connection"}


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.1", "192.0.2.1", "198.18.0.1",
        "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "fc00::1",
        "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "2002:808:808::",
        "100::1", "5f00::1",
    ],
)  # fmt: skip
def test_an_address_of_this_machine_its_networks_or_its_cloud_is_not_public(address: str) -> None:
    assert not urls.is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "52.95.110.1", "172.32.0.1", "2600:1f18::1", "2a00:1450:4001::1", "64:ff9b::808:808"]
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert urls.is_public(address)


@pytest.mark.parametrize(
    "name",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "017700000001", "localhost", "0",
        "127.0.0.2", "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "192.168.0.1",
    ],
)  # fmt: skip
def test_a_name_that_is_allowed_is_not_asked_at_an_address_that_is_not_public(host: Host, name: str) -> None:
    hosts = requests.parse_hosts(f"{name},{name}:{host.port}")
    assert "public address" in refusal(host.url(host=name), *hosts)
    assert "public address" in refusal(f"http://{name}/latest/meta-data/", *hosts)
    assert host.asked == []


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:{port}/image", "http://127.1:{port}/image", "http://2130706433:{port}/image",
        "http://[::1]:{port}/image", "http://[::ffff:127.0.0.1]:{port}/image", "http://[::127.0.0.1]:{port}/",
        "http://[fe80::1%25lo]:{port}/", "http://169.254.169.254/latest/meta-data/", "http://127.0.0.1/image",
        "http://127.0.0.1:22/image", "http://127.0.0.1:0/image", "http://127.0.0.1.:{port}/image",
        "http://allowed.example.evil.example/",
        "http://evil.example/allowed.example", "http://evil.example#allowed.example",
        "http://evil.example?allowed.example", "http://allowed.example%2eevil.example/",
        "http://evil.example\\allowed.example/", "http://allowed.exampleevil.example/", "http:///image", "http://",
        "http://allowed.example:/", "http:127.0.0.1:{port}/image", "http:/127.0.0.1:{port}/image",
    ],
)  # fmt: skip
def test_a_host_that_is_not_named_is_not_asked_however_it_is_written(host: Host, url: str) -> None:
    allowed = "allowed.example:8000" if url.endswith("example:/") else "allowed.example"
    assert "does not list its host" in refusal(url.format(port=host.port), allowed, *hosts_of(host))
    assert host.asked == []


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://user:password@127.0.0.1:{port}/image", "must not contain a user name"),
        ("http://user@127.0.0.1:{port}/image", "must not contain a user name"),
        ("http://@127.0.0.1:{port}/image", "must not contain a user name"),
        ("http://127.0.0.1:{port}@evil.example/", "must not contain a user name"),
        ("http://evil.example\\@127.0.0.1:{port}/image", "must not contain a user name"),
        ("file:///etc/passwd", "http:// or https://"),
        ("ftp://127.0.0.1:{port}/image", "http:// or https://"),
        ("gopher://127.0.0.1:{port}/_GET", "http:// or https://"),
        ("data:image/png;base64,iVBORw0KGgo=", "http:// or https://"),
        ("s3://bucket/key", "http:// or https://"),
        ("//127.0.0.1:{port}/image", "http:// or https://"),
        ("/etc/passwd", "http:// or https://"),
        ("", "one URL"),
        (" http://127.0.0.1:{port}/image", "one URL"),
        ("http://127.0.0.1:{port}/image\nhttp://127.0.0.1:{port}/image", "one URL"),
        ("http://127.0.0.1:{port}/image HTTP/1.1\r\nX-Aws-Ec2-Metadata-Token: x", "one URL"),
        ("http://127.0.0.1\t:{port}/image", "one URL"),
        ("http://127.0.0.1:{port}/caf\xe9", "one URL"),
        ("http://①②⑦.0.0.1:{port}/image", "one URL"),
        ("http://127。0。0。1:{port}/image", "one URL"),
        ("http://127.0.0.1:{port}/" + "x" * 9000, "one URL"),
        ("http://127.0.0.1:{port}x/image", "not a URL"),
        ("http://127.0.0.1:{port}.evil.example/", "not a URL"),
        ("http://127.0.0.1:99999/image", "not a URL"),
        ("http://[127.0.0.1/image", "not a URL"),
    ],
)
def test_what_is_no_plain_url_is_refused_and_nothing_is_asked(host: Host, url: str, words: str) -> None:
    assert words in refusal(url.replace("{port}", str(host.port)), *hosts_of(host))
    assert host.asked == []


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://localhost:{port}/image", "does not list its host"),
        ("http://169.254.169.254/latest/meta-data/", "does not list its host"),
        ("//[::1]:{port}/image", "does not list its host"),
        ("http://inside.example:{port}/image", "public address"),
        ("file:///etc/passwd", "http:// or https://"),
        ("http://user@127.0.0.1:{port}/image", "must not contain a user name"),
        ("http://127.0.0.1:22/", "does not list its host and port"),
        ("http://[127.0.0.1/image", "not a URL"),
    ],
)
def test_a_redirect_is_looked_at_as_the_first_url_was(
    host: Host, location: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved(monkeypatch, {"inside.example": ["127.0.0.2"]})
    hosts = [*hosts_of(host), f"inside.example:{host.port}"]
    assert words in refusal(host.url("to/" + location.format(port=host.port)), *hosts)
    assert len(host.asked) == 1


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("again/", "redirects more than 3 times"),
        ("hops/4", "redirects more than 3 times"),
        ("nowhere", "answers 302"),
        ("status/404", "answers 404"),
        ("status/401", "answers 401"),
        ("status/500", "answers 500"),
        ("status/206", "answers 206"),
        ("endless", "exceeds 20 MB"),
        ("announced", "before the whole response arrived"),
        ("short", "before the whole response arrived"),
        ("no-http", "not with HTTP"),
        ("many-headers", "not with HTTP"),
        ("long-header", "not with HTTP"),
        ("bad-chunks", "not with HTTP"),
        ("gone", "not with HTTP"),
    ],
)
def test_a_host_that_misbehaves_is_told_of_in_words(host: Host, path: str, words: str) -> None:
    assert words in refusal(host.url(path), *hosts_of(host), status=400)
    assert len(host.asked) <= 1 + urls.MOST_REDIRECTS


@pytest.mark.usefixtures("public")
def test_a_length_that_is_none_is_not_believed(host: Host) -> None:
    assert urls.fetch(host.url("bad-length"), hosts_of(host)) == IMAGE


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize("path", ["drip", "drip-headers", "interim", "silent", "to//drip"])
def test_a_host_that_takes_its_time_is_given_up_however_it_does(
    host: Host, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urls, "MOST_SECONDS", 0.3)
    assert "longer than 0.3 seconds" in refusal(host.url(path), *hosts_of(host), status=400)


def resolved(monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, list[str]]) -> list[str]:
    """Let names resolve to addresses, to others each time that one is asked for; return who was asked for."""
    really, asked = socket.getaddrinfo, list[str]()

    def resolve(host: str, port: int, *options: Any, **more: Any) -> Any:
        if host in answers:
            asked.append(host)
            addresses = answers[host][asked.count(host) - 1].split()
            return [entry for address in addresses for entry in really(address, port, *options, **more)]
        return really(host, port, *options, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


@pytest.mark.usefixtures("public")
def test_the_address_that_was_looked_at_is_the_one_that_is_asked(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = Host("127.0.0.2")  # what a name server of the attacker's says when it is asked again
    asked = resolved(monkeypatch, {"changing.example": ["127.0.0.1", "127.0.0.2"]})
    hosts = [f"changing.example:{host.port}"]
    assert urls.fetch(host.url(host="changing.example"), hosts) == IMAGE
    assert asked == ["changing.example"]
    assert host.asked[0][1]["Host"] == f"changing.example:{host.port}"
    assert "public address" in refusal(host.url(host="changing.example"), *hosts)
    assert inside.asked == []
    inside.close()


@pytest.mark.usefixtures("public")
def test_one_address_that_is_not_public_spoils_a_name(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved(monkeypatch, {"both.example": ["127.0.0.1 127.0.0.2"]})
    assert "public address" in refusal(host.url(host="both.example"), f"both.example:{host.port}")
    assert host.asked == []


def test_the_next_address_is_asked_where_one_does_not_answer(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "is_public", lambda _: True)
    resolved(monkeypatch, {"two.example": ["127.0.0.3 127.0.0.1"], "none.example": ["127.0.0.3"]})
    assert urls.fetch(host.url(host="two.example"), [f"two.example:{host.port}"]) == IMAGE
    assert "does not answer" in refusal(host.url(host="none.example"), f"none.example:{host.port}", status=400)


def test_a_name_that_is_nobodys_and_one_that_takes_long_to_find(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "secret.example")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "no address" in refusal("http://nobody.example/x.png", "nobody.example", status=400)
    may_end = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: may_end.wait(30) and [])
    monkeypatch.setattr(urls, "MOST_SECONDS", 0.2)
    assert "longer than" in refusal("http://slow.example/x.png", "slow.example", status=400)
    may_end.set()


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("images.example.com", {"images.example.com"}),
        (" A.example , b-2.example:8443,c_d.example", {"a.example", "b-2.example:8443", "c_d.example"}),
    ],
)
def test_hosts_are_names_parted_by_commas(text: str, hosts: set[str]) -> None:
    assert requests.parse_hosts(text) == hosts


@pytest.mark.parametrize(
    "text",
    ["*", "*.example.com", "http://a.example", "a.example/", "a b", "a.example,", "a:0", "a:123456", "[::1]", "-a.b"],
)
def test_other_hosts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host names"):
        requests.parse_hosts(text)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of ``localhost``, and it with its key, in a folder; nobody trusts it yet."""
    folder = tmp_path_factory.mktemp("certificate")
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    files = ["-addext", "subjectAltName=DNS:localhost", "-keyout", f"{folder}/key", "-out", f"{folder}/pem"]
    subprocess.run([*make, *files], check=True, capture_output=True)
    (folder / "both").write_bytes((folder / "key").read_bytes() + (folder / "pem").read_bytes())
    return folder


def test_https_is_asked_where_the_certificate_is_trusted_and_the_hosts(
    certificate: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urls, "is_public", lambda _: True)
    encryption = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    encryption.load_cert_chain(certificate / "both")
    secure = Host()
    secure.socket = encryption.wrap_socket(secure.socket, server_side=True)
    url = partial("https://{1}:{0}/image".format, secure.port)
    hosts = [f"localhost:{secure.port}", f"127.0.0.1:{secure.port}", f"127.0.0.1:{host.port}"]
    urls._trust.cache_clear()
    assert "certificate" in refusal(url("localhost"), *hosts, status=400)
    assert secure.asked == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "pem"))
    urls._trust.cache_clear()
    assert urls.fetch(url("localhost"), hosts) == IMAGE
    assert "certificate" in refusal(url("127.0.0.1"), *hosts, status=400), "of another name"
    assert "does not answer" in refusal(f"https://127.0.0.1:{host.port}/image", *hosts, status=400), "no TLS"
    urls._trust.cache_clear()
    secure.close()


def test_a_host_that_never_ends_its_greeting_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "is_public", lambda _: True)
    monkeypatch.setattr(urls, "MOST_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        message = refusal(f"https://127.0.0.1:{port}/x.png", f"127.0.0.1:{port}", status=400)
    assert "longer than 0.3 seconds" in message
