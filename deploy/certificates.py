"""An authority of the plant's own and the broker's certificate by it, for plants without a PKI.

Promises: an authority that is there is never replaced, for every gateway trusts it; a private key
is readable by its owner only and never printed; nothing is made unasked.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.errors import Misconfigured
from deploy import datadir

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

AUTHORITY_DAYS: Final = 7_300  # gateways are visited seldom
SERVER_DAYS: Final = 825  # what clients commonly take at most
MOST_NAMES: Final = 100
CA, CA_KEY, SERVER, SERVER_KEY = "ca.pem", "ca.key", "server.pem", "server.key"
_BEFORE: Final = timedelta(days=1)  # a gateway's clock may be behind
_HOST: Final = re.compile(r"^(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*$")


@dataclass(frozen=True, slots=True)
class Issued:
    """What was made: a new authority or the one at hand, and until when the server's is good."""

    new_authority: bool
    until: datetime


def issue(folder: Path, names: Sequence[str], now: datetime) -> Issued:
    """Write `server.pem` and `server.key` for a broker of these names, the authority where missing.

    Raises Misconfigured for names that are none, and for half an authority.
    """
    alternatives = _alternatives(names)
    try:
        datadir.make_private(folder)
        there = [(folder / name).exists() for name in (CA, CA_KEY)]
        if any(there) and not all(there):
            raise Misconfigured(
                f"{folder}: only one of {CA} and {CA_KEY} is there: bring back the other one from"
                " where it is kept, or give an empty --to"
            )
        authority, signer = _read(folder) if all(there) else _found(folder, now)
        if authority.not_valid_after_utc <= now:
            raise Misconfigured(f"{folder / CA}: has ended: make a new authority in another folder")
        until = min(now + timedelta(days=SERVER_DAYS), authority.not_valid_after_utc)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _begun(names[0], key, now, until)
            .issuer_name(authority.subject)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_issuer_id(authority), critical=False)
            .sign(signer, hashes.SHA256())
        )
        _keep(folder / SERVER_KEY, _private(key), 0o600)
        _keep(folder / SERVER, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    except OSError as error:
        raise Misconfigured(
            f"{error.filename or folder}: {error.strerror}: give another --to"
        ) from error
    return Issued(not all(there), until)


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    if not 0 < len(names) <= MOST_NAMES:
        raise Misconfigured(f"give 1 to {MOST_NAMES} names of the broker, each with --name")
    found: list[x509.GeneralName] = []
    for name in names:
        with contextlib.suppress(ValueError):
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
            continue
        if not _HOST.match(name):
            raise Misconfigured(f"{name!r} is no name of a machine: write broker.example or its IP")
        found.append(x509.DNSName(name))
    return found


def _found(folder: Path, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = "Danhao plant authority"
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _begun(subject, key, now, now + timedelta(days=AUTHORITY_DAYS))
        .issuer_name(_name(subject))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    _keep(folder / CA_KEY, _private(key), 0o600)
    _keep(folder / CA, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return certificate, key


def _read(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        authority = x509.load_pem_x509_certificate((folder / CA).read_bytes())
        key = serialization.load_pem_private_key((folder / CA_KEY).read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise Misconfigured(f"{folder}: {CA} or {CA_KEY} is no PEM file of ours") from error
    if (
        not isinstance(key, ec.EllipticCurvePrivateKey)
        or key.public_key() != authority.public_key()
    ):
        raise Misconfigured(f"{folder / CA_KEY}: is not the key of {CA}")
    return authority, key


def _begun(
    name: str, key: ec.EllipticCurvePrivateKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _issuer_id(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _keep(path: Path, content: bytes, mode: int) -> None:
    datadir.write_private(path, content)
    path.chmod(mode)
