"""How many images a second are answered, where the camera sends more than anybody needs."""

from __future__ import annotations

#: An image is due so much of a period before its time: where the camera's rate is a multiple of the limit, images that
#: arrive a little early or late would otherwise be let through or not by chance.
_SLACK = 0.15


class RateLimit:
    """Lets through so many images a second of each camera, and of cameras that are fused those of the same moments.

    By time of arrival, so that clocks that jump or stand still do no harm; images of one moment are known by their
    stamps.

    Args:
        together_ns: Stamps of a moment differ by at most so much.
    """

    def __init__(self, together_ns: int = 0) -> None:
        self._together_ns = together_ns
        self._due_s: dict[str, float] = {}  # camera -> when its next image is let through
        self._moment_ns = 0
        self._moment_due_s = 0.0  # when the next moment begins
        self._in_moment: set[str] = set()

    def accepts(self, camera: str, stamp_ns: int, now_s: float, max_fps: float) -> bool:
        """Whether an image that has just arrived is let through.

        Args:
            camera: Whose image it is.
            stamp_ns: Its stamp, ns.
            now_s: When it arrived, on a clock that only goes forward, s.
            max_fps: Images a second; 0: all.
        """
        if max_fps == 0:
            return True
        period_s = 1 / max_fps
        due_s = self._due_s.get(camera)
        is_near = abs(stamp_ns - self._moment_ns) <= self._together_ns and camera not in self._in_moment
        if self._in_moment and is_near and (due_s is None or now_s >= due_s - period_s / 2):
            self._in_moment.add(camera)
            self._due_s[camera] = self._moment_due_s
            return True
        if due_s is not None and now_s < due_s:
            return False
        if due_s is None or now_s >= due_s + period_s:  # at the beginning and after a pause
            due_s = now_s - _SLACK * period_s
        # From when it was due, not from now: 30 images/s would otherwise become 7.5 instead of 10.
        self._moment_ns, self._in_moment, self._moment_due_s = stamp_ns, {camera}, due_s + period_s
        self._due_s[camera] = self._moment_due_s
        return True
