import hashlib


def rank(campaign: str, vehicle_id: str) -> int:
    """Return a vehicle's place in a campaign: as good as random, the same again whoever computes it, 63 bits."""
    # A NUL stands in neither name, so that no two pairs give the same bytes.
    digest = hashlib.sha256(f"{campaign}\0{vehicle_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
