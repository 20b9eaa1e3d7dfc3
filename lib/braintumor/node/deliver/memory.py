"""What a destination's thread remembers between two tries: whom to leave alone until when."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from braintumor.node.settings import Deliver
from braintumor.node.states import DeliveryRecord

Key = tuple[int, str]
_LARGEST_EXPONENT = 32  # 2.0**1024 is no float


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """How a destination does.

    Attributes
    ----------
    fault
        Why the last try failed; '' if it did not.
    down
        Whether it is left alone because it does not take anything.
    """

    last_success: datetime | None = None
    last_failure: datetime | None = None
    fault: str = ""
    down: bool = False


@dataclass(slots=True)
class Tries:
    """Tries of one delivery in this process.

    Attributes
    ----------
    failures
        How often it failed, or was not confirmed, in a row.
    missing
        How often its destination was asked and did not have it, since it was sent.
    sent
        The destination took it, whether or not the database knows it yet.
    again
        The destination lost it: it is sent once more.
    unconfirmed
        All there is to wait for is the destination's word.
    first_failure, not_before
        Monotonic seconds.
    """

    failures: int = 0
    missing: int = 0
    sent: bool = False
    again: bool = False
    unconfirmed: bool = False
    first_failure: float | None = None
    not_before: float = 0.0


@dataclass(slots=True)
class RetryState:
    """One destination and its deliveries.

    Attributes
    ----------
    failures
        How often in a row the destination took nothing at all.
    not_before
        Until when it is left alone, monotonic seconds.
    """

    options: Deliver
    tries: dict[Key, Tries] = field(default_factory=dict)
    failures: int = 0
    not_before: float = 0.0

    def of(self, delivery: DeliveryRecord) -> Tries:
        """What is remembered of a delivery."""
        return self.tries.setdefault(key_of(delivery), Tries())

    def held_back(self, now: float) -> int:
        """How many deliveries wait for their next try."""
        return sum(tries.not_before > now for tries in self.tries.values())

    def keep(self, due: Iterable[DeliveryRecord]) -> None:
        """Forget all deliveries but these."""
        known = {key_of(delivery) for delivery in due}
        self.tries = {key: tries for key, tries in self.tries.items() if key in known}

    def ready(self, due: Sequence[DeliveryRecord], now: float) -> list[DeliveryRecord]:
        """What may be tried now, those that failed least first: one that always fails holds up nothing."""
        found = [delivery for delivery in due if self._tries(delivery).not_before <= now]
        return sorted(found, key=lambda delivery: self._tries(delivery).failures)

    def wait_s(self, due: Iterable[DeliveryRecord], now: float, longest: float) -> float:
        """Seconds until something may be tried, at most `longest`."""
        soonest = min((self._tries(delivery).not_before for delivery in due), default=now + longest)
        return max(0.0, min(longest, max(soonest, self.not_before) - now))

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row: doubled each time, and at random a little less."""
        full = self.options.first_wait_s * 2.0 ** min(failures - 1, _LARGEST_EXPONENT)
        return min(full, self.options.longest_wait_s) * random.uniform(0.75, 1.0)  # noqa: S311  # not a secret

    def close(self, now: float) -> float:
        """The destination takes nothing: leave it alone for a while, the longer the oftener this happened; seconds."""
        self.failures += 1
        wait = self.pause(self.failures)
        self.not_before = now + wait
        return wait

    def open(self) -> None:
        """It took something."""
        self.failures, self.not_before = 0, 0.0

    def look_again(self) -> None:
        """An answer may have come for what waits for nothing else."""
        for tries in self.tries.values():
            if tries.unconfirmed:
                tries.not_before = 0.0

    def forget(self, delivery: DeliveryRecord) -> None:
        """It is done, one way or the other."""
        self.tries.pop(key_of(delivery), None)

    def _tries(self, delivery: DeliveryRecord) -> Tries:
        return self.tries.get(key_of(delivery), Tries())


def key_of(delivery: DeliveryRecord) -> Key:
    """A delivery and the results it is of: a repeated run begins anew."""
    return delivery.id, delivery.results
