"""A command that uses the record says so to the room's trail, and to the user only where that cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from esi_room.audit import trail
from esi_room.errors import EsiRoomError
from esi_room.events.audit import Action, EventCode


class Using:
    """`what` is being done; the command may put in what came of it."""

    def __init__(self, what: str) -> None:
        self.what = what


@contextmanager
def used(at: Path, event: EventCode, action: Action, what: str) -> Iterator[Using]:
    """The record, or the data directory, `at` is used within; how that ended is recorded with it."""
    using, outcome = Using(what), trail.FAILED
    try:
        yield using
        outcome = trail.DONE
    except SystemExit as end:  # a command that found something wrong did what it was to do
        outcome = trail.DONE if end.code in (0, 1) else trail.FAILED
        raise
    except (KeyboardInterrupt, click.Abort):
        outcome, using.what = trail.CUT_SHORT, f"{using.what}; it was interrupted"
        raise
    except click.UsageError:
        using.what = ""  # nothing was used
        raise
    except EsiRoomError as error:
        using.what += f"; it failed: {str(error).splitlines()[0]}"
        raise
    finally:
        if using.what:
            say(trail.note(at, event, action, using.what, outcome=outcome))


def say(problem: str | None) -> None:
    """Why a use is not recorded."""
    if problem is not None:
        click.echo(problem, err=True)
