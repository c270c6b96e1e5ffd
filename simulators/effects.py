"""What happens to the patient during a case, as courses over time: nothing in a body is a step.

Rules:
- A course rises, stays and fades along smooth curves; its size is `strength`, how long it stays `duration_s`.
- `level` is a pure function of the time: the same script gives the same patient.
- The numbers are plausible, not clinical data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RECOVERY_S = 60.0  # how long `recover` takes to end whatever is going on


@dataclass(frozen=True)
class Course:
    """One thing that happens, and what it adds at its full level to each quantity of the patient."""

    rise_s: float
    hold_s: float
    fall_s: float
    adds: Mapping[str, float]
    delay_s: float = 0.0


# Every action, as the courses it starts. `breathing` and `perfusion` are factors' losses: -1 is none left.
COURSES: Mapping[str, tuple[Course, ...]] = {
    "sedation": (
        Course(120, 900, 900, {"heart_rate": -7, "systolic": -14, "diastolic": -8, "resp_rate": -4}),
        Course(180, 900, 900, {"spo2": -1.8, "etco2": 5}),
    ),
    "pain": (
        Course(4, 10, 45, {"heart_rate": 14, "systolic": 18, "diastolic": 9, "resp_rate": 4, "perfusion": -0.25}),
    ),
    "vasovagal": (
        Course(
            25,
            60,
            180,
            {"heart_rate": -30, "systolic": -46, "diastolic": -24, "perfusion": -0.6, "resp_rate": 2},
        ),
    ),
    "desaturation": (Course(40, 45, 60, {"spo2": -10, "heart_rate": 7}),),
    "apnea": (
        Course(4, 30, 6, {"breathing": -1}),
        Course(45, 30, 40, {"spo2": -8, "heart_rate": 6}, delay_s=20),
        Course(8, 20, 60, {"etco2": 9}, delay_s=26),
    ),
    "anxiety": (Course(30, 120, 180, {"heart_rate": 15, "systolic": 17, "diastolic": 8, "resp_rate": 5}),),
}
PAIN_STRENGTHS: Mapping[str, float] = {"needle": 0.8, "pressure": 1.0, "paraesthesia": 1.5}


@dataclass
class Effect:
    """A course that began at `at_s`. `recovers_at_s`: when somebody put an end to it."""

    course: Course
    at_s: float
    strength: float
    duration_s: float
    recovers_at_s: float | None = None

    def level(self, t_s: float) -> float:
        """How much of the course is felt at that scenario second: 0 to `strength`."""
        since_s = t_s - self.at_s - self.course.delay_s
        rise = smooth(since_s / self.course.rise_s)
        fall = 1 - smooth((since_s - self.course.rise_s - self.duration_s) / self.course.fall_s)
        ended = 0.0 if self.recovers_at_s is None else smooth((t_s - self.recovers_at_s) / RECOVERY_S)
        return self.strength * rise * fall * (1 - ended)


def effects_of(action: str, at_s: float, *, strength: float, duration_s: float | None) -> list[Effect]:
    """The courses that `action` starts at that scenario second."""
    return [
        Effect(course, at_s, strength, course.hold_s if duration_s is None else duration_s)
        for course in COURSES[action]
    ]


def smooth(fraction: float) -> float:
    """From 0 to 1 with no corner at either end."""
    fraction = min(1.0, max(0.0, fraction))
    return fraction * fraction * (3 - 2 * fraction)
