"""What the author of a display must know beside the shapes: the description in the AsyncAPI document (CommonMark).

The limits in it are those of the code.
"""

from __future__ import annotations

from esi_room.outputs.commands import BACKFILL_BYTES, BACKFILL_LINES, MAX_PAYLOAD_BYTES
from esi_room.outputs.feed import MIN_INTERVAL_S
from esi_room.outputs.outbox import SAVE_S

GUIDE = f"""\
What a room publishes over MQTT (3.1.1 or 5, QoS 1 throughout) and what may be asked of it. The room writes one record,
line by line, and publishes it: `event/` is the record as it grows, `state/` is what it amounts to now.

## Joining

Connect with a client id of your own out of `[A-Za-z0-9_-]` and a clean session, and subscribe at QoS 1 to
`esi/<room>/status`, `esi/<room>/state/#`, `esi/<room>/event/#` and, for the picture, `esi/<room>/image/last`.
`status`, `state/` and `image/last` are retained: each arrives at once, in any order, and each is whole, so that a
display is right after one message of a topic and needs no history. Show `state/`; use `event/` for logs, curves and
anything that must see every reading. Do not build the present out of events: `state/` has done that.

An empty retained payload means that there is nothing: no picture, no patient, no such device.

`as_of` of a snapshot names the last entry that it includes. A snapshot and the events in it travel separately: either
may come first, and after an outage of the broker the snapshots come first and the events follow, in order. A topic of
`state/` changes at most every {MIN_INTERVAL_S:g} s; its last change is always published.

The room always has exactly one open record: `standby` between cases, `procedure` during one. When the next is
opened, `state/procedure` to `state/alerts` begin empty and `image/last` is cleared: nothing of one patient is left for
the next.

Ignore fields, event types and topics that you do not know: more may join them. Those that are there stay.

## What is old

A value that can age carries `observed_at`, `stale_after_s` and `stale`. A display needs no clock: when a value goes
stale, because its time is over or its device is no longer heard, the room publishes the snapshot again with `stale`
true. The value stays, marked. Show it as old or not at all. `null` is what the device marked as no value; a value that
no device gave is not there.

While `status` says `offline`, everything retained is what was known then, whatever its `stale` says: a room that is
killed cannot mark anything, only the broker speaks, by the will. The same holds while you are not connected yourself.

What time it is in the room: what is retained may have been published long ago, and events may be late. Every answer
to a request says `answered_at` by the room's clock: ask for one line of the record when you have joined, and now and
then.

## Holes

`record` and `seq` are an event's identity; `seq` counts 0, 1, 2, … in each record without a gap. Events of a record
arrive in the order of `seq`. After `record.sealed` comes the next record's `record.opened` with `seq` 0 and the name of
the one before it in `previous`. So a jump in `seq` is a loss on the way to you: a broker drops what it cannot queue for
a slow subscriber, and events are not retained, so none came while you were away. The room lost nothing. Ask for it:
publish to `esi/<room>/command/backfill`, not retained,

```json
{{"id": "display-7-0001", "actor": "display", "client": "display-7",
 "record": "20260314T091500Z-4be1", "from_seq": 118, "to_seq": 240}}
```

with your own client id in `client`, after subscribing to `esi/<room>/reply/<client>/#`. The lines come on
`reply/<client>/backfill`, the same octets as on `event/`, and on `reply/<client>` the answer with their `count`. At
most {BACKFILL_LINES} lines or about {BACKFILL_BYTES >> 20} MiB come at once: while the answer has `next`, ask on from
there under a new `id`. Without `to_seq` this leads through the following records to the end of what is written: a
display that joins late reads a whole case from `from_seq` 0 of the record that `status` names.

A loss at the very end shows as an `as_of` ahead of your last event. What was only late arrives by itself, so wait some
seconds before you ask.

## Duplicates

QoS 1 may deliver a message twice. After a lost connection the room sends again what was not acknowledged, and after
a kill also what it sent in the last {SAVE_S:g} s: `seq` then goes back and comes up again. Drop an event whose `record`
and `seq` you have. Two lines with the same `record` and `seq` are the same octets.

## Checking

The payload of an event is the line on the room's disk, octet for octet, newline included. Its SHA-256 is `prev` of the
next line; `prev` of `seq` 0 is that of the last line of the record before. Whoever keeps the payloads can prove that
nothing was changed or left out, with `sha256sum` alone.

## Asking

A request is a JSON object of at most {MAX_PAYLOAD_BYTES >> 10} KiB with `id`, `actor` (the person) and `client` (your
client id), published without retain. It is always answered on `reply/<client>`, and what was wrong is said in words.
The same `id` again is the same request: it acts once and gets the same answer, so repeat it until it is answered.

What the staff say of a procedure is a form each: `command/<form>` has the fields of the entry `clinical.<form>`, typed,
with units, ranges and choices in its JSON Schema (`x-unit` is UCUM), so that a console can be made from the schemas
alone. `at` says when it happened, where that is not now; `record` which record is meant, so that what was meant for one
patient cannot fall into the next one's record. What contradicts itself or what was said before is refused in words;
what is unwise or missing is not: it is an alert (`state/alerts`), or stands in `procedure.completeness`. An entry is
never changed: `command/correction` names its `seq` and what is right. A sealed record takes `command/amend`.

Only `private/identity`, behind the broker's access rules, holds a name, a birth date or a hospital number.
"""
