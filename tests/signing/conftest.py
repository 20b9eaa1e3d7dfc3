"""A report to sign, signers, and a timestamp server on this machine."""

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from asn1crypto import tsp
from fpdf import FPDF

from braintumor.signing import Timestamping, sign
from tests.signing.identities import AT, answer, authority, made, physician, radiologist, revocation_list


def make_report(text="Whole tumour 34.2 mL", pages=2):
    """A small PDF whose page content can be read as it is."""
    pdf = FPDF()
    pdf.set_compression(False)
    pdf.set_creation_date(AT)
    pdf.set_font("helvetica", size=16)
    for number in range(1, pages + 1):
        pdf.add_page()
        pdf.cell(0, 10, f"{text}, page {number}")
    return bytes(pdf.output())


@pytest.fixture(scope="session")
def report():
    return make_report()


@pytest.fixture(scope="session")
def signer():
    return made(physician().certificate, physician().key, ())


@pytest.fixture(scope="session")
def other_signer():
    return made(radiologist().certificate, radiologist().key, ())


@pytest.fixture(scope="session")
def roots():
    return [authority().certificate]


@pytest.fixture(scope="session")
def signed(report, signer):
    """Signed once, PAdES B-B, invisible."""
    return sign(report, signer, reason="Report approved", location="Pune", signed_at=AT, field_name="Physician")


def other_question(question):
    asked = tsp.TimeStampReq.load(question)
    asked["message_imprint"]["hashed_message"] = bytes(32)
    return asked.dump(force=True)


def refusal(_question):
    """RFC 3161 2.4.2: a status and no token; written by hand, because asn1crypto insists on a token."""
    status = tsp.PKIStatusInfo({"status": "rejection", "status_string": ["no quota left"]}).dump()
    return bytes([0x30, len(status)]) + status


ANSWERS = {
    "/good": answer,
    "/garbage": lambda _question: b"\x30\x82not a timestamp",
    "/empty": lambda _question: b"",
    "/other": lambda question: answer(other_question(question)),
    "/refuse": refusal,
}


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        question = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(self.path)
        if self.path == "/silent":
            time.sleep(2)
        status = 503 if self.path == "/error" else 200
        body = ANSWERS.get(self.path, lambda _: b"<html>")(question)
        self._send(status, "text/html" if body == b"<html>" else "application/timestamp-reply", body)

    def do_GET(self):
        self.server.asked.append(self.path)
        self._send(200, "application/pkix-crl", self.server.crl)

    def _send(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # who asked did not wait
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """An RFC 3161 server at ``/good``, its failures at other paths, and a revocation list at any path for GET."""
    made_here = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    made_here.asked, made_here.crl = [], revocation_list()
    made_here.url = f"http://127.0.0.1:{made_here.server_port}"
    threading.Thread(target=made_here.serve_forever, args=(0.02,), daemon=True).start()
    yield made_here
    made_here.shutdown()
    made_here.server_close()


@pytest.fixture
def stamping(server, roots):
    """Settings for the server, with what a profile needs."""

    def make(profile="B-T", path="/good", revoked=(), **changes):
        evidence = {} if profile == "B-T" else {"trust": roots, "revocation": [revocation_list(*revoked)]}
        return Timestamping(server.url + path, profile=profile, **(evidence | changes))

    return make
