"""Ed25519 keys: RFC 8032's vectors, points that are refused, and private keys that stay out of sight."""

import copy
import pickle
import resource
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings

from trustrag.errors import ConfigError, MalformedError, SignatureError
from trustrag.provenance import canonical, keys
from trustrag.provenance.canonical import Json
from trustrag.provenance.keys import Derivation, KeyFile, KeyLock, PrivateKey, PublicKey, Signer

CHEAP = Derivation(b"salt of 16 bytes", operations=1, memory=keys.MIN_MEMORY)
KEY = PrivateKey.from_seed(bytes(range(32)))

# RFC 8032, 7.1: seed, public key, message, signature.
VECTORS = {
    "TEST 1": (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        (""),
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
            "1cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    "TEST 2": (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        ("72"),
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
            "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    "TEST 3": (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        ("af82"),
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760"
            "984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    "TEST 1024": (
        "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
        (
            "08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f5"
            "4e9f77b1e355f6c50544e23fb1433ddf73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37"
            "c93a1b270b20329d658675fc6ea534e0810a4432826bf58c941efb65d57a338bbd2e26640f89ffbc1a858efc"
            "b8550ee3a5e1998bd177e93a7363c344fe6b199ee5d02e82d522c4feba15452f80288a821a579116ec6dad2b"
            "3b310da903401aa62100ab5d1a36553e06203b33890cc9b832f79ef80560ccb9a39ce767967ed628c6ad573c"
            "b116dbefefd75499da96bd68a8a97b928a8bbc103b6621fcde2beca1231d206be6cd9ec7aff6f6c94fcd7204"
            "ed3455c68c83f4a41da4af2b74ef5c53f1d8ac70bdcb7ed185ce81bd84359d44254d95629e9855a94a7c1958"
            "d1f8ada5d0532ed8a5aa3fb2d17ba70eb6248e594e1a2297acbbb39d502f1a8c6eb6f1ce22b3de1a1f40cc24"
            "554119a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf2b13fd65f27088d78b7e883c8759d2c4f5c6"
            "5adb7553878ad575f9fad878e80a0c9ba63bcbcc2732e69485bbc9c90bfbd62481d9089beccf80cfe2df16a2"
            "cf65bd92dd597b0707e0917af48bbb75fed413d238f5555a7a569d80c3414a8d0859dc65a46128bab27af87a"
            "71314f318c782b23ebfe808b82b0ce26401d2e22f04d83d1255dc51addd3b75a2b1ae0784504df543af8969b"
            "e3ea7082ff7fc9888c144da2af58429ec96031dbcad3dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9"
            "b47acdb751fb73e666c6c655ade8297297d07ad1ba5e43f1bca32301651339e22904cc8c42f58c30c04aafdb"
            "038dda0847dd988dcda6f3bfd15c4b4c4525004aa06eeff8ca61783aacec57fb3d1f92b0fe2fd1a85f672451"
            "7b65e614ad6808d6f6ee34dff7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401adebf5a7e08"
            "d78ff4ef5d63653a65040cf9bfd4aca7984a74d37145986780fc0b16ac451649de6188a7dbdf191f64b5fc5e"
            "2ab47b57f7f7276cd419c17a3ca8e1b939ae49e488acba6b965610b5480109c8b17b80e1b7b750dfc7598d5d"
            "5011fd2dcc5600a32ef5b52a1ecc820e308aa342721aac0943bf6686b64b2579376504ccc493d97e6aed3fb0"
            "f9cd71a43dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5fb93246f6b1116398a346f1a641f3b041"
            "e989f7914f90cc2c7fff357876e506b50d334ba77c225bc307ba537152f3f1610e4eafe595f6d9d90d11faa9"
            "33a15ef1369546868a7f3a45a96768d40fd9d03412c091c6315cf4fde7cb68606937380db2eaaa707b4c4185"
            "c32eddcdd306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef68d3a101e8a3b8cac60c905c"
            "15fc910840b94c00a0b9d0"
        ),
        (
            "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350aa5371b1508f9f4528ecea23"
            "c436d94b5e8fcd4f681e30a6ac00a9704a188a03"
        ),
    ),
    "TEST SHA(abc)": (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23"
            "a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c6"
            "6431e0303dca179c138ac17ad9bef1177331a704"
        ),
    ),
}


@pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS.values(), ids=VECTORS)
def test_rfc8032(seed: str, public: str, message: str, signature: str) -> None:
    key = PrivateKey.from_seed(bytes.fromhex(seed))
    assert key.public_key == PublicKey.parse(public)
    assert key.sign(bytes.fromhex(message)).hex() == signature
    key.public_key.verify(bytes.fromhex(message), bytes.fromhex(signature))


# ---- public keys ---------------------------------------------------------------------------------------

SMALL_ORDER = {
    "order 1": "0100000000000000000000000000000000000000000000000000000000000000",
    "order 2": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "order 4": "0000000000000000000000000000000000000000000000000000000000000000",
    "order 4, negative": "0000000000000000000000000000000000000000000000000000000000000080",
    "order 8": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "order 8, negative": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "order 8, other": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order 8, other, negative": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
}
NOT_CANONICAL = {
    "y = p": "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "y = p + 1": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "y = 2^255 - 1": "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "minus zero": "0100000000000000000000000000000000000000000000000000000000000080",
}


@pytest.mark.parametrize("point", [*SMALL_ORDER.values(), *NOT_CANONICAL.values()])
def test_a_point_that_no_honest_key_has_is_refused(point: str) -> None:
    with pytest.raises(MalformedError, match="no point"):
        PublicKey.parse(point)


def test_a_key_with_a_small_part_is_refused() -> None:
    """A mixed-order point is on the curve, and verifies differently from one library to the next."""
    eighth = bytes.fromhex(SMALL_ORDER["order 8"])
    mixed = bindings.crypto_core_ed25519_add(KEY.public_key.raw, eighth)
    with pytest.raises(MalformedError, match="no point"):
        PublicKey(mixed)


def test_what_is_no_point_is_refused() -> None:
    with pytest.raises(MalformedError, match="no point"):
        PublicKey(b"\x02" + bytes(31))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_public_key_has_32_bytes(length: int) -> None:
    with pytest.raises(MalformedError, match="32 bytes"):
        PublicKey(bytes(length))


@given(st.binary(min_size=32, max_size=32))
def test_noise_is_a_key_or_malformed(raw: bytes) -> None:
    try:
        key = PublicKey(raw)
    except MalformedError:
        return
    with pytest.raises(SignatureError):
        key.verify(b"", raw + raw)


def test_public_keys_are_values() -> None:
    key = KEY.public_key
    assert PublicKey.parse(key.hex) == key
    assert len({key, PublicKey(key.raw)}) == 1
    assert sorted([key, key]) == [key, key]
    assert key.key_id == canonical.Digest.of(key.raw).hex
    assert repr(key) == f"PublicKey({key.hex})"


@pytest.mark.parametrize("text", ["", "zz", KEY.public_key.hex.upper(), KEY.public_key.hex[:-2]])
def test_public_keys_have_one_spelling(text: str) -> None:
    with pytest.raises(MalformedError):
        PublicKey.parse(text)


# ---- signatures ----------------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_what_is_signed_verifies(message: bytes) -> None:
    KEY.public_key.verify(message, KEY.sign(message))


@given(st.binary(min_size=1, max_size=50), st.data())
def test_any_bent_bit_is_refused(message: bytes, data: st.DataObject) -> None:
    whole = bytearray(KEY.sign(message) + message)
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureError):
        KEY.public_key.verify(bytes(whole[64:]), bytes(whole[:64]))


@pytest.mark.parametrize("bend", [lambda s: b"", lambda s: s[:-1], lambda s: s + b"\0", lambda s: bytes(64)])
def test_a_signature_of_another_shape_is_refused(bend: object) -> None:
    assert callable(bend)
    with pytest.raises(SignatureError):
        KEY.public_key.verify(b"m", bend(KEY.sign(b"m")))


def test_a_cut_between_signature_and_message_may_not_move() -> None:
    whole = KEY.sign(b"message") + b"message"
    KEY.public_key.verify(whole[64:], whole[:64])
    for cut in (63, 65):
        with pytest.raises(SignatureError, match="64 bytes"):
            KEY.public_key.verify(whole[cut:], whole[:cut])


def test_a_signature_with_the_group_order_added_is_refused() -> None:
    """S + L verifies for careless verifiers: one signature would have two spellings (RFC 8032, 5.1.7)."""
    order = 2**252 + 27742317777372353535851937790883648493
    signature = KEY.sign(b"m")
    larger = int.from_bytes(signature[32:], "little") + order
    with pytest.raises(SignatureError):
        KEY.public_key.verify(b"m", signature[:32] + larger.to_bytes(32, "little"))


def test_another_key_is_refused_by_name() -> None:
    other = PrivateKey.generate().public_key
    with pytest.raises(SignatureError, match=other.key_id[:16]):
        other.verify(b"m", KEY.sign(b"m"))


# ---- private keys --------------------------------------------------------------------------------------


def test_a_private_key_is_a_signer() -> None:
    signer: Signer = PrivateKey.generate()
    signer.public_key.verify(b"m", signer.sign(b"m"))
    assert signer.public_key != PrivateKey.generate().public_key


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_seed_has_32_bytes(length: int) -> None:
    with pytest.raises(MalformedError, match="32 bytes"):
        PrivateKey.from_seed(bytes(length))


SECRETS = [
    KEY,
    KeyLock(b"open sesame", CHEAP),
    KeyFile.close(KEY, None),
    KeyFile.close(KEY, KeyLock(b"open sesame", CHEAP)),
]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: type(secret).__name__)
def test_secrets_are_not_shown_copied_or_pickled(secret: object) -> None:
    seed = bytes(range(32))
    for shown in (repr(secret), str(secret), f"{secret}"):
        for hidden in (seed.hex(), b64encode(seed).decode(), repr(seed)[2:-1], "sesame"):
            assert hidden not in shown
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not for copying"):
            take(secret)


# ---- key files -----------------------------------------------------------------------------------------


def key_file(lock: KeyLock | None) -> dict[str, Json]:
    value = canonical.parse(keys.encrypt_private_key(KEY, lock))
    assert isinstance(value, dict)
    return value


def test_a_key_comes_back_with_its_passphrase() -> None:
    data = keys.encrypt_private_key(KEY, KeyLock(b"open sesame", CHEAP))
    assert bytes(range(32)) not in data
    assert b64encode(bytes(range(32))) not in data
    opened = keys.decrypt_private_key(data, KeyLock(b"open sesame"))
    assert opened.sign(b"m") == KEY.sign(b"m")


def test_a_key_comes_back_without_a_passphrase() -> None:
    data = keys.encrypt_private_key(KEY, None)
    assert keys.decrypt_private_key(data, None).sign(b"m") == KEY.sign(b"m")
    assert keys.decrypt_private_key(data, KeyLock(b"not needed", CHEAP)).sign(b"m") == KEY.sign(b"m")


def test_a_file_tells_its_public_key_and_its_lock_unopened() -> None:
    plain = KeyFile.parse(keys.encrypt_private_key(KEY, None))
    closed = KeyFile.parse(keys.encrypt_private_key(KEY, KeyLock(b"open sesame", CHEAP)))
    assert (plain.public_key, plain.derivation) == (KEY.public_key, None)
    assert (closed.public_key, closed.derivation) == (KEY.public_key, CHEAP)


def test_the_defaults_are_those_of_rfc9106() -> None:
    derivation = KeyLock(b"open sesame").derivation
    assert (derivation.operations, derivation.memory) == (3, 64 << 20)
    assert KeyLock(b"open sesame").derivation.salt != derivation.salt


def test_two_files_of_one_key_differ() -> None:
    lock = KeyLock(b"open sesame", CHEAP)
    assert keys.encrypt_private_key(KEY, lock) != keys.encrypt_private_key(KEY, lock)


def test_a_lock_derives_once_for_all_its_files() -> None:
    lock = KeyLock(b"open sesame", CHEAP)
    first = lock.derive(CHEAP)
    assert lock.derive(Derivation(CHEAP.salt, CHEAP.operations, CHEAP.memory)) is first
    assert lock.derive(Derivation(b"another salt, 16", 1, keys.MIN_MEMORY)) != first
    files = [KeyFile.parse(keys.encrypt_private_key(PrivateKey.generate(), lock)) for _ in range(3)]
    assert {file.derivation for file in files} == {CHEAP}


def test_a_wrong_passphrase_is_named_with_its_key() -> None:
    data = keys.encrypt_private_key(KEY, KeyLock(b"open sesame", CHEAP))
    with pytest.raises(
        ConfigError, match=f"wrong passphrase for key {KEY.public_key.key_id[:16]}: give"
    ) as caught:
        keys.decrypt_private_key(data, KeyLock(b"open barley"))
    assert "barley" not in str(caught.value)


def test_a_missing_passphrase_is_asked_for() -> None:
    data = keys.encrypt_private_key(KEY, KeyLock(b"open sesame", CHEAP))
    with pytest.raises(ConfigError, match="is encrypted: give its passphrase"):
        keys.decrypt_private_key(data, None)


def test_an_empty_passphrase_is_no_passphrase() -> None:
    with pytest.raises(ConfigError, match="empty"):
        KeyLock(b"")


@pytest.mark.parametrize("lock", [None, KeyLock(b"open sesame", CHEAP)], ids=["plain", "encrypted"])
def test_another_public_key_in_the_file_is_refused(lock: KeyLock | None) -> None:
    bent = key_file(lock) | {"publicKey": PrivateKey.generate().public_key.hex}
    with pytest.raises(MalformedError, match="holds another key"):
        keys.decrypt_private_key(canonical.encode(bent), lock)


@given(st.data())
def test_any_bent_byte_of_the_box_is_a_wrong_passphrase(data: st.DataObject) -> None:
    lock = KeyLock(b"open sesame", CHEAP)
    file = key_file(lock)
    assert isinstance(file["seed"], str)
    box = bytearray(canonical.bytes_from_base64(file["seed"]))
    box[data.draw(st.integers(0, len(box) - 1))] ^= data.draw(st.integers(1, 255))
    bent = canonical.encode(file | {"seed": b64encode(box).decode()})
    with pytest.raises(ConfigError, match="wrong passphrase"):
        keys.decrypt_private_key(bent, lock)


ENCRYPTION = {"kdf": "argon2id", "memory": 8192, "operations": 1, "salt": b64encode(CHEAP.salt).decode()}


@pytest.mark.parametrize(
    "bent",
    [
        {"format": "urn:trustrag:private-key/v2"},
        {"publicKey": "00" * 32},
        {"publicKey": 1},
        {"seed": "AAAA"},
        {"seed": b64encode(bytes(32)).decode()},
        {"seed": "not base64"},
        {"more": 1},
        {"encryption": "none"},
        {"encryption": None},
        {"encryption": ENCRYPTION | {"kdf": "scrypt"}},
        {"encryption": ENCRYPTION | {"memory": keys.MAX_MEMORY + 1}},
        {"encryption": ENCRYPTION | {"memory": keys.MIN_MEMORY - 1}},
        {"encryption": ENCRYPTION | {"operations": keys.MAX_OPERATIONS + 1}},
        {"encryption": ENCRYPTION | {"operations": 0}},
        {"encryption": ENCRYPTION | {"salt": "AAAA"}},
        {"encryption": ENCRYPTION | {"more": 1}},
        {"encryption": {"kdf": "argon2id"}},
    ],
    ids=str,
)
def test_a_bent_key_file_is_malformed(bent: dict[str, Json]) -> None:
    lock = KeyLock(b"open sesame", CHEAP)
    assert key_file(lock)["encryption"] == ENCRYPTION
    with pytest.raises(MalformedError):
        keys.decrypt_private_key(canonical.encode(key_file(lock) | bent), lock)


@pytest.mark.parametrize(("operations", "memory"), [(0, 8192), (17, 8192), (1, 8191), (1, (1 << 30) + 1)])
def test_a_derivation_has_caps(operations: int, memory: int) -> None:
    with pytest.raises(MalformedError, match="argon2id"):
        Derivation(CHEAP.salt, operations, memory)


@pytest.mark.parametrize(("operations", "memory"), [(1, 8192), (16, 1 << 30)])
def test_a_derivation_may_reach_its_caps(operations: int, memory: int) -> None:
    assert Derivation(CHEAP.salt, operations, memory).memory == memory


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_salt_has_16_bytes(length: int) -> None:
    with pytest.raises(MalformedError, match="16 bytes"):
        Derivation(bytes(length))


def test_what_is_parsed_encodes_to_itself() -> None:
    for lock in (None, KeyLock(b"open sesame", CHEAP)):
        data = keys.encrypt_private_key(KEY, lock)
        assert KeyFile.parse(data).encode() == data
        with pytest.raises(MalformedError, match="canonical"):
            KeyFile.parse(data + b"\n")


@given(st.binary(max_size=300))
def test_noise_is_no_key_file(data: bytes) -> None:
    with pytest.raises(MalformedError):
        KeyFile.parse(data)


def test_a_key_file_is_small() -> None:
    with pytest.raises(MalformedError, match="longer than 4096"):
        KeyFile.parse(b" " * 5000)


@contextmanager
def no_more_memory() -> Iterator[None]:
    """This process may grow by half of what the costliest derivation takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + keys.MAX_MEMORY // 2, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_missing_memory_is_said_so() -> None:
    lock = KeyLock(b"open sesame")
    with no_more_memory(), pytest.raises(ConfigError, match="takes 1024 MiB of memory"):
        lock.derive(Derivation(CHEAP.salt, 1, keys.MAX_MEMORY))
