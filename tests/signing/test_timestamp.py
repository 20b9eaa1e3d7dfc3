import socket
from datetime import UTC, datetime, timedelta

import pytest

from braintumor.signing import TimestampError, Timestamping, sign, verify
from tests.signing.identities import AT, CENTURY, LAST, authority, made, make_test_identity, physician, revocation_list, stamper

APPROVED = {"reason": "Report approved", "signed_at": AT, "field_name": "Physician"}
LATER = LAST + timedelta(days=30)
"""The signer's certificate has expired, the timestamp server's has not."""


def test_b_t_proves_when(report, signer, roots, stamping, server):
    done = sign(report, signer, **APPROVED, timestamping=stamping())
    found = verify(done, roots, at=AT + timedelta(days=1))
    (one,) = found.signatures
    assert (one.profile, one.proven_at, one.trusted, one.covers_file) == ("B-T", AT, True, True)
    assert server.asked  # a real request over HTTP


def test_a_timestamp_outlives_the_signers_certificate(report, signer, roots, stamping):
    plain = sign(report, signer, **APPROVED)
    stamped = sign(report, signer, **APPROVED, timestamping=stamping())
    assert verify(stamped, roots, at=LATER).trusted
    late = verify(plain, roots, at=LATER)
    assert late.trusted is False
    assert late.holds  # still the same document
    assert "nothing proves that it signed then" in late.signatures[0].problems[0]


def test_a_stamp_after_the_certificate_expired_helps_nobody(report, signer, roots, stamping, monkeypatch):
    monkeypatch.setattr("tests.signing.identities.answer.__defaults__", (LATER,))
    done = sign(report, signer, **APPROVED, timestamping=stamping())
    assert verify(done, roots, at=LATER + timedelta(days=1)).trusted is False


def test_a_stamp_of_an_unknown_authority_proves_nothing(report, signer, stamping):
    done = sign(report, signer, **APPROVED, timestamping=stamping())
    only_signer = [physician().certificate]
    known = verify(done, only_signer, at=AT + timedelta(days=1)).signatures[0]
    assert known.trusted
    assert known.problems == ("its timestamp is of an authority that is not trusted",)
    assert verify(done, only_signer, at=LATER).trusted is False


def test_b_lt_brings_its_evidence(report, signer, roots, stamping):
    done = sign(report, signer, **APPROVED, timestamping=stamping("B-LT"))
    (one,) = verify(done, roots, at=LATER).signatures
    assert (one.profile, one.trusted, one.modified, one.covers_file) == ("B-LT", True, False, False)
    assert one.modifications == ("evidence for long-term validation was added",)


def test_b_lta_stamps_all_of_it(report, signer, roots, stamping):
    done = sign(report, signer, **APPROVED, timestamping=stamping("B-LTA"))
    person, stamp = verify(done, roots, at=LATER).signatures
    assert (person.profile, person.kind, person.trusted) == ("B-LTA", "signature", True)
    assert (stamp.kind, stamp.profile, stamp.signer, stamp.trusted) == ("timestamp", "timestamp", "Test time", True)
    assert stamp.covers_file
    assert stamp.proven_at == AT


def test_revoked_before_and_after_signing(report, signer, roots, stamping):
    stamped = sign(report, signer, **APPROVED, timestamping=stamping())
    before = revocation_list(physician(), reasoned_at=AT - timedelta(days=2))
    found = verify(stamped, roots, at=AT + timedelta(days=1), revocation=[before]).signatures[0]
    assert found.trusted is False
    assert "was revoked at 2026-03-02" in found.problems[0]
    after = revocation_list(physician(), at=AT + timedelta(days=3), reasoned_at=AT + timedelta(days=2))
    assert verify(stamped, roots, at=AT + timedelta(days=3), revocation=[after]).trusted
    plain = sign(report, signer, **APPROVED)  # nothing proves that this one is older than the revocation
    assert verify(plain, roots, at=AT + timedelta(days=3), revocation=[after]).trusted is False


def test_a_revoked_signer_gets_no_long_term_signature(report, signer, stamping):
    with pytest.raises(TimestampError, match="evidence for long-term validation is incomplete"):
        sign(report, signer, **APPROVED, timestamping=stamping("B-LT", revoked=[physician()]))


def test_long_term_without_revocation_lists_or_with_wrong_roots(report, signer, stamping):
    for changes in ({"revocation": []}, {"trust": [stamper().certificate]}):
        with pytest.raises(TimestampError, match=r"incomplete.*or choose profile B-T"):
            sign(report, signer, **APPROVED, timestamping=stamping("B-LT", **changes))


def test_revocation_lists_are_fetched_on_request(report, server, roots):
    """All valid for a century, because what is fetched is judged at the present."""
    server.crl = revocation_list(at=datetime(2001, 1, 2, tzinfo=UTC), days=36000)
    person = make_test_identity("Dr. D", authority(), crl=f"{server.url}/list.crl", **CENTURY)
    person_signs = made(person.certificate, person.key, ())
    settings = Timestamping(f"{server.url}/good", profile="B-LT", trust=roots, fetch=True)
    done = sign(report, person_signs, **APPROVED, timestamping=settings)
    assert verify(done, roots, at=LATER).signatures[0].profile == "B-LT"
    assert "/list.crl" in server.asked
    server.crl = b"no list"
    with pytest.raises(TimestampError, match="evidence for long-term validation is incomplete"):
        sign(report, person_signs, **APPROVED, timestamping=settings)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/error", "answered with HTTP status 503"),
        ("/page", "no timestamp"),
        ("/garbage", "no timestamp"),
        ("/empty", "no timestamp"),
        ("/other", "stamped something else"),
        ("/refuse", "no quota left"),
    ],
)
@pytest.mark.parametrize("profile", ["B-T", "B-LTA"])
def test_a_bad_answer_is_an_error_and_no_file(report, signer, stamping, path, words, profile):
    with pytest.raises(TimestampError, match=words):
        sign(report, signer, **APPROVED, timestamping=stamping(profile, path))


def test_server_is_down_or_silent(report, signer, stamping):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://user:secret@127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(TimestampError, match=r"127.0.0.1 cannot be reached; nothing was signed.*profile B-B") as caught:
            sign(report, signer, **APPROVED, timestamping=Timestamping(url))
    assert "secret" not in str(caught.value)
    with pytest.raises(TimestampError, match="did not answer in time"):
        sign(report, signer, **APPROVED, timestamping=stamping(path="/silent", timeout_s=0.3))


def test_going_on_without_a_timestamp_is_the_callers_choice(report, signer, stamping):
    try:
        done = sign(report, signer, **APPROVED, timestamping=stamping(path="/error"))
    except TimestampError:
        done = sign(report, signer, **APPROVED)
    assert verify(done, at=AT).signatures[0].profile == "B-B"


@pytest.mark.parametrize("url", ["", "tsa.example.org", "ftp://tsa.example.org/", "file:///etc/passwd", "http://"])
def test_addresses(url):
    with pytest.raises(TimestampError, match="not one of http or https"):
        Timestamping(url)


def test_settings_that_make_no_sense(roots):
    with pytest.raises(ValueError, match="B-B"):
        Timestamping("http://tsa.example.org/", profile="B-B")
    with pytest.raises(TimestampError, match="needs the root certificates"):
        Timestamping("http://tsa.example.org/", profile="B-LT")
