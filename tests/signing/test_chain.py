import shutil
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from braintumor.signing.chain import START, Chain, Link, check, check_versions, digest, extend

CONTENTS = {name: digest(name.encode()) for name in ("image 1.2.840.1", "image 1.2.840.2", "mask", "findings", "text", "pdf")}


def made(contents=CONTENTS, start=START):
    chain = Chain(start=start)
    for name, content in contents.items():
        chain = extend(chain, name, content)
    return chain


CHAIN = made()


def with_links(*links):
    return Chain(links, CHAIN.start)


def test_whole():
    assert check(CHAIN, CONTENTS) == ()
    assert check(CHAIN, CONTENTS, head=CHAIN.head) == ()
    assert check(Chain(), {}) == ()


def test_anybody_can_compute_a_link():
    first, second = CHAIN.links[:2]
    assert first.previous == "0" * 64
    assert second.previous == first.hash
    assert second.hash == digest(f"braintumor-chain-1\nimage 1.2.840.2\n{second.content}\n{first.hash}\n".encode())
    if shutil.which("sha256sum"):
        line = ["printf", "braintumor-chain-1\\n%s\\n%s\\n%s\\n", second.name, second.content, second.previous]
        text = subprocess.run(line, capture_output=True, check=True).stdout
        said = subprocess.run(["sha256sum"], input=text, capture_output=True, check=True).stdout
        assert said.decode().split()[0] == second.hash


def test_the_form_never_changes():
    assert extend(Chain(), "mask", digest(b"")).head == "5a0f5911ba256de7e143089618059c8d41608733ec97fd9b660986ad937dd146"


def test_json_and_back():
    adapter = TypeAdapter(Chain)
    assert adapter.validate_json(adapter.dump_json(CHAIN)) == CHAIN


@pytest.mark.parametrize("name", ["", " mask", "mask ", "a\nb", "a  b", "ü", "a\x00b"])
def test_names_that_could_be_read_two_ways_are_refused(name):
    with pytest.raises(ValueError, match="printable ASCII"):
        extend(Chain(), name, digest(b""))


@pytest.mark.parametrize("content", ["", "ab", "A" * 64, digest(b"") + "\n"])
def test_contents_are_hashes(content):
    with pytest.raises(ValueError, match="SHA-256"):
        extend(Chain(), "mask", content)


def test_one_name_once():
    with pytest.raises(ValueError, match="already"):
        extend(CHAIN, "mask", digest(b"x"))


@given(st.sampled_from(list(CONTENTS)), st.binary(max_size=8))
def test_any_changed_content_is_found(name, content):
    problems = check(CHAIN, CONTENTS | {name: digest(b"other" + content)})
    assert len(problems) == 1
    assert "content was changed" in problems[0]
    assert name in problems[0]


@given(
    st.integers(0, len(CONTENTS) - 1),
    st.sampled_from(["name", "content", "previous", "hash"]),
    st.integers(0, 63),
    st.sampled_from("0123456789abcdef"),
)
def test_any_changed_letter_of_a_link_is_found(position, field, place, letter):
    link = CHAIN.links[position]
    old = getattr(link, field)
    place %= len(old)
    new = old[:place] + letter + old[place + 1 :]
    links = [*CHAIN.links]
    links[position] = replace(link, **{field: new})
    assert bool(check(with_links(*links), CONTENTS)) == (new != old)


@given(st.permutations(range(len(CONTENTS))))
def test_any_other_order_is_found(order):
    problems = check(with_links(*(CHAIN.links[n] for n in order)), CONTENTS)
    assert bool(problems) == (list(order) != sorted(order))


@given(st.integers(0, len(CONTENTS) - 1))
def test_any_removal_is_found(position):
    links = [link for n, link in enumerate(CHAIN.links) if n != position]
    problems = check(with_links(*links), CONTENTS)
    assert f"{CHAIN.links[position].name}: the chain has no such link" in problems
    shorter = {name: content for name, content in CONTENTS.items() if name != CHAIN.links[position].name}
    # with its content gone too, only a kept head shows that the last one is missing
    assert check(with_links(*links), shorter, head=CHAIN.head)


@given(st.integers(0, len(CONTENTS)), st.sampled_from(["new", "copy"]))
def test_any_insertion_is_found(position, kind):
    previous = CHAIN.links[position - 1].hash if position else CHAIN.start
    new = extend(Chain(start=previous), "extra", digest(b"extra")).links[0] if kind == "new" else CHAIN.links[0]
    links = (*CHAIN.links[:position], new, *CHAIN.links[position:])
    assert check(with_links(*links), CONTENTS)
    assert check(with_links(*links), CONTENTS | {"extra": digest(b"extra")}, head=CHAIN.head)


def test_a_chain_made_anew_is_found_by_its_kept_head_only():
    forged = CONTENTS | {"findings": digest(b"nothing found")}
    assert check(made(forged), forged) == ()
    assert check(made(forged), forged, head=CHAIN.head) == (
        "the chain is not the one whose head was kept: it was made anew, cut off or extended",
    )


def test_broken_forms_are_told():
    assert check(Chain(CHAIN.links, "x"), CONTENTS)[0] == "the chain starts with something that is no hash"
    odd = Link("a\nb", "zz", START, START)
    assert any("wrong form" in problem for problem in check(Chain((odd,)), {"a\nb": "zz"}))


def test_versions_follow_each_other():
    second = made(start=CHAIN.head)
    third = made({"pdf": digest(b"3")}, start=second.head)
    assert check_versions([CHAIN, second, third]) == ()
    assert check_versions([]) == ()
    assert check_versions([second]) == ("version 1 does not begin the report",)
    assert check_versions([CHAIN, third]) == ("version 2 does not follow version 1",)
    assert check_versions([CHAIN, second, made()]) == ("version 3 does not follow version 2",)
    assert check_versions([CHAIN, Chain(start=CHAIN.head)]) == ("version 2 is empty",)
    changed = made(CONTENTS | {"mask": digest(b"x")})
    assert check_versions([changed, second]) == ("version 2 does not follow version 1",)
