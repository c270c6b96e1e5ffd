// @ts-check
/**
 * The vital signs: four tiles, each a number, its unit, where it is from, and its last minutes.
 *
 * Rules:
 * - One number a tile. Where several devices say it, the first of those that are current: by the order of `names`, then
 *   the one that speaks most often. Which device it is stands beside it.
 * - A value that is not current is grey, hatched, and says how old it is. What the device marked as bad is no number.
 * - A blood pressure is a measurement of its own moment: its time stands beside it.
 */
import { fillList, find, make, mark, say, sayFormula } from "../dom.js";
import { ageOf, deviceName, number, words } from "../format.js";
import { common, wall } from "../texts.js";
import { Series, Trend } from "./trend.js";

/** @typedef {{id: string, names: string[], decimals: number, look: import("./trend.js").Look, lower?: string, mean?: string, also?: string}} Tile */

/** @type {Tile[]} */
const TILES = [
  { id: "heart", names: ["heart_rate_bpm", "pulse_rate_bpm"], decimals: 0, look: { colour: "--heart", range: [40, 140], step: 20 } },
  { id: "oxygen", names: ["spo2_pct"], decimals: 0, look: { colour: "--oxygen", range: [80, 100], step: 10, most: 100 } },
  {
    id: "pressure", names: ["nibp_systolic_mmhg"], lower: "nibp_diastolic_mmhg", mean: "nibp_mean_mmhg", decimals: 0,
    look: { colour: "--pressure", range: [40, 180], step: 20, bars: true },
  },
  {
    id: "breath", names: ["respiratory_rate_bpm", "impedance_respiratory_rate_bpm"], also: "etco2_mmhg", decimals: 0,
    look: { colour: "--breath", range: [0, 30], step: 10 },
  },
];
const DRAWN = new Set(TILES.flatMap(({ names, lower }) => (lower ? [...names, lower] : names)));
/** Devices times names that are drawn: no room has so many. */
const MAX_SERIES = 40;

export class Vitals {
  /** @type {Map<string, Series>} */
  #series = new Map();
  /** @type {string | null} */
  #record = null;
  /** The first reading of the record, room's time, s. */
  #began = Infinity;

  /** @param {import("../room.js").Room} room @param {import("../format.js").Times} times */
  constructor(room, times) {
    this.room = room;
    this.times = times;
    say(find("vitals-name"), wall.vitals.name);
    this.tiles = TILES.map((tile) => new TileView(tile));
    find("vitals").append(...this.tiles.map(({ node }) => node));
  }

  /** A journal line. @param {any} line */
  take(line) {
    if (line.record !== this.#record && !this.#begin(line.record)) return;
    if (line.type !== "vitals.numeric" || !Array.isArray(line.data.readings)) return;
    const time = Date.parse(line.time) / 1000;
    for (const reading of line.data.readings) {
      if (!DRAWN.has(reading?.name)) continue;
      const series = this.#seriesOf(line.source, reading.name);
      series?.add(time, typeof reading.value === "number" ? reading.value : null);
      this.#began = Math.min(this.#began, time);
    }
  }

  /** Nothing of one patient is left for the next: false for a line of a record before. @param {string} record */
  #begin(record) {
    if (this.#record !== null && record < this.#record) return false;
    this.#record = record;
    this.#began = Infinity;
    this.#series.clear();
    return true;
  }

  render() {
    const { room } = this;
    const state = room.state("state/vitals");
    const problem = room.problem("state/vitals");
    const now = room.clock.at();
    for (const tile of this.tiles) {
      const found = choose(state?.payload.values ?? [], tile.spec.names, room);
      const limits = (state?.payload.limits ?? []).find((/** @type {any} */ told) => told.source === found?.source && told.name === found?.name);
      const also = (/** @type {string | undefined} */ name) =>
        name && state?.payload.values.find((/** @type {any} */ value) => value.name === name && (!found || value.source === found.source));
      const measuring = (state?.payload.conditions ?? []).some(
        (/** @type {any} */ told) => !room.isStale(told) && told.conditions.includes("nibp_measuring"));
      tile.show(found, { lower: also(tile.spec.lower), mean: also(tile.spec.mean), also: also(tile.spec.also) }, {
        room, times: this.times, problem, heard: state !== undefined, limits, measuring: measuring && tile.spec.id === "pressure",
      });
      if (now !== null) this.#drawTrend(tile, found, now / 1000, limits);
    }
  }

  /** @param {TileView} tile @param {any} found @param {number} now @param {any} limits */
  #drawTrend(tile, found, now, limits) {
    const name = found?.name ?? tile.spec.names[0];
    const of = (/** @type {string | undefined} */ wanted) => this.#series.get(`${found?.source} ${wanted}`);
    const life = tile.spec.lower ? Infinity : Math.max(10, 1.5 * (found?.stale_after_s ?? 30));
    const window = tile.trend.draw(now, Math.min(this.#began, now), life, of(name), of(tile.spec.lower), [limits?.low ?? null, limits?.high ?? null]);
    say(tile.span, wall.vitals.minutes(Math.max(1, Math.round(window / 60))));
  }

  /** @param {string} source @param {string} name */
  #seriesOf(source, name) {
    const key = `${source} ${name}`;
    if (!this.#series.has(key) && this.#series.size < MAX_SERIES) this.#series.set(key, new Series());
    return this.#series.get(key);
  }
}

/**
 * Which of the values a tile shows; undefined where nobody measures it.
 * @param {any[]} values
 * @param {string[]} names
 * @param {import("../room.js").Room} room
 */
export function choose(values, names, room) {
  const rank = (/** @type {any} */ value) => [
    Number(room.isStale(value) || value.value === null), names.indexOf(value.name), value.stale_after_s ?? Infinity, value.source,
  ];
  const candidates = values.filter(({ name, status }) => names.includes(name) && status !== "unsupported");
  return candidates.sort((a, b) => compare(rank(a), rank(b)))[0];
}

/** @param {any[]} one @param {any[]} other */
function compare(one, other) {
  const index = one.findIndex((value, at) => value !== other[at]);
  return index < 0 ? 0 : one[index] < other[index] ? -1 : 1;
}

class TileView {
  /** @param {Tile} spec */
  constructor(spec) {
    this.spec = spec;
    this.name = make("h3", "name");
    this.value = make("span", "value");
    this.unit = make("span", "unit");
    this.badges = make("ul", "badges");
    this.more = make("p", "more");
    this.from = make("p", "from");
    const plot = make("div", "plot");
    plot.setAttribute("aria-hidden", "true");
    this.span = make("p", "span");
    this.node = make(
      "article", "tile", make("header", "", this.name, this.from), make("p", "number", this.value, this.unit),
      make("footer", "", this.badges, this.more), plot, this.span,
    );
    this.node.dataset.tile = spec.id;
    this.trend = new Trend(plot, spec.look);
  }

  /** @param {any} found @param {{lower?: any, mean?: any, also?: any}} beside @param {any} around */
  show(found, beside, { room, times, problem, heard, measuring, limits }) {
    const texts = wall.vitals;
    const old = found ? room.isStale(found) : false;
    const names = /** @type {Record<string, string>} */ (texts[/** @type {"heart"} */ (this.spec.id)]);
    sayFormula(this.name, names[found?.name ?? this.spec.names[0]]);
    const missing = !found || found.value === null;
    mark(this.node, "data-state", missing ? "none" : old ? "old" : found.status === "questionable" ? "doubtful" : "current");
    const lower = beside.lower && beside.lower.value !== null ? `/${number(beside.lower.value, this.spec.decimals)}` : "";
    say(this.value, missing ? "\u2013" : number(found.value, this.spec.decimals) + lower);
    mark(this.value, "data-long", (this.value.textContent ?? "").length > 6 ? "yes" : null);
    say(this.unit, missing ? "" : common.units[/** @type {"%"} */ (found.unit)] ?? found.unit);
    sayFormula(this.more, this.#more(found, beside, room, times, missing || old, measuring));
    const range = limits ? wall.vitals.limits(number(limits.low), number(limits.high)) : "";
    say(this.from, found ? [deviceName(found.source), range].filter(Boolean).join(" \u00b7 ") : "");
    mark(this.node, "title", found ? times.utc(found.observed_at) : null);
    const badges = [];
    if (problem !== null) badges.push(wall.unreadable(common.problems[/** @type {"no_json"} */ (problem)]));
    else if (!found && !measuring) badges.push(heard ? texts.none : wall.waiting);
    else if (found && found.value === null) badges.push(texts.noValue[/** @type {"ok"} */ (found.status)] ?? words(found.status));
    if (found && old) badges.push(wall.old(ageOf(room, found.observed_at)));
    if (found?.flags.includes("limit_violated")) badges.push(texts.limit);
    if (!missing && found.status === "questionable") badges.push(texts.doubtful);
    if (measuring) badges.push(texts.measuring);
    fillList(this.badges, badges, () => make("li"), say);
  }

  /** @param {any} found @param {any} beside @param {any} room @param {any} times @param {boolean} missing @param {boolean} brief */
  #more(found, beside, room, times, missing, brief) {
    if (this.spec.id === "pressure" && !missing) {
      const mean = !brief && beside.mean && beside.mean.value !== null ? `${wall.vitals.mean(number(beside.mean.value))} \u00b7 ` : "";
      return mean + wall.vitals.measured(times.minute(found.observed_at), ageOf(room, found.observed_at));
    }
    if (this.spec.also && beside.also && beside.also.value !== null && !room.isStale(beside.also)) {
      return `${wall.vitals.etco2} ${number(beside.also.value)} ${common.units["mm[Hg]"]}`;
    }
    return "";
  }
}
