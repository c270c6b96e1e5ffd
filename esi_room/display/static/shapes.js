// @ts-check
/**
 * What a page relies on of each snapshot, checked before anything is shown: whatever is retained on a topic, a page
 * stands.
 *
 * Rules:
 * - Checked is what the pages use, no more: fields and topics may join, those that are named here stay (the contract).
 * - What does not fit is not guessed at. The topic is unreadable, and the page says so where its values would be.
 * - Lists are bounded, so that a snapshot that fits can also be drawn.
 */

/** Of a snapshot, in bytes. The largest real one, `state/dose` with 200 runs, has some 60 KB. */
export const MAX_STATE_BYTES = 512 * 1024;
/** Of any list in a snapshot: 200 runs are the longest real one. */
const MAX_LIST = 500;
/** Of any text, in characters: the reason of an alert may have some hundred. */
const MAX_TEXT = 4000;

/** @typedef {(value: any) => boolean} Check */

/** @type {Check} */
const text = (value) => typeof value === "string" && value.length <= MAX_TEXT;
/** @type {Check} */
const number = (value) => typeof value === "number" && Number.isFinite(value);
/** @type {Check} */
const count = (value) => Number.isSafeInteger(value) && value >= 0;
/** @type {Check} */
const flag = (value) => typeof value === "boolean";
/** @type {Check} */
const time = (value) => text(value) && Number.isFinite(Date.parse(value));
/** @type {(check: Check) => Check} A field that may be null, or not there at all. */
const maybe = (check) => (value) => value === null || value === undefined || check(value);
/** @type {(check: Check) => Check} */
const list = (check) => (value) => Array.isArray(value) && value.length <= MAX_LIST && value.every(check);
/** @type {(...words: string[]) => Check} */
const word = (...words) => (value) => words.includes(value);
/** @type {(fields: Record<string, Check>) => Check} */
const shape = (fields) => (value) =>
  isObject(value) && Object.entries(fields).every(([name, check]) => check(value[name]));
/** @type {(check: Check) => Check} */
const table = (check) => (value) =>
  isObject(value) && Object.keys(value).length <= MAX_LIST && Object.values(value).every(check);
/** @type {(value: any) => boolean} */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** Ids sort by time: one that is none would be the newest record for ever. @type {Check} */
const recordId = (value) => typeof value === "string" && /^\d{8}T\d{6}Z-[0-9a-f]{4}$/.test(value);

const asOf = shape({ record: text, seq: (value) => Number.isSafeInteger(value) && value >= -1 });
const aged = { observed_at: time, stale_after_s: maybe(number), stale: flag };
const alarm = shape({ code: text, text, since: time, priority: maybe(text) });
/** @type {(fields: Record<string, Check>) => Check} */
const snapshot = (fields) => shape({ as_of: asOf, published_at: time, ...fields });

const completeness = shape({
  record: text, outcome: maybe(text), ended_at: maybe(time), complete: flag,
  lacks: list(shape({ item: text, text })), deviations: list(text),
  syringes: list(shape({ syringe: text, text: maybe(text) })),
});

/** Each topic below the room that a page shows; one that ends in `/` goes on with a device's id. */
/** @type {Record<string, Check>} */
const CHECKS = {
  status: shape({ status: word("online", "offline"), software: text, since: maybe(time), record: maybe(text), problem: maybe(text) }),
  "private/identity": shape({ name: text, id: maybe(text), birth_date: maybe(text) }),
  "state/procedure": snapshot({
    kind: maybe(word("standby", "procedure")), opened_at: maybe(time), procedure: maybe(text), started_at: maybe(time),
    phase: maybe(text), phases: list(shape({ phase: text, since: time, origin: text })),
    outcome: maybe(text), ended_at: maybe(time), completeness: maybe(completeness),
    plan: maybe(shape({ approach: maybe(text), side: maybe(text), levels: maybe(list(text)) })),
    deliveries: list(shape({ number: count, drugs: list(text), delivered_ml: maybe(number), ended_at: time })),
  }),
  "state/vitals": snapshot({
    values: list(shape({ ...aged, source: text, name: text, value: maybe(number), unit: text, status: text, flags: list(text) })),
    conditions: list(shape({ ...aged, source: text, conditions: list(text) })),
    limits: maybe(list(shape({ source: text, name: text, low: maybe(number), high: maybe(number) }))),
  }),
  "state/pump": snapshot({
    pumps: list(shape({
      ...aged, source: text, state: maybe(text), rate_ml_h: maybe(number), delivered_ml: maybe(number),
      target_ml: maybe(number), pressure_mmhg: maybe(number), drug: maybe(text), detail: maybe(text), alarms: list(alarm),
    })),
  }),
  "state/carm": snapshot({
    image: maybe(shape({
      ...aged, seq: count, sha256: text, modality: maybe(text), frames: maybe(count), rows: maybe(count),
      primary_angle_deg: maybe(number), secondary_angle_deg: maybe(number), kvp: maybe(number),
      tube_current_ma: maybe(number),
    })),
    objects: count, shown_sha256: maybe(text), preview_problem: maybe(text),
  }),
  "state/dose": snapshot({
    total: maybe(shape({
      ...aged, fluoro_time_s: maybe(number), dap_gy_m2: maybe(number), air_kerma_rp_gy: maybe(number),
      provenance: table(text),
    })),
    levels: maybe(table(number)), exceeded: table(text), images: count, frames: count,
  }),
  "state/alerts": snapshot({
    alerts: list(shape({
      alert: text, rule: text, severity: text, text, raised_at: time, acknowledged_at: maybe(time), actor: maybe(text),
      reason: maybe(text), overridden: flag, source: maybe(text),
    })),
  }),
  "state/checkpoint": snapshot({ time, key: text }),
  "state/device/": snapshot({
    device: text, state: maybe(text), since: maybe(time), reason: maybe(text), driver: maybe(text),
    identity: maybe(text), alarms: list(alarm), gaps: count,
  }),
};

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * The JSON in `octets`; undefined where there is none.
 * @param {Uint8Array} octets
 * @returns {any}
 */
export function json(octets) {
  try {
    return JSON.parse(decoder.decode(octets));
  } catch {
    return undefined;
  }
}

/**
 * What a retained topic says, or why it is unreadable.
 * @param {string} topic below the room
 * @param {Uint8Array} octets
 * @returns {{payload: any, problem: string | null}}
 */
export function read(topic, octets) {
  if (octets.length > MAX_STATE_BYTES) return { payload: undefined, problem: "too_large" };
  const payload = json(octets);
  if (payload === undefined) return { payload, problem: "no_json" };
  const check = CHECKS[topic] ?? (topic.startsWith("state/device/") ? CHECKS["state/device/"] : isObject);
  return check(payload) ? { payload, problem: null } : { payload: undefined, problem: "wrong_shape" };
}

/**
 * A journal line; undefined where it is none.
 * @param {Uint8Array} octets
 * @returns {any}
 */
export function readLine(octets) {
  const line = octets.length > MAX_STATE_BYTES ? undefined : json(octets);
  const fits = shape({ record: recordId, seq: count, type: text, time, received: time, source: text, data: isObject });
  return fits(line) ? line : undefined;
}

/**
 * A JPEG from its first marker to its last: half of one must not be shown as the image.
 * @param {Uint8Array} octets
 */
export function isWholeJpeg(octets) {
  const end = octets.length;
  return end > 4 && octets[0] === 0xff && octets[1] === 0xd8 && octets[end - 2] === 0xff && octets[end - 1] === 0xd9;
}
