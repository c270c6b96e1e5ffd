"""What the people in the room tell the recorder: commands over MQTT, each repeated until it is answered.

    esi/<room>/command/<name>   {"id", "actor", "client", ...}                              QoS 1
    esi/<room>/reply/<client>   {"id", "ok", "record", "seq", "message", "problems"}         subscribed first

Rules:
- A command keeps its id however often it is sent: the room acts on it once.
- No broker, no daemon, a broker that restarts: keep trying. Only an answer ends a command, whatever it says.
- A text that is `today`, `today+14` or `today-40`, alone or before a `T…`, goes out as that day's date (UTC), so that a
  scenario is as old as the day on which it is played.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import aiomqtt

from simulators.carm.case import Identity
from simulators.clock import ScenarioClock
from simulators.truth import TruthLog

Phase = Literal["evaluation", "preparation", "guidance", "injection", "recovery", "follow_up"]
Outcome = Literal["completed", "discontinued"]

ANSWER_LIMIT_S = 3.0  # then the same command is sent again
RECONNECT_S = 0.5
CONNECT_LIMIT_S = 5.0
MQTT_PORT = 1883
RESERVED = frozenset({"id", "client"})  # of every command; the console gives them

_DAY = re.compile(r"today(?P<days>[+-]\d{1,4})?(?P<time>T.*)?")


class Staff:
    """One console at `url` (mqtt://[user:password@]host[:port]). `actor` speaks unless a step names another."""

    def __init__(
        self,
        url: str,
        room: str,
        clock: ScenarioClock,
        truth: TruthLog,
        *,
        actor: str,
        identity: Identity,
        procedure: str,
        answer_limit_s: float = ANSWER_LIMIT_S,
    ) -> None:
        self._url = urlsplit(url)
        if self._url.scheme != "mqtt" or not self._url.hostname:
            raise ValueError(f"{url!r}: mqtt://host:port")
        self._root = f"esi/{room}"
        self._client_id = f"staff-{secrets.token_hex(4)}"
        self._clock, self._truth = clock, truth
        self._actor, self._identity, self._procedure = actor, identity, procedure
        self._answer_limit_s = answer_limit_s
        self._asked: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._client: aiomqtt.Client | None = None
        self._online = asyncio.Event()

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        reason = ""
        while True:
            try:
                await self._converse()
            except aiomqtt.MqttError as error:
                if str(error) != reason:  # an outage is one line, not one a second
                    reason = str(error)
                    self._note("offline", reason=reason)
            finally:
                self._client = None
                self._online.clear()
            await asyncio.sleep(RECONNECT_S)

    async def do(self, action: str, /, **params: Any) -> dict[str, Any]:
        """Give a command and wait for its answer, which is returned: one of ACTIONS, or any that the room knows."""
        method = self.ACTIONS.get(action)
        if method is None:
            return await self.say(action, **params)
        return await method(self, **params)

    async def say(self, command: str, /, *, actor: str | None = None, **fields: Any) -> dict[str, Any]:
        """A command of the room by its name, its fields as they are."""
        return await self._command(command, actor, **fields)

    async def start(
        self,
        *,
        procedure: str | None = None,
        order: str | None = None,
        plan: dict[str, Any] | None = None,
        actor: str | None = None,
    ) -> dict[str, Any]:
        """Open the procedure's record for the scenario's patient, or for whom the order is."""
        if order is not None:
            return await self._command("start", actor, procedure=procedure, order=order, plan=plan)
        procedure = procedure or self._procedure
        return await self._command("start", actor, procedure=procedure, identity=_person(self._identity), plan=plan)

    async def place_order(
        self,
        order: str,
        *,
        procedure: str | None = None,
        accession: str | None = None,
        requested_procedure_id: str | None = None,
        study_uid: str | None = None,
        modality: str | None = None,
        station_ae_title: str | None = None,
        physician: str | None = None,
        scheduled_at: str | None = None,
        plan: dict[str, Any] | None = None,
        name: str | None = None,
        patient_id: str | None = None,
        birth_date: str | None = None,
        actor: str | None = None,
    ) -> dict[str, Any]:
        """Put a line into the worklist that the C-arm is offered: for the scenario's patient, or for `name`.

        `order`: its id, the Scheduled Procedure Step ID. `birth_date`: YYYY-MM-DD; `scheduled_at`: YYYY-MM-DDTHH:MM.
        `plan`: approach, side and levels in the room's words.
        """
        somebody_else = {"name": name, "id": patient_id, "birth_date": birth_date}
        placed = {
            "id": order,
            "identity": _given(somebody_else) if name else _person(self._identity),
            "sex": None if name else self._identity.sex or None,
            "accession": accession,
            "study_uid": study_uid,
            "requested_procedure_id": requested_procedure_id,
            "procedure": procedure or self._procedure,
            "modality": modality,
            "station_ae_title": station_ae_title,
            "physician": physician,
            "scheduled_at": scheduled_at,
            "plan": plan,
        }
        return await self._command("order", actor, order=_given(placed))

    async def withdraw_order(self, order: str, *, actor: str | None = None) -> dict[str, Any]:
        """Take the line out of the worklist."""
        return await self._command("withdraw_order", actor, order=order)

    async def phase(self, phase: Phase, *, reason: str | None = None, actor: str | None = None) -> dict[str, Any]:
        """Go on to the next phase, or back to one."""
        return await self._command("phase", actor, phase=phase, reason=reason)

    async def remark(self, text: str, *, actor: str | None = None) -> dict[str, Any]:
        """A note for the record."""
        return await self._command("note", actor, text=text)

    async def end(
        self, *, outcome: Outcome = "completed", reason: str | None = None, actor: str | None = None
    ) -> dict[str, Any]:
        """End the procedure."""
        return await self._command("end", actor, outcome=outcome, reason=reason)

    async def _converse(self) -> None:
        async with aiomqtt.Client(
            self._url.hostname or "",
            self._url.port or MQTT_PORT,
            username=self._url.username,
            password=self._url.password,
            identifier=self._client_id,
            timeout=CONNECT_LIMIT_S,
        ) as client:
            await client.subscribe(f"{self._root}/reply/{self._client_id}", qos=1)
            self._client = client
            self._online.set()
            self._note("online")
            async for message in client.messages:
                self._answered(message.payload)

    def _answered(self, payload: Any) -> None:
        try:
            answer = json.loads(payload)
            future = self._asked.get(answer["id"])
        except (ValueError, TypeError, KeyError):
            self._note("unreadable_reply", payload=repr(payload)[:200])
            return
        if future is not None and not future.done():
            future.set_result(answer)

    async def _command(self, name: str, actor: str | None, /, **fields: Any) -> dict[str, Any]:
        command_id = f"{self._client_id}-{secrets.token_hex(4)}"
        said = dated(_given(fields), datetime.fromtimestamp(time.time(), UTC).date())
        request = {"id": command_id, "actor": actor or self._actor, "client": self._client_id, **said}
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[command_id] = answer
        attempts = 0
        try:
            while not answer.done():
                await self._online.wait()
                attempts += await self._publish(f"{self._root}/command/{name}", request)
                await asyncio.wait([answer], timeout=self._answer_limit_s)
        finally:
            del self._asked[command_id]
        reply = answer.result()
        self._note("answered", command=name, id=command_id, attempts=attempts, **_outcome(reply))
        return reply

    async def _publish(self, topic: str, request: Mapping[str, Any]) -> int:
        """1 if it was handed over, 0 if the connection is gone."""
        if self._client is None:
            return 0
        try:
            payload = json.dumps(request, ensure_ascii=False)
            await self._client.publish(topic, payload, qos=1, timeout=self._answer_limit_s)
        except aiomqtt.MqttError:
            await asyncio.sleep(RECONNECT_S)  # the connection's own task finds out and connects again
            return 0
        self._note("commanded", topic=topic, id=request["id"])
        return 1

    def _note(self, what: str, **fields: Any) -> None:
        self._truth.note("staff", what, t_s=self._clock.now_s(), **fields)

    ACTIONS: ClassVar[Mapping[str, Callable[..., Awaitable[dict[str, Any]]]]] = {
        "order": place_order,
        "withdraw_order": withdraw_order,
        "start": start,
        "phase": phase,
        "note": remark,
        "end": end,
    }


def dated(value: Any, today: date) -> Any:
    """`value` with every `today…` in it as a date."""
    if isinstance(value, dict):
        return {key: dated(each, today) for key, each in value.items()}
    if isinstance(value, list):
        return [dated(each, today) for each in value]
    match = _DAY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    return (today + timedelta(days=int(match["days"] or 0))).isoformat() + (match["time"] or "")


def _person(identity: Identity) -> dict[str, Any]:
    """As commands have it: `birth_date` YYYY-MM-DD."""
    born = identity.birth_date
    date = f"{born[:4]}-{born[4:6]}-{born[6:]}" if born else None
    return _given({"name": identity.name, "id": identity.patient_id, "birth_date": date})


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _outcome(reply: Mapping[str, Any]) -> dict[str, Any]:
    return {key: reply.get(key) for key in ("ok", "record", "seq", "message", "problems")}
