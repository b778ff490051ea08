"""The one way in which a row changes state."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from otaserver.errors import ConflictError


class InvalidTransitionError(ConflictError):
    code = "state.invalid_transition"


class StaleStateError(ConflictError):
    code = "state.stale"


class StatefulModel(models.Model):
    """A row whose `state` follows the table of transitions of its class."""

    TRANSITIONS: ClassVar[Mapping[str, frozenset[str]]]
    state: Any

    class Meta:
        abstract = True

    def move_to(self, state: str, **changes: Any) -> None:
        """Move to `state`, writing `changes` in the same UPDATE.

        Raises:
            InvalidTransitionError: no transition leads from here to `state`.
            StaleStateError: the row has moved since it was read.
        """
        noun = self._meta.model_name
        if state not in self.TRANSITIONS[self.state]:
            raise InvalidTransitionError(
                f"{noun} {self} cannot go from {self.state} to {state}.", state=str(self.state), wanted=str(state)
            )
        changes["state"] = state
        # Compare-and-set: of two concurrent callers, exactly one updates a row.
        rows: models.QuerySet[Any] = type(self)._default_manager.filter(Q(pk=self.pk) & Q(("state", self.state)))
        if not rows.update(**changes):
            raise StaleStateError(f"{noun} {self} is no longer {self.state}.", state=str(self.state))
        for field, value in changes.items():
            setattr(self, field, value)
