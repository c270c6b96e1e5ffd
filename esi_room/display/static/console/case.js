// @ts-check
/**
 * The case under way, as the room tells it: its state, and every line of its record that the staff have to do with.
 *
 * Rules:
 * - The open record is what `state/procedure` says. When another is opened, nothing of the last one is kept.
 * - Lines come as events; those from before, and those that were missed, are asked for (`command/backfill`).
 * - Nothing gets here but what the room has written: the list of what is recorded shows nothing else.
 */
import { counted, isKept, said } from "./said.js";

/** @typedef {import("../room.js").Room} Room */
/** @typedef {import("./said.js").Line} Line */

/** Changes within so long are shown together: nobody sees the difference. */
const TOGETHER_MS = 40;
/** What the console shows of `state/`; vitals come by the second and are none of its business. */
const SHOWN = new Set(["state/procedure", "state/alerts", "state/carm"]);

/** `change`: the state, the lines or the link are not what they were. */
export class Case extends EventTarget {
  /** @type {string | null} */
  record = null;
  loading = false;
  /** @type {Map<number, Line>} */
  #lines = new Map();
  #last = -1;
  /** @type {import("./said.js").Said[] | null} */
  #said = null;
  #told = false;

  /** @param {Room} room */
  constructor(room) {
    super();
    this.room = room;
    for (const name of ["status", "identity"]) room.addEventListener(name, () => this.#look());
    room.addEventListener("state", (event) => {
      if (SHOWN.has(/** @type {CustomEvent} */ (event).detail.topic)) this.#look();
    });
    room.addEventListener("link", () => {
      this.#tell();
      if (room.link.state === "connected") this.#read();
    });
    room.addEventListener("event", (event) => this.#take(/** @type {CustomEvent} */ (event).detail));
  }

  /** What `state/procedure` says; null where it is not known. @returns {any} */
  get state() {
    return this.room.state("state/procedure")?.payload ?? null;
  }

  /** Whether a procedure is. */
  get underWay() {
    return this.state?.kind === "procedure";
  }

  /** @returns {string | null} */
  get phase() {
    return this.underWay ? this.state.phase : null;
  }

  /** The patient of this case; null where the broker does not let us know, or still tells of the one before. */
  get identity() {
    const { identity } = this.room;
    return identity && (identity.record ?? this.record) === this.record ? identity : null;
  }

  /** @returns {import("./said.js").Said[]} oldest first */
  get said() {
    this.#said ??= said(this.#lines.values());
    return this.#said;
  }

  /** How often each form was said. */
  get times() {
    return counted(this.said);
  }

  /** @param {string} type @returns {Line[]} the lines of this type, oldest first */
  lines(type) {
    return [...this.#lines.values()].filter((line) => line.type === type).sort((a, b) => a.seq - b.seq);
  }

  /** @param {number} seq @returns {Line | undefined} */
  line(seq) {
    return this.#lines.get(seq);
  }

  /** Alerts that are not cleared, those that nobody has seen first, then the newest first. @returns {any[]} */
  get alerts() {
    const alerts = [...(this.room.state("state/alerts")?.payload?.alerts ?? [])].reverse();
    return alerts.sort((a, b) => Number(Boolean(a.acknowledged_at)) - Number(Boolean(b.acknowledged_at)));
  }

  #look() {
    const record = this.state?.as_of.record ?? this.record;
    if (record !== this.record) {
      this.record = record;
      this.#lines.clear();
      this.#said = null;
      this.#last = -1;
      this.#read();
    }
    this.#tell();
  }

  /** Everything of the open record from where we stand on. */
  async #read() {
    const record = this.record;
    if (record === null) return;
    this.loading = true;
    const lines = await this.room.backfill(record, this.#last + 1);
    if (record !== this.record) return;
    this.loading = false;
    lines.forEach((line) => this.#take(line));
    this.#tell();
  }

  /** @param {Line} line */
  #take(line) {
    if (line.record !== this.record) return;
    if (line.seq === this.#last + 1) this.#last = line.seq;
    if (!isKept(line.type) || this.#lines.has(line.seq)) return;
    this.#lines.set(line.seq, line);
    this.#said = null;
    this.#tell();
  }

  /** Once for whatever changes at one time, however much that is. */
  #tell() {
    if (this.#told) return;
    this.#told = true;
    setTimeout(() => {
      this.#told = false;
      this.dispatchEvent(new Event("change"));
    }, TOGETHER_MS);
  }
}
