// @ts-check
/**
 * Requests to the room: each with an id of its own, said again with the same id until it is answered (the room acts
 * once on an id).
 *
 * Rules:
 * - Lines and pictures come on topics of this client, beside the answer that they belong to (sent ahead of it; a broker
 *   may let it overtake). So one request that brings such is under way at a time; the others wait for their turn.
 * - A request that was said twice may be answered twice: what comes late of it must not be taken for the next one's.
 * - Nobody waits for ever who does not want to: `signal` takes a request back.
 */
import { json, readLine, isWholeJpeg } from "./shapes.js";

/** How long an answer may take before the request is said again: a backfill of 500 lines takes 0.1 s. */
const REPEAT_MS = 3000;
/** What an answer has overtaken follows within milliseconds; what is lost does not follow. */
const OVERTAKEN_MS = 2000;

/** @typedef {{id: string | null, ok: boolean, message: string, problems: string[], record: string | null, seq: number | null, count?: number, next?: {record: string, seq: number}, frame?: any}} Reply */

export class Requests {
  /** @type {Map<string, {name: string, payload: string, sent: number, answered: (reply: Reply) => void}>} */
  #waiting = new Map();
  /** @type {Map<number, any>} by seq: a repeated request brings its lines twice */
  #lines = new Map();
  /** @type {Uint8Array | null} */
  #picture = null;
  /** @type {Promise<any>} */
  #turn = Promise.resolve();
  #count = 0;
  #repeated = false;
  /** @type {() => void} */
  #arrived = () => undefined;

  /**
   * @param {string} client client id
   * @param {string} user who asks, where the request does not say
   * @param {(name: string, payload: string) => boolean} send false where there is no connection now
   */
  constructor(client, user, send) {
    this.client = client;
    this.user = user;
    this.send = send;
    setInterval(() => this.repeat(), REPEAT_MS);
  }

  /**
   * @param {string} name
   * @param {Record<string, any>} fields
   * @param {AbortSignal} [signal]
   * @returns {Promise<Reply>}
   */
  command(name, fields, signal) {
    this.#count += 1;
    const id = `${this.client}-${this.#count}`;
    const payload = JSON.stringify({ actor: this.user, ...fields, id, client: this.client });
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#waiting.delete(id);
        reject(signal?.reason);
      };
      if (signal?.aborted) return giveUp();
      signal?.addEventListener("abort", giveUp, { once: true });
      const answered = (/** @type {Reply} */ reply) => {
        signal?.removeEventListener("abort", giveUp);
        this.#waiting.delete(id);
        resolve(reply);
      };
      const request = { name, payload, sent: 0, answered };
      this.#waiting.set(id, request);
      this.#say(request);
    });
  }

  /**
   * Lines of a record from `from` to `to` (to its end, as far as it is written), oldest first.
   * @param {string} record
   * @param {number} from
   * @param {number} [to]
   * @param {AbortSignal} [signal]
   * @returns {Promise<any[]>}
   */
  backfill(record, from, to, signal) {
    return this.#inTurn(async () => {
      this.#lines.clear();
      /** @type {{record: string, seq: number} | undefined} */
      let next = { record, seq: from };
      let expected = 0;
      while (next?.record === record && (to === undefined || next.seq <= to)) {
        const fields = { record, from_seq: next.seq, to_seq: to ?? null };
        const reply = await this.command("backfill", fields, signal);
        if (!reply.ok) break;
        expected += reply.count ?? 0;
        await this.#until(() => this.#lines.size >= expected);
        next = reply.next;
      }
      const lines = [...this.#lines.values()].filter((line) => line.record === record && line.seq >= from);
      this.#lines.clear();
      return lines.sort((a, b) => a.seq - b.seq);
    });
  }

  /**
   * The frame that was on at a moment.
   * @param {string} at RFC 3339
   * @param {string} [record] the open one where it is not said
   * @param {AbortSignal} [signal]
   * @returns {Promise<{blob: Blob | null, frame: any, reply: Reply}>}
   */
  frame(at, record, signal) {
    return this.#inTurn(async () => {
      this.#picture = null;
      const reply = await this.command("frame", { at, record: record ?? null }, signal);
      if (reply.ok) await this.#until(() => this.#picture !== null);
      const octets = reply.ok ? this.#picture : null;
      this.#picture = null;
      const whole = octets !== null && isWholeJpeg(octets);
      return { blob: whole ? new Blob([/** @type {any} */ (octets)], { type: "image/jpeg" }) : null, frame: reply.frame ?? null, reply };
    });
  }

  /** Whatever waits is said again. */
  repeat() {
    for (const request of this.#waiting.values()) if (!this.#say(request)) return;
  }

  /**
   * What came on `reply/<client>/…`.
   * @param {string} what the rest of the topic: empty for the answer itself
   * @param {Uint8Array} octets
   * @returns {any} the answer, where it is one to a request that waits
   */
  received(what, octets) {
    if (what === "/backfill") {
      const line = readLine(octets);
      if (line) this.#lines.set(line.seq, line);
      this.#arrived();
    } else if (what === "/image") {
      this.#picture = Uint8Array.from(octets);
      this.#arrived();
    } else if (what === "") {
      const reply = json(octets);
      const waiting = typeof reply?.id === "string" ? this.#waiting.get(reply.id) : undefined;
      waiting?.answered(reply);
      return waiting && reply;
    }
    return undefined;
  }

  /** @param {{name: string, payload: string, sent: number}} request */
  #say(request) {
    if (!this.send(request.name, request.payload)) return false;
    request.sent += 1;
    if (request.sent > 1) this.#repeated = true;
    return true;
  }

  /** Until it is so, or OVERTAKEN_MS have passed. @param {() => boolean} so @returns {Promise<void>} */
  #until(so) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(), OVERTAKEN_MS);
      const done = () => {
        clearTimeout(timer);
        this.#arrived = () => undefined;
        resolve();
      };
      this.#arrived = () => {
        if (so()) done();
      };
      this.#arrived();
    });
  }

  /** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  #inTurn(work) {
    const mine = this.#turn.then(async () => {
      if (this.#repeated) await this.#until(() => false);
      this.#repeated = false;
      return work();
    });
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}
