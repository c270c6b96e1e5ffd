// @ts-check
/**
 * What time it is in the room, without looking at this machine's clock, which may be an hour off.
 *
 * Every message says by the room's clock when it was made: when it arrives it is at least that late there. The latest
 * of these, carried on by our monotonic clock, is the time in the room. A message that was retained for long, or held
 * up on its way, says less than the others and changes nothing.
 *
 * A step of the room's clock backward would leave us ahead: `forget` is called where the room says that it stepped, and
 * at each new connection.
 */
export class RoomClock {
  /** Room's milliseconds at our monotonic 0; null before anything was heard. @type {number | null} */
  #offset = null;
  #forgotten = false;

  /** @param {string} time by the room's clock, RFC 3339 @param {number} receivedAt performance.now() */
  heard(time, receivedAt) {
    const offset = Date.parse(time) - receivedAt;
    if (!Number.isFinite(offset)) return;
    if (this.#offset === null || this.#forgotten || offset > this.#offset) this.#offset = offset;
    this.#forgotten = false;
  }

  /** What is heard next counts, even if it is earlier. */
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
