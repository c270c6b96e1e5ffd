// @ts-check
/**
 * The pump: what it does, how much has gone in, of how much, how fast, against which pressure.
 *
 * Rules:
 * - The pump that alarms or runs is shown, else the one that spoke last. What a pump does not tell is said to be so.
 * - What was injected by hand stands here as well: it has no pump.
 */
import { find, make, mark, say, show } from "../dom.js";
import { ageOf, deviceName, fixed, number, words } from "../format.js";
import { common, wall } from "../texts.js";

/** @type {Record<string, string>} A shape a state, so that it is told without colour. */
const SHAPES = { infusing: "play", withdrawing: "back", purging: "play", paused: "pause", stopped: "square", alarm: "triangle", completed: "check", unknown: "ring" };
const ACTIVE = ["alarm", "infusing", "purging", "withdrawing", "paused"];
/** Pumps count in hundredths of a millilitre; people in tenths. */
const DECIMALS = 1;

export class Pump {
  /** @param {import("../room.js").Room} room @param {import("../format.js").Times} times */
  constructor(room, times) {
    this.room = room;
    this.times = times;
    this.shape = make("span", "shape");
    this.state = make("span", "state");
    this.old = make("span", "badge");
    this.from = make("p", "from");
    this.volume = make("p", "number", make("span", "value"), make("span", "unit"), make("span", "target"));
    this.bar = make("div", "bar", make("i"));
    this.bar.setAttribute("role", "progressbar");
    this.rate = field(wall.pump.rate);
    this.pressure = field(wall.pump.pressure);
    this.deliveries = make("p", "more");
    this.empty = make("p", "empty");
    this.body = make("div", "body", make("p", "doing", this.shape, this.state, this.old), this.volume, this.bar, make("dl", "pair", this.rate, this.pressure));
    this.node = find("pump");
    this.node.append(this.from, this.body, this.empty, this.deliveries);
    say(find("pump-name"), wall.pump.name);
  }

  render() {
    const state = this.room.state("state/pump");
    const problem = this.room.problem("state/pump");
    const pump = chosen(state?.payload.pumps ?? [], this.room);
    show(this.body, pump !== undefined);
    show(this.empty, pump === undefined);
    say(this.empty, problem ? wall.unreadable(common.problems[/** @type {"no_json"} */ (problem)]) : state ? wall.pump.none : wall.waiting);
    say(this.from, pump ? deviceName(pump.source) : "");
    const deliveries = this.room.state("state/procedure")?.payload.deliveries ?? [];
    say(this.deliveries, told(deliveries.at(-1)));
    mark(this.node, "data-state", pump ? (this.room.isStale(pump) ? "old" : "current") : "none");
    if (pump) this.#fill(pump);
  }

  /** @param {any} pump */
  #fill(pump) {
    const doing = pump.alarms.length ? "alarm" : pump.event === "pump.completed" ? "completed" : pump.state ?? "unknown";
    const old = this.room.isStale(pump);
    mark(this.node, "data-doing", doing);
    mark(this.shape, "data-shape", SHAPES[doing] ?? "ring");
    const alarm = pump.alarms[0]?.text;
    say(this.state, wall.pump.states[/** @type {"unknown"} */ (doing)] + (alarm ? `: ${alarm}` : "") || words(doing));
    say(this.old, old ? wall.old(ageOf(this.room, pump.observed_at)) : "");
    mark(this.body, "title", this.times.utc(pump.observed_at));
    const [value, unit, target] = /** @type {any} */ (this.volume.children);
    say(value, pump.delivered_ml === null ? "\u2013" : fixed(pump.delivered_ml, DECIMALS));
    say(unit, "mL");
    say(target, pump.target_ml ? wall.pump.of(`${number(pump.target_ml, 2)} mL`) : "");
    this.#fillBar(pump);
    fillField(this.rate, pump.rate_ml_h, 1, "mL/h");
    fillField(this.pressure, pump.pressure_mmhg, 0, "mmHg");
  }

  /** @param {any} pump */
  #fillBar(pump) {
    const known = pump.target_ml > 0 && pump.delivered_ml !== null;
    show(this.bar, known);
    if (!known) return;
    const part = Math.min(1, pump.delivered_ml / pump.target_ml);
    const width = `${(100 * part).toFixed(1)}%`;
    const fill = /** @type {HTMLElement} */ (this.bar.firstChild);
    if (fill.style.width !== width) fill.style.width = width;
    mark(this.bar, "aria-valuenow", (100 * part).toFixed(0));
    mark(this.bar, "aria-label", wall.pump.progress(number(pump.delivered_ml, 2), number(pump.target_ml, 2)));
  }
}

/** @param {any[]} pumps @param {import("../room.js").Room} room */
function chosen(pumps, room) {
  const rank = (/** @type {any} */ pump) => {
    const active = pump.alarms.length ? 0 : ACTIVE.indexOf(pump.state);
    return (room.isStale(pump) ? 100 : 0) + (active < 0 ? ACTIVE.length : active);
  };
  return [...pumps].sort((a, b) => rank(a) - rank(b) || (a.observed_at < b.observed_at ? 1 : -1))[0];
}

/** The last finished delivery. @param {any} delivery */
function told(delivery) {
  if (!delivery) return "";
  const drugs = delivery.drugs.map(words).join(", ");
  const volume = delivery.delivered_ml === null ? "" : `${number(delivery.delivered_ml, 2)} mL`;
  const who = delivery.origin === "hand" ? wall.pump.byHand : wall.pump.delivered;
  return `${who}: ${[volume, drugs].filter(Boolean).join(" ")}`;
}

/** @param {string} name */
function field(name) {
  return make("div", "", make("dt", "", name), make("dd"));
}

/** @param {HTMLElement} node @param {number | null} value @param {number} decimals @param {string} unit */
function fillField(node, value, decimals, unit) {
  const told = value !== null && value !== undefined;
  mark(node, "data-told", told ? "yes" : "no");
  say(/** @type {Element} */ (node.lastElementChild), told ? `${number(value, decimals)} ${unit}` : wall.pump.notTold);
}
