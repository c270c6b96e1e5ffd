// @ts-check
/** An answer may take so long to us: being that much behind another message, it says nothing new. */
const ON_ITS_WAY_MS = 300;

/**
 * What time it is in the room, without looking at this machine's clock, which may be an hour off.
 *
 * Every message says by the room's clock when it was made: when it arrives it is at least that late there. The latest
 * of these, carried on by our monotonic clock, is a time that is over in the room, for a message may have been retained
 * for long. What an answer to us says is the time itself: only with that the clock is `sure`. A room that has nothing to
 * say for hours would be hours behind otherwise.
 */
export class RoomClock {
  /** Room's milliseconds at our monotonic 0; null before anything was heard. @type {number | null} */
  #offset = null;
  #forgotten = false;
  /** Whether this is the time, and not only one that is over. */
  sure = false;

  /**
   * @param {string} time by the room's clock, RFC 3339
   * @param {number} receivedAt performance.now()
   * @param {boolean} [live] an event, which comes as it is written
   */
  heard(time, receivedAt, live = false) {
    const offset = Date.parse(time) - receivedAt;
    if (!Number.isFinite(offset)) return;
    if (this.#offset === null || this.#forgotten || offset > this.#offset) this.#offset = offset;
    this.#forgotten = false;
    this.sure ||= live;
  }

  /** As heard in answer to us. @param {unknown} time @param {number} receivedAt */
  told(time, receivedAt) {
    const offset = typeof time === "string" ? Date.parse(time) - receivedAt : NaN;
    if (!Number.isFinite(offset)) return;
    const ahead = this.#offset === null ? Infinity : this.#offset - offset;
    if (this.#forgotten || !this.sure || ahead < 0 || ahead > ON_ITS_WAY_MS) this.#offset = offset;
    this.#forgotten = false;
    this.sure = true;
  }

  /** The room's clock was set: what is heard next counts, even if it is earlier. */
  forget() {
    this.#forgotten = true;
  }

  /**
   * The room's time at a moment of our monotonic clock, in ms since 1970; null before anything was heard.
   * @param {number} [monotonic]
   */
  at(monotonic = performance.now()) {
    return this.#offset === null ? null : this.#offset + monotonic;
  }

  /**
   * How long ago a time of the room was, in seconds; never below 0, null where that cannot be known.
   * @param {string | number | null | undefined} time
   */
  age(time) {
    const now = this.at();
    const then = typeof time === "number" ? time : Date.parse(time ?? "");
    return now === null || !Number.isFinite(then) ? null : Math.max(0, (now - then) / 1000);
  }
}
