"""A small CA and one server certificate, in pure Python; what is still good is kept."""

from __future__ import annotations

import datetime
import ipaddress
import socket
from pathlib import Path
from typing import Any

RENEW = datetime.timedelta(days=30)
CA_DAYS = 3650


def certificates(
    folder: Path, ca_path: Path, host: str, address: str, days: int, *, served: Path | None = None
) -> dict[Path, tuple[bytes, int]]:
    """The four files of a server, each with its mode: as they are, or new where they must be.

    `folder` holds the CA's key, `served` what the server itself reads.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    ca_key_path = folder / "ca.key"
    served = served or folder / "served"
    cert_path, key_path = served / "server.crt", served / "server.key"

    ca, ca_key = _certificate(ca_path), _key(ca_key_path)
    if ca is None or ca_key is None or ca.public_key() != ca_key.public_key():
        ca_key = ec.generate_private_key(ec.SECP256R1())
        name = f"virtlab CA of {socket.gethostname()}"[:64]
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        own_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
        ca = (
            _builder(name, None, ca_key, CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(own_id, critical=False)
            .add_extension(usage, critical=True)
            .sign(ca_key, hashes.SHA256())
        )

    cert, key = _certificate(cert_path), _key(key_path)
    names = x509.SubjectAlternativeName([x509.DNSName(host), x509.IPAddress(ipaddress.ip_address(address))])
    if cert is None or key is None or not _fits(cert, key, ca, names):
        key = ec.generate_private_key(ec.SECP256R1())
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
        cert = (
            _builder(host, ca.subject, key, days)
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(issuer_id, critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(ca_key, hashes.SHA256())
        )

    def pem(private: Any) -> bytes:
        kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return private.private_bytes(serialization.Encoding.PEM, kind, plain)

    return {
        ca_key_path: (pem(ca_key), 0o600),
        ca_path: (ca.public_bytes(serialization.Encoding.PEM), 0o644),
        key_path: (pem(key), 0o600),
        cert_path: (cert.public_bytes(serialization.Encoding.PEM), 0o644),
    }


def _certificate(path: Path) -> Any:
    from cryptography import x509

    try:
        cert = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None
    return cert if cert.not_valid_after_utc - datetime.datetime.now(datetime.UTC) > RENEW else None


def _key(path: Path) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError):
        return None


def _builder(name: str, issuer: Any, key: Any, days: int) -> Any:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks of guests are not always right
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _fits(cert: Any, key: Any, ca: Any, names: Any) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        cert.verify_directly_issued_by(ca)
        there = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return bool(there == names and cert.public_key() == key.public_key())
