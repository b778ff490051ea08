"""What a vehicle sends when it enrols: well-formed by default, with the parts that a test is about."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from otaserver.fleet import operations
from otaserver.fleet.operations import EcuDeclaration, EnrolmentRequest
from tests.factories import NOON

ADDRESS = "192.0.2.1"


def make_key():
    public = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    return {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}}


def make_ecu(serial="PRIMARY1", hardware_id="gateway", *, is_primary=None, key=None):
    return EcuDeclaration(
        serial, hardware_id, serial.startswith("P") if is_primary is None else is_primary, key or make_key()
    )


def make_csr(key=None, *, common_name="whoever", algorithm="sha256"):
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    request = (
        x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256() if algorithm else None)
    )
    return request.public_bytes(Encoding.PEM).decode()


def make_request(code, vehicle_id="VIN1", *ecus, csr=None):
    return EnrolmentRequest(vehicle_id, code, ecus or (make_ecu(f"P-{vehicle_id}"),), csr)


def enrol(tenant, vehicle_id="VIN1", *ecus, csr=None, at=NOON):
    """Enrol a vehicle with a claim code of its own."""
    code = operations.create_claim_code(tenant, vehicle_id, at=at)
    return operations.enrol(tenant, make_request(code, vehicle_id, *ecus, csr=csr), address=ADDRESS, at=at)
