"""Signed notes, checkpoints and cosignatures: C2SP's own examples, and each rule bent once."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.errors import MalformedError, SignatureError
from trustrag.provenance import checkpoint
from trustrag.provenance.canonical import Digest
from trustrag.provenance.checkpoint import COSIGNATURE, ED25519, Checkpoint, Note, NoteSignature, VerifierKey
from trustrag.provenance.keys import PrivateKey

LOG = PrivateKey.from_seed(bytes(range(32)))
WITNESS = PrivateKey.from_seed(bytes(range(1, 33)))
OTHER = PrivateKey.from_seed(bytes(range(2, 34)))
ORIGIN = "trustrag.example/acme/kb"
LOG_KEY = VerifierKey(ORIGIN, LOG.public_key)
WITNESS_KEY = VerifierKey("witness.example/w1", WITNESS.public_key, COSIGNATURE)
HEAD = Checkpoint(ORIGIN, 256, Digest.of(b"root"))
SIGNED = checkpoint.sign_checkpoint(HEAD, LOG)
COSIGNED = checkpoint.cosign(SIGNED, WITNESS_KEY.name, WITNESS, 1_795_420_000)

# c2sp.org/signed-note
EXAMPLE_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE_NOTE = (
    "This is an example message.\n\n"
    "\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfX"
    "ppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
# c2sp.org/tlog-cosignature
EXAMPLE_CHECKPOINT = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+Z"
    "JurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI"
    "5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
).encode()


def note(text: str = "text\n", *lines: str) -> bytes:
    return (text + "\n" + "".join(f"{line}\n" for line in lines or ("\u2014 name AAAAAAA=",))).encode()


def with_lines(data: bytes, *lines: NoteSignature) -> Note:
    parsed = Note.parse(data)
    return replace(parsed, signatures=(*parsed.signatures, *lines))


# ---- notes ---------------------------------------------------------------------------------------------


def test_the_example_of_the_note_specification() -> None:
    verifier = VerifierKey.parse(EXAMPLE_VKEY)
    parsed = Note.parse(EXAMPLE_NOTE)
    assert verifier.encode() == EXAMPLE_VKEY
    assert parsed.encode() == EXAMPLE_NOTE
    assert parsed.text == b"This is an example message.\n"
    (signature,) = parsed.signed_by(verifier)
    verifier.key.verify(parsed.text, signature)


def test_the_example_of_the_cosignature_specification() -> None:
    parsed = Note.parse(EXAMPLE_CHECKPOINT)
    assert parsed.encode() == EXAMPLE_CHECKPOINT
    head = Checkpoint.parse(parsed.text)
    assert (head.origin, head.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert head.root.hex == "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62"
    assert [line.name for line in parsed.signatures] == [
        "example.com/behind-the-sofa",
        "witness.example.com/w1",
    ]
    assert parsed.signatures[1].signature[:8] == (1_679_315_147).to_bytes(8, "big")


def test_a_note_of_the_longest_size_is_read() -> None:
    longest = note("t" * (checkpoint.MAX_NOTE_BYTES - len(note("\n"))) + "\n")
    assert len(longest) == checkpoint.MAX_NOTE_BYTES
    assert Note.parse(longest).encode() == longest


def test_a_text_may_hold_blank_lines() -> None:
    parsed = Note.parse(note("one\n\ntwo \u00e8\n"))
    assert parsed.text == "one\n\ntwo \u00e8\n".encode()
    assert parsed.encode() == note("one\n\ntwo \u00e8\n")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        "\u2014 name AAAAAAA=\n".encode(),
        note()[:-1] + b"X",
        b"text",
        b"text\n",
        b"text\n\n",
        note("text"),
        note()[:-1],
        note() + b"\n",
        note() + b"more\n",
        note("t\x00ext\n"),
        note("t\text\n"),
        note("text\r\n"),
        b"\xff" + note(),
        b"\xed\xa0\x80" + note(),
        note("text\n", "- name AAAAAAA="),
        note("text\n", "\u2014name AAAAAAA="),
        note("text\n", "\u2013 name AAAAAAA="),
        note("text\n", "\u2014 name"),
        note("text\n", "\u2014 name "),
        note("text\n", "\u2014  AAAAAAA="),
        note("text\n", "\u2014 na+me AAAAAAA="),
        note("text\n", "\u2014 na\u00a0me AAAAAAA="),
        note("text\n", "\u2014 na\u2003me AAAAAAA="),
        note("text\n", "\u2014 na me AAAAAAA="),
        note("text\n", "\u2014 name AAAAAAA= "),
        note("text\n", "\u2014 name AAAAAAB="),
        note("text\n", "\u2014 name AAAAAAA"),
        note("text\n", "\u2014 name AAAAAA__"),
        note("text\n", "\u2014 name AAAAAA=="),
        note("text\n", *["\u2014 name AAAAAAA="] * 65),
        note("t" * checkpoint.MAX_NOTE_BYTES + "\n"),
    ],
    ids=repr,
)
def test_what_is_no_note_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        Note.parse(data)


def test_a_note_may_have_many_signatures() -> None:
    data = note("text\n", *[f"\u2014 name{number} AAAAAAA=" for number in range(checkpoint.MAX_SIGNATURES)])
    assert Note.parse(data).encode() == data


@pytest.mark.parametrize(
    "make",
    [
        lambda line: Note(b"no newline", (line,)),
        lambda line: Note(b"", (line,)),
        lambda line: Note(b"text\n", ()),
        lambda line: Note(b"text\n", (line,) * 65),
        lambda line: Note(b"te\xffxt\n", (line,)),
        lambda line: Note(b"te\rxt\n", (line,)),
        lambda line: NoteSignature("", b"hash", b"s"),
        lambda line: NoteSignature("a b", b"hash", b"s"),
        lambda line: NoteSignature("a\nb", b"hash", b"s"),
        lambda line: NoteSignature("a\x00b", b"hash", b"s"),
        lambda line: NoteSignature("\ud800", b"hash", b"s"),
        lambda line: NoteSignature("a", b"hashed", b"s"),
        lambda line: NoteSignature("a", b"hash", b""),
    ],
)
def test_no_note_is_made_that_could_not_be_read(make: Callable[[NoteSignature], object]) -> None:
    with pytest.raises(MalformedError):
        make(NoteSignature("name", b"hash", b"s"))


@given(st.binary(max_size=200) | st.text("a\n\u2014 +A=", max_size=60).map(lambda text: text.encode()))
def test_noise_is_malformed_or_encodes_to_itself(data: bytes) -> None:
    for candidate in (data, b"\n\n\xe2\x80\x94 " + data, data + note()):
        try:
            parsed = Note.parse(candidate)
        except MalformedError:
            continue
        assert parsed.encode() == candidate


# ---- verifier keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ED25519, COSIGNATURE])
def test_a_verifier_key_comes_back(kind: int) -> None:
    verifier = VerifierKey("name", LOG.public_key, kind)
    assert VerifierKey.parse(verifier.encode()) == verifier


def test_one_key_has_another_hash_for_another_kind_or_name() -> None:
    kinds = [
        VerifierKey("a", LOG.public_key),
        VerifierKey("a", LOG.public_key, 4),
        VerifierKey("b", LOG.public_key),
    ]
    assert len({verifier.key_hash for verifier in kinds}) == 3


def vkey(kind: int, raw: bytes) -> str:
    return "foo+00000000+" + b64encode(bytes([kind]) + raw).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "foo",
        "foo+530d903a",
        EXAMPLE_VKEY.replace("foo", "bar"),
        EXAMPLE_VKEY.replace("foo", ""),
        EXAMPLE_VKEY.replace("foo", "f o"),
        EXAMPLE_VKEY.replace("530d903a", "530D903A"),
        EXAMPLE_VKEY.replace("530d903a", "530d903b"),
        EXAMPLE_VKEY.replace("530d903a", "530d90"),
        EXAMPLE_VKEY + "A",
        EXAMPLE_VKEY + "+",
        EXAMPLE_VKEY + "\n",
        "foo+530d903a+",
        vkey(ED25519, bytes(31)),
        vkey(ED25519, bytes(32)),
        vkey(ED25519, LOG.public_key.raw),
        vkey(2, LOG.public_key.raw),
        vkey(6, LOG.public_key.raw),
    ],
)
def test_a_bent_verifier_key_is_malformed(text: str) -> None:
    with pytest.raises(MalformedError):
        VerifierKey.parse(text)


@pytest.mark.parametrize(
    ("name", "kind"), [("", 1), ("a b", 1), ("a+b", 1), ("a\n", 4), ("a", 0), ("a", 2), ("a", 6)]
)
def test_no_verifier_key_is_made_that_no_note_could_name(name: str, kind: int) -> None:
    with pytest.raises(MalformedError):
        VerifierKey(name, LOG.public_key, kind)


@given(st.text())
def test_noise_is_no_verifier_key(text: str) -> None:
    with pytest.raises(MalformedError):
        VerifierKey.parse(text)


# ---- checkpoints ---------------------------------------------------------------------------------------


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
    st.integers(0, checkpoint.MAX_INTEGER),
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), max_size=3).map(tuple),
)
def test_a_checkpoint_comes_back(origin: str, size: int, extensions: tuple[str, ...]) -> None:
    head = Checkpoint(origin, size, Digest.of(b"root"), extensions)
    assert Checkpoint.parse(head.encode()) == head


ROOT = b64encode(Digest.of(b"root").value).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "log\n",
        "log\n5\n",
        f"log\n5\n{ROOT}",
        f"\n5\n{ROOT}\n",
        f"log\n5\n{ROOT}\n\n",
        f"log\n5\n{ROOT}\n\nmore\n",
        f"log\n05\n{ROOT}\n",
        f"log\n+5\n{ROOT}\n",
        f"log\n-5\n{ROOT}\n",
        f"log\n 5\n{ROOT}\n",
        f"log\n5 \n{ROOT}\n",
        f"log\n5_0\n{ROOT}\n",
        f"log\n0x5\n{ROOT}\n",
        f"log\n5.0\n{ROOT}\n",
        f"log\n\u0665\n{ROOT}\n",
        f"log\n\uff15\n{ROOT}\n",
        f"log\n\n{ROOT}\n",
        f"log\n00\n{ROOT}\n",
        f"log\n{2**63}\n{ROOT}\n",
        f"log\n{'9' * 5000}\n{ROOT}\n",
        f"log\n5\n{ROOT[:-1]}\n",
        f"log\n5\n{ROOT} \n",
        "log\n5\nAAAA\n",
        "log\n5\n\n",
        f"log\r\n5\n{ROOT}\n",
        f"log\n5\n{ROOT}\nex\ttension\n",
        f"log\n5\n{ROOT}\nan extension without its end",
    ],
)
def test_what_is_no_checkpoint_is_malformed(text: str) -> None:
    for size in (0, 5, 2**63 - 1):
        assert Checkpoint.parse(f"log\n{size}\n{ROOT}\n".encode()).size == size
    with pytest.raises(MalformedError):
        Checkpoint.parse(text.encode())


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(HEAD, size=-1),
        lambda: replace(HEAD, size=2**63),
        lambda: replace(HEAD, origin=""),
        lambda: replace(HEAD, origin="a\nb"),
        lambda: replace(HEAD, origin="a\x00b"),
        lambda: replace(HEAD, origin="\ud800"),
        lambda: replace(HEAD, extensions=("",)),
        lambda: replace(HEAD, extensions=("a\n",)),
        lambda: checkpoint.sign_checkpoint(replace(HEAD, origin="not a name"), LOG),
    ],
)
def test_no_checkpoint_is_made_that_could_not_be_read(make: Callable[[], object]) -> None:
    with pytest.raises(MalformedError):
        make()


@given(st.binary(max_size=100) | st.text("a0159\n=", max_size=50).map(lambda text: text.encode()))
def test_noise_is_no_checkpoint_or_its_own_encoding(data: bytes) -> None:
    for candidate in (data, b"log\n" + data + f"\n{ROOT}\n".encode()):
        try:
            head = Checkpoint.parse(candidate)
        except MalformedError:
            continue
        assert head.encode() == candidate


# ---- signed checkpoints --------------------------------------------------------------------------------


def test_a_signed_checkpoint_verifies() -> None:
    assert checkpoint.verify_checkpoint(Note.parse(SIGNED), [LOG_KEY]) == (HEAD, (LOG.public_key,))
    assert checkpoint.verify_checkpoint(Note.parse(COSIGNED), [LOG_KEY]) == (HEAD, (LOG.public_key,))


def test_while_a_log_changes_keys_either_or_both_may_sign() -> None:
    new = VerifierKey(ORIGIN, OTHER.public_key)
    line = NoteSignature(ORIGIN, new.key_hash, OTHER.sign(HEAD.encode()))
    both = with_lines(SIGNED, line)
    assert checkpoint.verify_checkpoint(Note.parse(SIGNED), [new, LOG_KEY])[1] == (LOG.public_key,)
    assert checkpoint.verify_checkpoint(both, [new, LOG_KEY])[1] == (OTHER.public_key, LOG.public_key)


def test_lines_of_unknown_keys_are_ignored() -> None:
    """Same name with another hash, same hash with another name, and an unknown kind: all say nothing."""
    strangers = [
        NoteSignature(ORIGIN, b"\0\0\0\0", b"noise"),
        NoteSignature("stranger", LOG_KEY.key_hash, b"noise"),
        NoteSignature("post-quantum", b"hash", bytes(2420)),
    ]
    noisy = with_lines(SIGNED, *strangers)
    assert checkpoint.verify_checkpoint(Note.parse(noisy.encode()), [LOG_KEY])[0] == HEAD
    assert checkpoint.verify_cosignature(noisy, WITNESS_KEY) is None


@pytest.mark.parametrize(
    "log",
    [
        [],
        [VerifierKey(ORIGIN, OTHER.public_key)],
        [VerifierKey("another.example/log", LOG.public_key)],
        [VerifierKey(ORIGIN, LOG.public_key, COSIGNATURE)],
        [WITNESS_KEY],
    ],
)
def test_a_checkpoint_that_no_key_of_the_log_signed_is_refused(log: list[VerifierKey]) -> None:
    with pytest.raises(SignatureError, match="not signed by any key"):
        checkpoint.verify_checkpoint(Note.parse(COSIGNED), log)


def test_a_known_key_with_a_bad_signature_spoils_the_note() -> None:
    bad = NoteSignature(ORIGIN, LOG_KEY.key_hash, LOG.sign(b"something else"))
    with pytest.raises(SignatureError, match="does not hold"):
        checkpoint.verify_checkpoint(with_lines(SIGNED, bad), [LOG_KEY])
    with pytest.raises(SignatureError, match="64 bytes"):
        checkpoint.verify_checkpoint(with_lines(SIGNED, replace(bad, signature=b"short")), [LOG_KEY])


def test_a_log_signs_only_under_its_own_origin() -> None:
    text = replace(HEAD, origin="another.example/log").encode()
    forged = Note(text, (NoteSignature(ORIGIN, LOG_KEY.key_hash, LOG.sign(text)),))
    with pytest.raises(SignatureError, match="another"):
        checkpoint.verify_checkpoint(forged, [LOG_KEY])


def test_a_signed_note_that_is_no_checkpoint_is_malformed() -> None:
    text = b"pay the bearer\n"
    with pytest.raises(MalformedError):
        checkpoint.verify_checkpoint(
            Note(text, (NoteSignature(ORIGIN, LOG_KEY.key_hash, LOG.sign(text)),)), [LOG_KEY]
        )


@given(st.data())
def test_any_bent_byte_of_a_signed_checkpoint_is_refused(data: st.DataObject) -> None:
    bent = bytearray(SIGNED)
    bent[data.draw(st.integers(0, len(bent) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        parsed = Note.parse(bytes(bent))
    except MalformedError:
        return
    with pytest.raises(SignatureError):
        checkpoint.verify_checkpoint(parsed, [LOG_KEY])


# ---- cosignatures --------------------------------------------------------------------------------------


def test_a_witness_adds_a_line_and_changes_nothing() -> None:
    assert COSIGNED.startswith(SIGNED)
    assert checkpoint.verify_cosignature(Note.parse(COSIGNED), WITNESS_KEY) == 1_795_420_000
    assert checkpoint.verify_cosignature(Note.parse(SIGNED), WITNESS_KEY) is None


def test_a_witness_signs_what_the_specification_says() -> None:
    (line,) = Note.parse(COSIGNED).signatures[1:]
    message = b"cosignature/v1\ntime 1795420000\n" + HEAD.encode()
    WITNESS.public_key.verify(message, line.signature[8:])


def test_the_latest_of_a_witness_counts() -> None:
    twice = checkpoint.cosign(COSIGNED, WITNESS_KEY.name, WITNESS, 1_795_410_000)
    assert checkpoint.verify_cosignature(Note.parse(twice), WITNESS_KEY) == 1_795_420_000


def test_a_plain_signature_of_a_witness_is_no_cosignature() -> None:
    plain = VerifierKey(WITNESS_KEY.name, WITNESS.public_key, ED25519)
    signed = with_lines(SIGNED, NoteSignature(plain.name, plain.key_hash, WITNESS.sign(HEAD.encode())))
    assert checkpoint.verify_cosignature(signed, WITNESS_KEY) is None
    assert checkpoint.verify_cosignature(signed, plain) is None


def bent_cosignature(signed: bytes) -> Note:
    return with_lines(SIGNED, NoteSignature(WITNESS_KEY.name, WITNESS_KEY.key_hash, signed))


@pytest.mark.parametrize(
    "bend",
    [
        lambda signed: signed[:-1],
        lambda signed: signed + b"\0",
        lambda signed: signed[8:],
        lambda signed: signed[:7],
        lambda signed: (1_795_420_001).to_bytes(8, "big") + signed[8:],
        lambda signed: (
            b"\x80" + bytes(7) + WITNESS.sign(b"cosignature/v1\ntime %d\n" % 2**63 + HEAD.encode())
        ),
        lambda signed: signed[:8] + WITNESS.sign(HEAD.encode()),
        lambda signed: signed[:8] + OTHER.sign(b"cosignature/v1\ntime 1795420000\n" + HEAD.encode()),
    ],
)
def test_a_bent_cosignature_is_refused(bend: Callable[[bytes], bytes]) -> None:
    honest = Note.parse(COSIGNED).signatures[1].signature
    assert checkpoint.verify_cosignature(bent_cosignature(honest), WITNESS_KEY) == 1_795_420_000
    with pytest.raises(SignatureError):
        checkpoint.verify_cosignature(bent_cosignature(bend(honest)), WITNESS_KEY)


def test_a_cosignature_is_for_one_checkpoint() -> None:
    line = Note.parse(COSIGNED).signatures[1]
    another = checkpoint.sign_checkpoint(replace(HEAD, size=257), LOG)
    with pytest.raises(SignatureError):
        checkpoint.verify_cosignature(with_lines(another, line), WITNESS_KEY)


@pytest.mark.parametrize("timestamp", [1, 2**63 - 1])
def test_any_positive_time_will_do(timestamp: int) -> None:
    signed = Note.parse(checkpoint.cosign(SIGNED, WITNESS_KEY.name, WITNESS, timestamp))
    assert checkpoint.verify_cosignature(signed, WITNESS_KEY) == timestamp


@pytest.mark.parametrize("timestamp", [0, -1, 2**63])
def test_a_witness_signs_at_a_time(timestamp: int) -> None:
    with pytest.raises(ValueError, match="unix seconds"):
        checkpoint.cosign(SIGNED, "w", WITNESS, timestamp)


def test_a_witness_signs_checkpoints_only() -> None:
    with pytest.raises(MalformedError):
        checkpoint.cosign(EXAMPLE_NOTE, "w", WITNESS, 1)
    with pytest.raises(MalformedError):
        checkpoint.cosign(SIGNED, "not a name", WITNESS, 1)
