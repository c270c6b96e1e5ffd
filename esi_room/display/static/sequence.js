// @ts-check
/**
 * Which lines of the open record came, and which are missing: `record` and `seq` are an event's identity.
 *
 * Rules:
 * - A line is taken once; twice is what QoS 1 may do, and what the room does after a kill.
 * - Who joins late misses nothing here: what came before is asked for by whoever needs it.
 * - Only the record that is open now is followed. A hole at its very end shows as a snapshot's `as_of` ahead of us.
 */

/** Holes remembered; a link that loses more is asked for the last of them. */
const MAX_HOLES = 50;

export class Sequence {
  /** @type {string | null} */
  record = null;
  last = -1;
  /** Missing lines, each from and to inclusive. @type {{from: number, to: number}[]} */
  holes = [];

  /**
   * Whether this line is new; where it leaves lines out, they are in `holes`.
   * @param {string} record
   * @param {number} seq
   */
  take(record, seq) {
    if (this.record === null || record > this.record) {
      const joined = this.record === null;
      this.record = record;
      this.last = seq;
      this.holes = joined || seq === 0 ? [] : [{ from: 0, to: seq - 1 }];
      return true;
    }
    if (record < this.record) return false;
    if (seq > this.last) {
      this.reach(seq - 1);
      this.last = seq;
      return true;
    }
    return this.#fill(seq);
  }

  /** Everything up to `seq` is written: what did not come is missing. @param {number} seq */
  reach(seq) {
    if (seq <= this.last) return;
    this.holes.push({ from: this.last + 1, to: seq });
    this.holes = this.holes.slice(-MAX_HOLES);
    this.last = seq;
  }

  /** What was asked for and did not come then never will. @param {{from: number, to: number}} asked */
  giveUp(asked) {
    this.holes = this.holes.filter(({ from, to }) => to < asked.from || from > asked.to);
  }

  /** @param {number} seq */
  #fill(seq) {
    const index = this.holes.findIndex(({ from, to }) => from <= seq && seq <= to);
    if (index < 0) return false;
    const { from, to } = this.holes[index];
    const rest = [{ from, to: seq - 1 }, { from: seq + 1, to }].filter((hole) => hole.from <= hole.to);
    this.holes.splice(index, 1, ...rest);
    return true;
  }
}
