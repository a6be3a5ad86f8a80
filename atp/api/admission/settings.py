"""Settings of admission: what a process takes on at once, and what it refuses with."""

from msgspec import Struct


class AdmissionSettings(Struct, frozen=True):
    """Slots are requests under way at once. Shares and ceilings are parts of the limit, by class (P0…P3).

    ``slots_max`` lets a closed loop of 256 callers in whole, whatever its class up to P2, and keeps the answer's time
    of those admitted below twice theirs when there are ten times as many (R25).
    """

    slots_max: int = 384
    slots_min: int = 16
    shares: tuple[float, ...] = (0.40, 0.40, 0.15, 0.05)  # kept for the class whatever the others do
    ceilings: tuple[float, ...] = (1.00, 0.90, 0.75, 0.60)  # the class never has more
    idle_max: int = 6_144  # long polls and streams; they hold connections and no slots
    answer_target_ms: float = 300.0  # 9 of 10 answers within it, else there are fewer slots
    wait_target_s: float = 0.005  # a line that stands lets nobody wait longer, or a quarter of an answer …
    wait_calm_s: float = 0.1  # … and stands once it was not empty for so long; before that, this is the longest wait
    wait_max_s: float = 2.0  # no request waits longer for an answer, be it a refusal
    refusals_share: float = 0.1  # refusals a second, of the answers a second: they may not displace the work
    refusals_min: float = 100.0  # so many in any case
    comeback_share: float = 0.02  # of the answers, what Retry-After makes of them while an overload lasts
    descend_s: float = 10.0  # one step of the ladder down, at most, in this time
    memory_max_bytes: int = 0  # of this process; 0 is what the machine or the container has
