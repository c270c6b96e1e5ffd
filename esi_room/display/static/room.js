// @ts-check
/**
 * The room, as its MQTT contract tells it (docs/asyncapi.json): what every page stands on.
 *
 * Rules:
 * - It comes back by itself: a lost connection is tried again, with jitter, for as long as the page is open.
 * - What is retained may be anything. What cannot be read is no state: `problem(topic)` says why, and nothing breaks.
 * - `present` is the only licence to show a value as current: we are connected, and the daemon says that it is online.
 * - After a connection is made, what does not come again is gone: an emptied topic says nothing to who was away. The
 *   patient goes at once.
 * - No clock of this machine is read: `performance.now()`, and the room's own times (roomclock.js).
 *
 * Events: `link`, `status`, `state` (detail: topic, payload), `event` (detail: the journal line, each once), `image`,
 * `identity`.
 */
import mqtt from "./vendor/mqtt.js";
import { checkLogin } from "./config.js";
import { Requests } from "./requests.js";
import { RoomClock } from "./roomclock.js";
import { Sequence } from "./sequence.js";
import { isWholeJpeg, read, readLine } from "./shapes.js";

/** A broker that is not there is tried again after this, doubled up to the longest, each with jitter. */
const BACKOFF_MS = { first: 250, longest: 4000 };
/** A cable that is pulled shows after at most half as much again. */
const KEEPALIVE_S = 4;
const CONNECT_TIMEOUT_MS = 5000;
/** What is retained comes within milliseconds of the subscription. */
const REJOIN_MS = 2000;
/** A line that is late by more than two looks is lost: what was only late comes by itself. */
const LOOK_FOR_HOLES_MS = 4000;
/** A quartz clock is off by some 20 ms after this. */
const ASK_TIME_MS = 5 * 60_000;
const PATIENCE_MS = 10_000;
/** Lines asked for again after one loss; who was away for hours shows what is, not what was. */
const MAX_REFILL = 2000;
/** What a message may take on its way to us: the next value is not late by that. */
const SLACK_S = 0.5;
/** What a role that may not read all of it asks for instead, where the broker refuses the whole (NATS). */
const PARTS = /** @type {Record<string, string[]>} */ ({
  "state/#": ["state/device/+"],
  "event/#": ["event/device/#", "event/record/#", "event/clock/#", "event/config/#"],
});
const RETAINED = ["status", "state/#", "image/last", "private/identity"];

/** @typedef {{room: string, timezone: string, mqtt: string, client?: string, user?: string | null}} Config */
/** @typedef {{payload: any, receivedAt: number}} State */

export class Room extends EventTarget {
  /** @type {{state: "connecting" | "connected" | "lost", since: number}} since: performance.now() */
  link = { state: "connecting", since: performance.now() };
  clock = new RoomClock();
  /** What the client's events go by; a new one with each connection. @type {any} */
  #client = null;
  /** @type {Map<string, State>} */
  #states = new Map();
  /** @type {Map<string, string>} */
  #problems = new Map();
  /** Topics that were heard before this connection and not in it. @type {Set<string>} */
  #old = new Set();
  /** @type {{blob: Blob | null, problem: string | null, receivedAt: number} | null} */
  #image = null;
  #sequence = new Sequence();
  #filling = false;
  #ahead = -1;
  #pause = BACKOFF_MS.first;
  #timeAskedAt = -Infinity;

  /** @param {Config} config */
  constructor(config) {
    super();
    this.config = config;
    this.prefix = `esi/${config.room}/`;
    this.id = `${config.client ?? "display"}-${random()}`;
    this.requests = new Requests(this.id, config.user ?? "display", (name, payload) => this.#send(name, payload));
    this.url = new URL(config.mqtt, document.baseURI);
    this.url.protocol = this.url.protocol.replace("http", "ws");
    this.addEventListener("status", () => this.#askTime());
    setInterval(() => {
      this.#lookForHoles();
      this.#askTime();
    }, LOOK_FOR_HOLES_MS);
    this.#connect();
  }

  /** The payload of `status`; null before it came, or where it cannot be read. */
  get status() {
    return this.state("status")?.payload ?? null;
  }

  /** Only then may anything be shown as current. */
  get present() {
    return this.link.state === "connected" && this.status?.status === "online";
  }

  /** The patient; null unless the broker lets us know. */
  get identity() {
    return this.state("private/identity")?.payload ?? null;
  }

  /** The picture on `image/last`; null where there is none. `blob` null: it cannot be read. */
  get image() {
    return this.#image;
  }

  /** @param {string} topic below the room @returns {State | undefined} */
  state(topic) {
    return this.#states.get(topic);
  }

  /** Why a topic cannot be read (`too_large`, `no_json`, `wrong_shape`); null where it can. @param {string} topic */
  problem(topic) {
    return this.#problems.get(topic) ?? null;
  }

  /** The topics that begin so and hold something, readable or not. @param {string} start */
  topics(start) {
    return [...new Set([...this.#states.keys(), ...this.#problems.keys()])].filter((t) => t.startsWith(start)).sort();
  }

  /**
   * Whether a value must not be shown as current: the room says so, its time is over by our clock, or nobody could say.
   * @param {{observed_at: string, stale_after_s: number | null, stale: boolean}} value
   */
  isStale(value) {
    if (value.stale || !this.present) return true;
    const age = this.clock.age(value.observed_at);
    return value.stale_after_s !== null && age !== null && age > value.stale_after_s + SLACK_S;
  }

  /** @param {string} name @param {Record<string, any>} fields @param {AbortSignal} [signal] */
  command(name, fields, signal) {
    return this.requests.command(name, fields, signal);
  }

  /** @param {string} record @param {number} from @param {number} [to] @param {AbortSignal} [signal] */
  backfill(record, from, to, signal) {
    return this.requests.backfill(record, from, to, signal);
  }

  /** @param {string} at RFC 3339 @param {string} [record] @param {AbortSignal} [signal] */
  frame(at, record, signal) {
    return this.requests.frame(at, record, signal);
  }

  // --- the connection -----------------------------------------------------------------------------------------------

  #connect() {
    const client = mqtt.connect(this.url.href, {
      clientId: this.id,
      protocolVersion: 4,
      clean: true,
      keepalive: KEEPALIVE_S,
      reconnectPeriod: 0, // we come back by ourselves: MQTT.js knows no jitter
      connectTimeout: CONNECT_TIMEOUT_MS,
      timerVariant: "native", // its own is a worker made from a blob, which the page's security policy forbids
      queueQoSZero: false,
    });
    this.#client = client;
    client.on("connect", () => this.#joined(client));
    client.on("message", (/** @type {string} */ topic, /** @type {Uint8Array} */ octets) => {
      if (client === this.#client) this.#message(topic, octets);
    });
    client.on("error", () => client.end(true));
    client.on("close", () => this.#left(client));
  }

  /** @param {any} client */
  #joined(client) {
    this.#old = new Set([...this.#states.keys(), ...this.#problems.keys(), ...(this.#image ? ["image/last"] : [])]);
    this.#gone("private/identity");
    this.#timeAskedAt = -Infinity;
    // One by one: a topic that the broker keeps from us is no reason to lose the others.
    for (const topic of [`reply/${this.id}/#`, "event/#", ...RETAINED]) {
      client.subscribe(this.prefix + topic, { qos: 1 }, (/** @type {unknown} */ refused) => {
        for (const part of refused ? (PARTS[topic] ?? []) : []) {
          client.subscribe(this.prefix + part, { qos: 1 }, () => undefined);
        }
      });
    }
    this.#pause = BACKOFF_MS.first;
    this.#setLink("connected");
    this.requests.repeat();
    setTimeout(() => {
      if (client === this.#client && this.link.state === "connected") this.#old.forEach((topic) => this.#gone(topic));
    }, REJOIN_MS);
  }

  /** @param {any} client */
  #left(client) {
    if (client !== this.#client) return;
    this.#client = null;
    client.removeAllListeners();
    client.on("error", () => undefined);
    client.end(true);
    if (this.link.state !== "lost") this.#setLink("lost");
    checkLogin();
    setTimeout(() => this.#connect(), this.#pause * (0.5 + Math.random()));
    this.#pause = Math.min(2 * this.#pause, BACKOFF_MS.longest);
  }

  /** @param {"connected" | "lost"} state */
  #setLink(state) {
    this.link = { state, since: performance.now() };
    this.#say("link", this.link);
  }

  /** @param {string} name @param {string} payload */
  #send(name, payload) {
    if (this.link.state !== "connected") return false;
    this.#client.publish(`${this.prefix}command/${name}`, payload, { qos: 1, retain: false }, () => undefined);
    return true;
  }

  // --- what arrives -------------------------------------------------------------------------------------------------

  /** @param {string} full @param {Uint8Array} octets */
  #message(full, octets) {
    const topic = full.slice(this.prefix.length);
    if (topic.startsWith("event/")) this.#event(octets);
    else if (topic.startsWith(`reply/${this.id}`)) {
      const reply = this.requests.received(topic.slice(6 + this.id.length), octets);
      if (reply) this.clock.told(reply.answered_at, performance.now());
    }
    else if (topic === "image/last") this.#picture(octets);
    else this.#retained(topic, octets);
  }

  /** @param {string} topic @param {Uint8Array} octets */
  #retained(topic, octets) {
    if (octets.length === 0) return this.#gone(topic);
    const { payload, problem } = read(topic, octets);
    const receivedAt = performance.now();
    this.#old.delete(topic);
    this.#states.delete(topic);
    this.#problems.delete(topic);
    if (problem !== null) this.#problems.set(topic, problem);
    else this.#states.set(topic, { payload, receivedAt });
    if (payload?.published_at) this.clock.heard(payload.published_at, receivedAt);
    this.#tell(topic, problem === null ? payload : null);
    if (topic === "state/procedure" && problem === null) this.#askTime();
  }

  /** Once a connection, and now and then: clocks drift. Who may not ask reads no `state/procedure`. */
  #askTime() {
    const asOf = this.state("state/procedure")?.payload.as_of;
    if (!asOf || !this.present || performance.now() - this.#timeAskedAt < ASK_TIME_MS) return;
    this.#timeAskedAt = performance.now();
    const { record, seq } = asOf;
    this.backfill(record, Math.max(0, seq), Math.max(0, seq), AbortSignal.timeout(PATIENCE_MS)).catch(() => undefined);
  }

  /** @param {string} topic */
  #gone(topic) {
    this.#old.delete(topic);
    if (topic === "image/last") {
      this.#image = null;
      this.#say("image", null);
      return;
    }
    const had = [this.#states.delete(topic), this.#problems.delete(topic)];
    if (had.includes(true)) this.#tell(topic, null);
  }

  /** @param {string} topic @param {any} payload */
  #tell(topic, payload) {
    const name = { status: "status", "private/identity": "identity" }[topic] ?? "state";
    this.#say(name, { topic, payload });
  }

  /** @param {Uint8Array} octets */
  #picture(octets) {
    this.#old.delete("image/last");
    if (octets.length === 0) return this.#gone("image/last");
    const whole = isWholeJpeg(octets);
    const blob = whole ? new Blob([/** @type {any} */ (octets)], { type: "image/jpeg" }) : null;
    this.#image = { blob, problem: whole ? null : "no_jpeg", receivedAt: performance.now() };
    this.#say("image", this.#image);
  }

  /** @param {Uint8Array} octets */
  #event(octets) {
    const line = readLine(octets);
    if (line === undefined) return; // its seq is missing now, and asked for
    if (line.type === "clock.step") this.clock.forget();
    this.clock.heard(line.received, performance.now(), true);
    this.#line(line);
  }

  /** @param {any} line */
  #line(line) {
    if (this.#sequence.take(line.record, line.seq)) this.#say("event", line);
  }

  /** Ask for what is missing. */
  async #lookForHoles() {
    if (this.#filling || !this.present) return;
    const sequence = this.#sequence;
    const reached = Math.max(-1, ...[...this.#states.values()].map(({ payload }) =>
      payload.as_of?.record === sequence.record ? payload.as_of.seq : -1));
    if (this.#ahead > sequence.last) sequence.reach(this.#ahead);
    this.#ahead = reached;
    const hole = sequence.holes.at(-1);
    if (hole === undefined || sequence.record === null) return;
    this.#filling = true;
    const from = Math.max(hole.from, hole.to - MAX_REFILL);
    const lines = await this.backfill(sequence.record, from, hole.to);
    lines.forEach((line) => this.#line(line));
    sequence.giveUp(hole);
    this.#filling = false;
  }

  /** @param {string} name @param {any} detail */
  #say(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** Eight letters of a client id: no other page has them. */
function random() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (octet) => (octet % 36).toString(36)).join("");
}
