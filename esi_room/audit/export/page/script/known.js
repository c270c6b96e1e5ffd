// @ts-check
/**
 * What was known at a moment of the case: from the data of the page alone (`moments.py` says what it holds).
 *
 * Rules:
 * - Pure: no clock, no document. A moment is milliseconds from the record's first entry.
 * - Nothing between two values: what counts is the last that was said, with its own time.
 * - A value is current until its life is over, and no longer than its device was heard. After that it says why it is not:
 *   `old`, `lost` or `gap`; a value that the device itself held bad says `invalid`, `off` or `unsupported`.
 */

/**
 * @typedef {{t: number, value: any, status: string, why: string | null}} Seen  `why`: it is not current
 * @typedef {{name: string, label: string, unit: string, life: number, main?: boolean, values: any[],
 *   status?: [number, string][]}} Column
 * @typedef {{source: string, times: number[], columns: Column[]}} Block
 */

/** Where in `times`, which rise, the last one stands that is not after `t`; -1: there is none.
 * @param {ArrayLike<number>} times @param {number} t */
export function lastBy(times, t) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= t) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** From differences to moments. @param {number[]} steps */
function summed(steps) {
  const times = new Float64Array(steps.length);
  let at = 0;
  for (let n = 0; n < steps.length; n += 1) times[n] = at += steps[n];
  return times;
}

/** The values that one device says under one name. */
class Series {
  /** @param {string} source @param {Column} column */
  constructor(source, column) {
    this.source = source;
    this.name = column.name;
    this.label = column.label;
    this.unit = column.unit;
    this.main = column.main === true;
    /** @type {{times: Float64Array, column: Column, changes: number[]}[]} */
    this.parts = [];
  }

  /** The last one by `t`, however old. @param {number} t */
  last(t) {
    let found = null;
    for (const { times, column, changes } of this.parts) {
      const n = lastBy(times, t);
      if (n < 0 || (found !== null && times[n] < found.t)) continue;
      const change = lastBy(changes, n);
      const status = change < 0 || column.status === undefined ? "ok" : column.status[change][1];
      found = { t: times[n], value: column.values[n], status, life: column.life };
    }
    return found;
  }
}

/** A case. `at(t)` says all of a moment. */
export class Known {
  /** @param {any} data */
  constructor(data) {
    this.data = data;
    this.end = Math.max(1, data.end);
    /** @type {{times: Float64Array, image: number[], frame: (number | null)[]}} */
    this.frames = { ...data.frames, times: summed(data.frames.times) };
    this.vitals = this.#series(data.vitals);
    this.pumps = this.#series(data.pumps);
    this.starts = {
      phases: data.phases.map((/** @type {any} */ each) => each.t),
      said: data.said.map((/** @type {any} */ each) => each.t),
      dose: data.dose.map((/** @type {any} */ each) => each.t),
    };
  }

  /** @param {Block[]} blocks */
  #series(blocks) {
    /** @type {Map<string, Series>} */
    const found = new Map();
    for (const { source, times, columns } of blocks) {
      const moments = summed(times);
      for (const column of columns) {
        const key = `${source} ${column.name}`;
        const series = found.get(key) ?? new Series(source, column);
        found.set(key, series);
        series.parts.push({ times: moments, column, changes: (column.status ?? []).map((change) => change[0]) });
      }
    }
    return [...found.values()];
  }

  /** Why what `source` said at `seen` is not current at `t`; null: it is.
   * @param {string} source @param {number} seen @param {number} life @param {number} t */
  #why(source, seen, life, t) {
    for (const name of [source, "*"]) {
      const silent = this.data.silent[name];
      if (silent === undefined) continue;
      if (silent.gaps.some((/** @type {any} */ gap) => seen <= gap[0] && gap[0] < t && t < gap[1])) return "gap";
      if (silent.lost.some((/** @type {number} */ lost) => seen <= lost && lost <= t)) return "lost";
    }
    return t - seen >= life ? "old" : null;
  }

  /** @param {Series} series @param {number} t @returns {Seen | null} */
  seen(series, t) {
    const last = series.last(t);
    if (last === null) return null;
    const bad = last.status === "ok" || last.status === "questionable" ? null : last.status;
    return { ...last, why: this.#why(series.source, last.t, last.life, t) ?? bad };
  }

  /** The frame that was on: which image, which of its frames, since when. @param {number} t */
  frame(t) {
    const n = lastBy(this.frames.times, t);
    if (n < 0) return null;
    return { image: this.frames.image[n], frame: this.frames.frame[n], t: this.frames.times[n] };
  }

  /** @param {number} t */
  at(t) {
    const active = (/** @type {any[]} */ all) => all.filter((each) => each.t <= t && !(each.end <= t));
    const last = (/** @type {"phases" | "said" | "dose"} */ of) => this.data[of][lastBy(this.starts[of], t)] ?? null;
    return {
      t,
      phase: last("phases"),
      frame: this.frame(t),
      vitals: this.vitals.map((series) => ({ series, seen: this.seen(series, t) })),
      pumps: this.#pumps(t),
      delivered: this.data.deliveries.filter((/** @type {any} */ each) => each.end <= t),
      delivering: this.data.deliveries.filter((/** @type {any} */ each) => each.begin <= t && t < each.end),
      dose: last("dose"),
      said: last("said"),
      alerts: active(this.data.alerts),
      alarms: active(this.data.alarms),
    };
  }

  /** By device, what it said last: all of one message. @param {number} t */
  #pumps(t) {
    /** @type {Map<string, {source: string, t: number, why: string | null, [name: string]: any}>} */
    const found = new Map();
    for (const series of this.pumps) {
      const seen = this.seen(series, t);
      if (seen === null) continue;
      const pump = found.get(series.source) ?? { source: series.source, t: seen.t, why: seen.why };
      found.set(series.source, Object.assign(pump, { [series.name]: seen.value }));
    }
    return [...found.values()];
  }
}
