// @ts-check
/**
 * The last minutes of one vital sign as a line.
 *
 * Rules:
 * - Nothing is invented: where nothing was said for longer than a value lives, the line is broken.
 * - Bounded: a point a second, a quarter of an hour; what is older is dropped.
 * - The scale holds the ordinary range and grows where values leave it, so that a small wobble does not look like a
 *   storm.
 */
import uPlot from "../vendor/uplot.js";

export const WINDOW_S = 15 * 60;
/** A case that has just begun is not drawn in the last pixels of a quarter of an hour. */
const SHORTEST_WINDOW_S = 2 * 60;
const SPACING_S = 0.95;
const MAX_POINTS = WINDOW_S + 60;

/** The readings of one name from one device, in the order of their times. */
export class Series {
  /** @type {number[]} in seconds, room's time */
  times = [];
  /** @type {(number | null)[]} */
  values = [];

  /** @param {number} time @param {number | null} value */
  add(time, value) {
    const { times, values } = this;
    let at = times.length;
    while (at > 0 && times[at - 1] > time) at -= 1;
    if (at > 0 && time - times[at - 1] < SPACING_S) {
      times[at - 1] = time;
      values[at - 1] = value;
    } else if (at === times.length || times[at] - time >= SPACING_S) {
      times.splice(at, 0, time);
      values.splice(at, 0, value);
    }
    if (times.length > MAX_POINTS) {
      times.splice(0, times.length - MAX_POINTS);
      values.splice(0, values.length - MAX_POINTS);
    }
  }

  /** What is to be drawn from `from` on, broken where more than `life` seconds lie between two. @param {number} from @param {number} life */
  drawn(from, life) {
    /** @type {number[]} */ const times = [];
    /** @type {(number | null)[]} */ const values = [];
    const first = this.times.findIndex((time) => time >= from);
    for (let index = first < 0 ? this.times.length : Math.max(0, first - 1); index < this.times.length; index += 1) {
      const before = times.at(-1);
      if (before !== undefined && this.times[index] - before > life) {
        times.push(before + 0.01);
        values.push(null);
      }
      times.push(this.times[index]);
      values.push(this.values[index]);
    }
    return { times, values };
  }
}

/** @typedef {{colour: string, range: [number, number], step: number, most?: number, bars?: boolean}} Look
 * `range`: the ordinary one; `step`: by which it grows; `most`: the greatest value that there can be */

/** One plot, made once. */
export class Trend {
  /** @type {any} */
  #plot;
  /** @type {[number, number]} */
  #range;
  /** @type {(number | null)[]} */
  #limits = [];

  /** @param {HTMLElement} place @param {Look} look */
  constructor(place, look) {
    this.place = place;
    this.look = look;
    this.#range = look.range;
    this.#plot = new (/** @type {any} */ (uPlot))(this.#options(), [[], [], []], place);
    new ResizeObserver(() => this.#fit()).observe(place);
  }

  /**
   * @param {number} now room's time, s
   * @param {number} began since when there is something to show, room's time, s
   * @param {number} life after how many seconds without a reading the line is broken
   * @param {Series | undefined} upper
   * @param {Series | undefined} lower of a pressure, the diastolic one
   * @param {(number | null)[]} limits low and high alarm limit, as far as a device tells them
   */
  draw(now, began, life, upper, lower, limits) {
    const window = Math.min(WINDOW_S, Math.max(SHORTEST_WINDOW_S, now - began));
    const one = upper?.drawn(now - window, life) ?? { times: [], values: [] };
    const other = lower?.drawn(now - window, life).values ?? one.values.map(() => null);
    const values = [...one.values, ...other, ...limits].filter((value) => value !== null);
    const { range, step } = this.look;
    const low = Math.min(range[0], ...values.map((value) => Math.floor((value - 1) / step) * step));
    const high = Math.min(this.look.most ?? Infinity, Math.max(range[1], ...values.map((value) => Math.ceil((value + 1) / step) * step)));
    this.#range = [low, high];
    this.#limits = limits;
    this.#plot.setData([one.times, one.values, other.length === one.values.length ? other : one.values.map(() => null)], false);
    this.#plot.batch(() => {
      this.#plot.setScale("x", { min: now - window, max: now });
      this.#plot.setScale("y", { min: low, max: high });
    });
    return window;
  }

  /** @returns {any} */
  #options() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const colours = getComputedStyle(document.documentElement);
    const colour = colours.getPropertyValue(this.look.colour).trim();
    const faint = colours.getPropertyValue("--faint").trim();
    const line = colours.getPropertyValue("--line").trim();
    const stroke = { stroke: () => this.#stroke(colour), width: 0.3 * rem, points: { show: false }, spanGaps: false };
    const bars = { ...stroke, paths: () => null };
    return {
      width: Math.max(10, this.place.clientWidth),
      height: Math.max(10, this.place.clientHeight),
      legend: { show: false },
      cursor: { show: false },
      select: { show: false },
      padding: [0.8 * rem, 0.4 * rem, 0.8 * rem, 0.4 * rem],
      scales: { x: { time: false, auto: false }, y: { auto: false } },
      axes: [
        { show: false },
        {
          side: 1,
          size: 5.2 * rem,
          gap: 0.6 * rem,
          font: `500 ${1.8 * rem}px "Inter Variable", sans-serif`,
          stroke: faint,
          ticks: { show: false },
          grid: { stroke: line, width: Math.max(1, 0.1 * rem) },
          splits: () => [this.#range[0], (this.#range[0] + this.#range[1]) / 2, this.#range[1]],
          values: (/** @type {any} */ _, /** @type {number[]} */ splits) => splits.map((value) => String(Math.round(value))),
        },
      ],
      series: [{}, this.look.bars ? bars : stroke, bars],
      hooks: { draw: [(/** @type {any} */ plot) => this.#drawMore(plot, colour)] },
    };
  }

  /** @param {string} colour */
  #stroke(colour) {
    return this.place.closest('[data-state="old"], [data-present="no"]') ? getComputedStyle(this.place).getPropertyValue("--old").trim() : colour;
  }

  /** Limits as dashed lines; a blood pressure as a bar from systolic to diastolic. @param {any} plot @param {string} colour */
  #drawMore(plot, colour) {
    const { ctx, bbox } = plot;
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) * devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = getComputedStyle(this.place).getPropertyValue("--warn").trim();
    ctx.lineWidth = Math.max(1, 0.2 * rem);
    ctx.setLineDash([0.8 * rem, 0.8 * rem]);
    for (const limit of this.#limits) {
      if (limit === null) continue;
      const y = plot.valToPos(limit, "y", true);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.setLineDash([]);
    if (this.look.bars) this.#drawBars(plot, this.#stroke(colour), rem);
    ctx.restore();
  }

  /** @param {any} plot @param {string} colour @param {number} rem */
  #drawBars(plot, colour, rem) {
    const [times, upper, lower] = plot.data;
    const { ctx, bbox } = plot;
    ctx.fillStyle = colour;
    const width = 0.7 * rem;
    for (let index = 0; index < times.length; index += 1) {
      const x = plot.valToPos(times[index], "x", true);
      if (upper[index] === null || lower[index] === null || x < bbox.left - width) continue;
      const [top, bottom] = [plot.valToPos(upper[index], "y", true), plot.valToPos(lower[index], "y", true)];
      ctx.fillRect(x - width / 2, top, width, Math.max(width / 2, bottom - top));
    }
  }

  #fit() {
    const [width, height] = [this.place.clientWidth, this.place.clientHeight];
    if (width > 10 && height > 10) this.#plot.setSize({ width, height });
  }
}
