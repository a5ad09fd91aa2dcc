"""Ed25519 keys, who can sign, and private keys as encrypted bytes.

A public key is checked to be an honest point when it is made, so no later code has to wonder. A private key
never appears in a repr, an error or a pickle; that is care, not a wall against code in the same process.
"""

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NoReturn, Protocol, Self

from nacl import bindings
from nacl.exceptions import BadSignatureError, CryptoError
from nacl.exceptions import RuntimeError as SodiumError
from nacl.utils import random

from trustrag.errors import ConfigError, MalformedError, SignatureError
from trustrag.provenance import canonical
from trustrag.provenance.canonical import Fields, Json, bytes_from_base64, bytes_from_hex

KEY_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64
KEY_FILE_FORMAT: Final = "urn:trustrag:private-key/v1"
MAX_KEY_FILE_BYTES: Final = 4096
# Reading a file must not cost what its writer pleases.
MAX_OPERATIONS: Final = 16
MAX_MEMORY: Final = 1 << 30
MIN_MEMORY: Final = 8192
SALT_SIZE: Final = bindings.crypto_pwhash_SALTBYTES
_NONCE_SIZE: Final = bindings.crypto_secretbox_NONCEBYTES


@dataclass(frozen=True, slots=True, order=True)
class PublicKey:
    """An Ed25519 public key: 32 raw bytes that are known to be a point of the main subgroup.

    Raises MalformedError for anything else: small-order, mixed-order and non-canonical points would let one
    signature hold for many messages, or for one verifier and not for another.
    """

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_SIZE:
            raise MalformedError(f"an Ed25519 public key has {KEY_SIZE} bytes, not {len(self.raw)}")
        if not bindings.crypto_core_ed25519_is_valid_point(self.raw):
            raise MalformedError(f"{self.raw.hex()} is no point that an honest Ed25519 key can be")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads the raw key in lowercase hex, as JSON files hold it."""
        return cls(bytes_from_hex(text, KEY_SIZE))

    @property
    def hex(self) -> str:
        """The raw key in lowercase hex: what `parse` reads."""
        return self.raw.hex()

    @property
    def key_id(self) -> str:
        """Hex SHA-256 of the raw key: a short name to find a key by. What counts is always the raw key."""
        return sha256(self.raw).hexdigest()

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raises SignatureError unless this key signed exactly this message (RFC 8032)."""
        if len(signature) != SIGNATURE_SIZE:
            raise SignatureError(f"a signature has {SIGNATURE_SIZE} bytes, not {len(signature)}")
        try:
            bindings.crypto_sign_open(signature + message, self.raw)
        except BadSignatureError:
            raise SignatureError(f"the signature does not hold under key {self.key_id[:16]}") from None

    def __repr__(self) -> str:
        return f"PublicKey({self.hex})"


class Signer(Protocol):
    """Whatever can sign: a private key in memory, one that is unlocked on first use, or a device."""

    @property
    def public_key(self) -> PublicKey:
        """The key that what `sign` returns verifies under. Asking costs nothing and unlocks nothing."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature of the message. May ask for a passphrase, and raise ConfigError."""
        ...


class _Secret:
    """Base of what holds a secret: it goes into no pickle, and so into no cache and no other process."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not for copying or pickling")


class PrivateKey(_Secret):
    """An Ed25519 private key. It is a `Signer`."""

    __slots__ = ("_expanded", "_public_key")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != KEY_SIZE:
            raise MalformedError(f"an Ed25519 seed has {KEY_SIZE} bytes, not {len(seed)}")
        raw, self._expanded = bindings.crypto_sign_seed_keypair(seed)
        self._public_key = PublicKey(raw)

    @classmethod
    def generate(cls) -> Self:
        """A new key from the system's randomness."""
        return cls(random(KEY_SIZE))

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key of these 32 bytes, always the same: for vectors and tests. Raises MalformedError."""
        return cls(seed)

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of the message (RFC 8032: the same message, the same signature)."""
        return bindings.crypto_sign(message, self._expanded)[:SIGNATURE_SIZE]

    def __repr__(self) -> str:
        return f"PrivateKey(key_id={self._public_key.key_id})"


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a passphrase becomes a key: argon2id with these parameters (RFC 9106; memory in bytes, one lane).

    Raises MalformedError beyond the caps. The defaults are the second choice of RFC 9106: 3 passes, 64 MiB.
    """

    salt: bytes
    operations: int = 3
    memory: int = 64 << 20

    def __post_init__(self) -> None:
        if len(self.salt) != SALT_SIZE:
            raise MalformedError(f"a salt has {SALT_SIZE} bytes, not {len(self.salt)}")
        if not 1 <= self.operations <= MAX_OPERATIONS or not MIN_MEMORY <= self.memory <= MAX_MEMORY:
            raise MalformedError(f"argon2id with {self.operations} passes, {self.memory} bytes is refused")


class KeyLock(_Secret):
    """A passphrase that opens and closes key files.

    What was derived is remembered, and files written through one lock share its derivation: a keyring of ten
    files costs one argon2id. To add a file to a keyring, give the derivation of a file that is in it.
    """

    __slots__ = ("_derived", "_passphrase", "derivation")

    def __init__(self, passphrase: bytes, derivation: Derivation | None = None) -> None:
        if not passphrase:
            raise ConfigError("the passphrase is empty: give one, or make the keys without a passphrase")
        self._passphrase = passphrase
        self._derived: dict[Derivation, bytes] = {}
        self.derivation = derivation or Derivation(random(SALT_SIZE))

    def derive(self, derivation: Derivation) -> bytes:
        """The 32-byte key for these parameters; raises ConfigError where the memory for them is missing."""
        if derivation not in self._derived:
            try:
                self._derived[derivation] = bindings.crypto_pwhash_alg(
                    bindings.crypto_secretbox_KEYBYTES,
                    self._passphrase,
                    derivation.salt,
                    derivation.operations,
                    derivation.memory,
                    bindings.crypto_pwhash_ALG_ARGON2ID13,
                )
            except SodiumError:
                need = derivation.memory >> 20
                raise ConfigError(f"unlocking this key takes {need} MiB of memory: free some") from None
        return self._derived[derivation]

    def __repr__(self) -> str:
        return "KeyLock()"


@dataclass(frozen=True, slots=True, repr=False)
class KeyFile(_Secret):
    """A private key as a file holds it: canonical JSON, the seed in a secretbox unless `derivation` is None.

    `public_key` is readable without the passphrase, and compared with the seed's when the file is opened.
    """

    public_key: PublicKey
    derivation: Derivation | None
    _seed: bytes  # nonce || XSalsa20-Poly1305 box where there is a derivation, else the seed itself

    def __post_init__(self) -> None:
        size = KEY_SIZE + (_NONCE_SIZE + bindings.crypto_secretbox_MACBYTES if self.derivation else 0)
        if len(self._seed) != size:
            raise MalformedError(f"the seed is stored in {size} bytes, not {len(self._seed)}")

    @classmethod
    def close(cls, key: PrivateKey, lock: KeyLock | None) -> Self:
        """The file of this key under this lock; with None the seed is in the clear: the file is the key."""
        seed = bindings.crypto_sign_ed25519_sk_to_seed(key._expanded)
        if lock is None:
            return cls(key.public_key, None, seed)
        nonce = random(_NONCE_SIZE)
        box = bindings.crypto_secretbox(seed, nonce, lock.derive(lock.derivation))
        return cls(key.public_key, lock.derivation, nonce + box)

    def open(self, lock: KeyLock | None) -> PrivateKey:
        """The private key. Raises ConfigError without the right passphrase, MalformedError on another key."""
        key = PrivateKey(self._unboxed(lock))
        if key.public_key != self.public_key:
            raise MalformedError(f"the key file of {self.public_key.key_id[:16]} holds another key")
        return key

    def encode(self) -> bytes:
        """The bytes of the file."""
        encryption: dict[str, Json] | None = None
        if self.derivation:
            salt = b64encode(self.derivation.salt).decode()
            cost = {"memory": self.derivation.memory, "operations": self.derivation.operations}
            encryption = {"kdf": "argon2id", "salt": salt, **cost}
        seed = b64encode(self._seed).decode()
        public_key = self.public_key.hex
        return canonical.encode(
            {"format": KEY_FILE_FORMAT, "publicKey": public_key, "encryption": encryption, "seed": seed}
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads a key file without opening it; raises MalformedError."""
        fields = Fields(canonical.parse_canonical(data, max_bytes=MAX_KEY_FILE_BYTES), "key file")
        fields.literal("format", KEY_FILE_FORMAT)
        public_key = PublicKey.parse(fields.text("publicKey"))
        encryption = fields.nullable("encryption", fields.fields)
        seed = bytes_from_base64(fields.text("seed"))
        fields.close()
        return cls(public_key, _read_derivation(encryption) if encryption else None, seed)

    def _unboxed(self, lock: KeyLock | None) -> bytes:
        if self.derivation is None:
            return self._seed
        name = self.public_key.key_id[:16]
        if lock is None:
            raise ConfigError(f"key {name} is encrypted: give its passphrase")
        nonce, box = self._seed[:_NONCE_SIZE], self._seed[_NONCE_SIZE:]
        try:
            return bindings.crypto_secretbox_open(box, nonce, lock.derive(self.derivation))
        except CryptoError:
            raise ConfigError(f"wrong passphrase for key {name}: give the one it was made with") from None

    def __repr__(self) -> str:
        return f"KeyFile(key_id={self.public_key.key_id}, encrypted={self.derivation is not None})"


def encrypt_private_key(key: PrivateKey, lock: KeyLock | None) -> bytes:
    """The bytes of the key's file under this lock; with None they are the key in the clear."""
    return KeyFile.close(key, lock).encode()


def decrypt_private_key(data: bytes, lock: KeyLock | None) -> PrivateKey:
    """The key in these bytes. Raises MalformedError, or ConfigError without the right passphrase."""
    return KeyFile.parse(data).open(lock)


def _read_derivation(fields: Fields) -> Derivation:
    fields.literal("kdf", "argon2id")
    operations = fields.integer("operations", minimum=1, maximum=MAX_OPERATIONS)
    memory = fields.integer("memory", minimum=MIN_MEMORY, maximum=MAX_MEMORY)
    salt = bytes_from_base64(fields.text("salt"))
    fields.close()
    return Derivation(salt, operations, memory)
