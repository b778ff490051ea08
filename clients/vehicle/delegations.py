"""Where in the Image repository a target is signed, within bounds (Uptane 5.4.4.7)."""

from collections.abc import Mapping
from dataclasses import dataclass

from tuf.api.metadata import DelegatedRole, TargetFile, Targets

from clients.vehicle.errors import Reason, VerificationError

MAX_DEPTH = 4


@dataclass(frozen=True)
class Found:
    """A target, with the delegations that lead to it."""

    target: TargetFile
    chain: tuple[DelegatedRole, ...]

    def allows(self, hardware_id: str) -> bool:
        """Whether no delegation on the way is restricted to other hardware."""
        restrictions = [role.unrecognized_fields.get("hardwareIds") for role in self.chain]
        return all(hardware_id in allowed for allowed in restrictions if allowed is not None)


def find_target(roles: Mapping[str, Targets], name: str) -> Found | None:
    """Find `name` in preorder through the verified `roles`, as python-tuf does, and refuse what it passes over.

    Raises:
        VerificationError: the graph has a cycle, is too deep, or needs more roles than were allowed to be loaded.
    """
    walk = _Walk(roles, name)
    return walk.visit("targets", ())


class _Walk:
    def __init__(self, roles: Mapping[str, Targets], name: str) -> None:
        self._roles = roles
        self._name = name
        self._is_ended = False

    def visit(self, role: str, chain: tuple[DelegatedRole, ...]) -> Found | None:
        targets = self._roles.get(role)
        if targets is None:
            raise VerificationError(Reason.DELEGATION, f"more roles lead to {self._name} than may be visited.")
        if self._name in targets.targets:
            return Found(targets.targets[self._name], chain)
        for child in self._children(targets):
            _check_way(child, chain)
            found = self.visit(child.name, (*chain, child))
            if found is not None or self._is_ended:
                return found
            if child.terminating:
                self._is_ended = True
                return None
        return None

    def _children(self, targets: Targets) -> list[DelegatedRole]:
        delegations = targets.delegations
        if delegations is None or delegations.roles is None:
            return []
        return [role for role in delegations.roles.values() if role.is_delegated_path(self._name)]


def _check_way(child: DelegatedRole, chain: tuple[DelegatedRole, ...]) -> None:
    if child.name in {role.name for role in chain}:
        raise VerificationError(Reason.DELEGATION, f"{child.name} is delegated to in a circle.")
    if len(chain) >= MAX_DEPTH:
        raise VerificationError(Reason.DELEGATION, f"delegations go deeper than {MAX_DEPTH} levels.")
