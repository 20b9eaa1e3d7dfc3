"""The endpoint: good answers come through, and everything that a server can do wrong ends in time and in plain words."""

import json
import logging
import socket
import ssl
import time

import pytest

from braintumor.domain import LanguageModelError
from braintumor.report.rewriting import EndpointModel, Message, endpoint
from braintumor.report.rewriting.address import is_local, resolved
from tests.report.rewriting.server import Raw, proper, serving

SECRET = "The whole tumour has 60.3 mL and nobody else may know."
ASKED = (Message("system", "Reword."), Message("user", SECRET))


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(endpoint, "PAUSE_S", 0.0)


def ask(answers, **options):
    """What comes of a server that gives these answers one after the other, and the server."""
    waiting = iter(answers)
    with serving(lambda _: next(waiting)) as server:
        model = EndpointModel(server.url, "m", **options)
        try:
            return model.complete(ASKED, max_tokens=50), server
        except LanguageModelError as error:
            told = error
    assert SECRET not in str(told) + repr(told.__cause__)
    return told, server


def test_a_good_answer_comes_through_and_the_request_is_as_openai_has_it():
    answer, server = ask(["Fine."])
    assert answer == "Fine."
    (request,) = server.requests
    assert request == {
        "model": "m",
        "messages": [{"role": "system", "content": "Reword."}, {"role": "user", "content": SECRET}],
        "max_tokens": 50,
        "temperature": 0,
        "seed": 0,
        "stream": False,
    }
    assert server.headers[0]["Host"] == server.url.split("/")[2]


def test_the_address_may_name_the_route_and_a_name_that_stands_for_several_addresses():
    with serving(lambda _: "Fine.") as server:
        by_name = server.url.replace("127.0.0.1", "localhost")
        for url in (server.url + "/", server.url + "/chat/completions", by_name):
            assert EndpointModel(url, "m").complete(ASKED, max_tokens=5) == "Fine."
        assert server.headers[-1]["Host"].startswith("localhost:")


@pytest.mark.parametrize(
    "first", [Raw(status=429), Raw(status=500), Raw(status=503), Raw(cut=True), Raw(status=429, headers={"Retry-After": "0"})]
)
def test_what_may_pass_is_tried_once_more(first):
    assert ask([first, "Fine."])[0] == "Fine."
    error, server = ask([first, first, "never asked for"])
    assert isinstance(error, LanguageModelError)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Raw(status=400, body=SECRET.encode()), "HTTP status 400"),
        (Raw(status=401), "HTTP status 401"),
        (Raw(status=302, headers={"Location": "http://example.org/v1/chat/completions"}), "redirect"),
        (Raw(status=307, headers={"Location": "/elsewhere"}), "redirect"),
        (Raw(b'{"choices": []}'), "holds no message"),
        (Raw(b'{"choices": [{"message": {}}]}'), "holds no message"),
        (Raw(b'{"error": "' + SECRET.encode() + b'"}'), "holds no message"),
        (Raw(proper("x" * 40)[:-20]), "broken"),
        (Raw(b"[" * 100_000), "broken"),
        (Raw(b"\xff\xfe{}"), "broken"),
        (Raw(proper("")), "empty message"),
        (Raw(proper(None)), "empty message"),
        (Raw(proper("Fine."), headers={"Content-Type": "text/html"}), "not JSON"),
        (Raw(proper("Fine."), headers={}), "not JSON"),
        (Raw(proper("x" * 2_000_000)), "more than"),
        (Raw(proper("Fine."), headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}), "compressed"),
    ],
)
def test_a_useless_answer_is_told_in_plain_words_and_not_asked_for_again(answer, words):
    error, server = ask([answer])
    assert isinstance(error, LanguageModelError)
    assert words in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Raw(proper("Fine."), wait_s=30),
        Raw(proper("x" * 5000), trickle_s=0.05),
        Raw(trickle_s=0.05, endless_head=True),
        Raw(status=429, headers={"Retry-After": "3600"}),
    ],
    ids=["hangs", "trickles", "trickles its head", "wants us back tomorrow"],
)
def test_the_time_limit_holds_whatever_the_server_does(answer):
    started = time.monotonic()
    error, _ = ask([answer, answer], timeout_s=0.5)
    assert isinstance(error, LanguageModelError)
    assert time.monotonic() - started < 1.5


def test_nobody_there():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening: connections are refused
        model = EndpointModel(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "m")
        with pytest.raises(LanguageModelError, match="cannot be reached"):
            model.complete(ASKED, max_tokens=5)


def test_hosts_outside_the_private_network_need_an_explicit_word(monkeypatch):
    with pytest.raises(LanguageModelError, match="outside the private network"):
        EndpointModel("https://8.8.8.8/v1", "m")
    assert EndpointModel("https://8.8.8.8/v1", "m", allow_remote=True).name == "m"
    # one private address does not excuse a public one
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("10.0.0.7", "203.0.113.9")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(LanguageModelError, match="outside the private network"):
        resolved("model.example", 80, allow_remote=False)


def test_a_name_that_leads_elsewhere_later_is_refused_at_the_request(monkeypatch):
    with serving(lambda _: "Fine.") as server:
        model = EndpointModel(server.url.replace("127.0.0.1", "localhost"), "m")
        elsewhere = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.9", 80))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: elsewhere)
        with pytest.raises(LanguageModelError, match="outside the private network"):
            model.complete(ASKED, max_tokens=5)
        assert not server.requests


def test_local_addresses():
    local = ("127.0.0.1", "::1", "10.1.2.3", "172.31.0.1", "192.168.0.5", "fd00::1", "::ffff:10.0.0.1")
    away = (
        "8.8.8.8",
        "172.32.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "2001:4860::8888",
        "::ffff:8.8.8.8",
        "fe80::1%eth0",
    )
    assert all(map(is_local, local))
    assert not any(map(is_local, away))


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8000", "ftp://127.0.0.1/v1", "http://user:pw@127.0.0.1/v1", "http://127.0.0.1/v1?key=1", "http://[::1/v1"],
)
def test_an_unusable_address_is_told_at_once(url):
    with pytest.raises(LanguageModelError, match="no usable address"):
        EndpointModel(url, "m")


def test_a_host_that_nobody_knows():
    with pytest.raises(LanguageModelError, match="not known"):
        EndpointModel("http://no such host/v1", "m")


def test_the_key_comes_from_the_environment_or_a_file_and_goes_nowhere_else(monkeypatch, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MODEL_KEY", "sk-123\n")
    file = tmp_path / "key"
    file.write_text("sk-456\n")
    for options, key in (({"key_env": "MODEL_KEY"}, "sk-123"), ({"key_file": file}, "sk-456")):
        _, server = ask(["Fine."], **options)
        assert server.headers[0]["Authorization"] == f"Bearer {key}"
        assert key not in server.raw[0].decode()
        assert key not in caplog.text
    file.write_text("sk 4\n56")
    monkeypatch.setenv("MODEL_KEY", "")
    for options in ({"key_env": "MODEL_KEY"}, {"key_file": tmp_path / "gone"}, {"key_file": file}):
        with pytest.raises(LanguageModelError, match="needs a key"):
            EndpointModel("http://127.0.0.1:1/v1", "m", **options)


def test_without_a_key_none_is_sent(monkeypatch):
    monkeypatch.delenv("MODEL_KEY", raising=False)
    _, server = ask(["Fine."], key_env="MODEL_KEY")
    assert "Authorization" not in server.headers[0]


def test_proxies_and_netrc_of_the_environment_are_ignored(monkeypatch):
    with serving(lambda _: "from the proxy") as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        assert ask(["Fine."])[0] == "Fine."
        assert not proxy.requests


def test_no_sentence_reaches_a_log(caplog):
    caplog.set_level(logging.DEBUG)
    ask(["A sentence of the answer."])
    ask([Raw(SECRET.encode(), status=500)] * 2)
    assert "Tumour" not in caplog.text
    assert SECRET not in caplog.text
    assert "A sentence" not in caplog.text
    assert SECRET not in repr(ASKED)


def test_an_authority_that_cannot_be_read(tmp_path):
    with pytest.raises(LanguageModelError, match="certificate"):
        EndpointModel("https://127.0.0.1/v1", "m", verify=tmp_path / "ca.pem")


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    certificate = self_signed(tmp_path)
    with serving(lambda _: "Fine.") as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server._http.socket = context.wrap_socket(server._http.socket, server_side=True)
        url = server.url.replace("http://127.0.0.1", "https://localhost")
        with pytest.raises(LanguageModelError, match="cannot be reached"):
            EndpointModel(url, "m").complete(ASKED, max_tokens=5)
        assert EndpointModel(url, "m", verify=certificate).complete(ASKED, max_tokens=5) == "Fine."
        with pytest.raises(LanguageModelError, match="cannot be reached"):  # the certificate is localhost's
            EndpointModel(url.replace("localhost", "127.0.0.1"), "m", verify=certificate).complete(ASKED, max_tokens=5)


def self_signed(folder):
    """Certificate and key for localhost, in one PEM file."""
    from datetime import UTC, datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "localhost.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


def test_content_is_utf8_json():
    _, server = ask(["Fine."])
    assert json.loads(server.raw[0].decode("utf-8")) == server.requests[0]
