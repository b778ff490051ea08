"""What the polls that the front answers leave behind: contacts and counts, written many at a time.

A process that is killed loses those of the last moment, half a second's.
"""

from collections import Counter, deque
from datetime import UTC, datetime

from otaserver import metrics
from otaserver.fleet.operations.contacts import record_contacts


class Polls:
    """Takes notes without a lock: to append to a deque is one step."""

    def __init__(self) -> None:
        self._contacts: deque[tuple[int, float]] = deque()
        self._counted: deque[tuple[str, str, str]] = deque()

    def note_contact(self, vehicle: int, at: float) -> None:
        self._contacts.append((vehicle, at))

    def count(self, labels: tuple[str, str, str]) -> None:
        self._counted.append(labels)

    def write(self) -> None:
        """Write what was noted until now. What cannot be written stays for the next time."""
        counted = Counter(self._counted.popleft() for _ in range(len(self._counted)))
        for labels, number in counted.items():
            metrics.vehicle_requests.labels(*labels).inc(number)
        # The newest of each vehicle: while nothing can be written no more wait than there are vehicles.
        noted = dict(self._contacts.popleft() for _ in range(len(self._contacts)))
        if not noted:
            return
        held = set[int]()
        try:
            # One time for all: the earliest, so that none is later than it was.
            held = record_contacts(noted.keys(), at=datetime.fromtimestamp(min(noted.values()), UTC))
        except BaseException:
            held = set(noted)
            raise
        finally:
            self._contacts.extendleft((vehicle, noted[vehicle]) for vehicle in held)
