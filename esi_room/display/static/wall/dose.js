// @ts-check
/**
 * The dose of the case, each quantity against the room's level (rule R16).
 *
 * Rules:
 * - In the units that people at the table use and the room's rules are written in.
 * - What rests on image headers alone is a lower bound, and says so: ≥.
 */
import { fillList, find, make, mark, say, show } from "../dom.js";
import { number } from "../format.js";
import { common, wall } from "../texts.js";

/** Field of `total`, how many of the shown unit one of its own is, decimals. @type {[("fluoro_time_s" | "dap_gy_m2" | "air_kerma_rp_gy"), number, number][]} */
const QUANTITIES = [["fluoro_time_s", 1, 1], ["dap_gy_m2", 1e6, 0], ["air_kerma_rp_gy", 1e3, 1]];
const LOWER_BOUND = /header/;

export class Dose {
  /** @param {import("../room.js").Room} room @param {import("../format.js").Times} times */
  constructor(room, times) {
    this.room = room;
    this.times = times;
    this.rows = make("dl", "rows");
    this.empty = make("p", "empty");
    this.node = find("dose");
    this.node.append(this.rows, this.empty);
    say(find("dose-name"), wall.dose.name);
  }

  render() {
    const dose = this.room.state("state/dose")?.payload;
    const problem = this.room.problem("state/dose");
    const total = dose?.total;
    show(this.rows, Boolean(dose));
    show(this.empty, !dose);
    say(this.empty, problem ? wall.unreadable(common.problems[/** @type {"no_json"} */ (problem)]) : wall.waiting);
    mark(this.node, "title", total ? this.times.utc(total.observed_at) : null);
    if (dose) fillList(this.rows, QUANTITIES, makeRow, (/** @type {HTMLElement} */ node, quantity) => fill(node, quantity, dose));
  }
}

function makeRow() {
  const bar = make("div", "bar", make("i"));
  bar.setAttribute("role", "meter");
  return make("div", "row", make("dt"), make("dd", "amount", make("small"), make("span", "value"), make("span", "unit")), bar, make("dd", "level"));
}

/** @param {HTMLElement} node @param {[string, number, number]} quantity @param {any} dose */
function fill(node, [field, scale, decimals], dose) {
  const texts = wall.dose;
  const name = texts[/** @type {"fluoro_time_s"} */ (field)];
  const unit = texts.units[/** @type {"fluoro_time_s"} */ (field)];
  const value = dose.total?.[field];
  const told = value !== null && value !== undefined;
  const level = dose.levels?.[field];
  const over = field in dose.exceeded || (told && level > 0 && value > level);
  mark(node, "data-over", over ? "yes" : "no");
  const [title, amount, bar, beside] = /** @type {any} */ (node.children);
  say(title, name);
  const atLeast = told && LOWER_BOUND.test(dose.total.provenance[field] ?? "");
  say(amount.children[0], atLeast ? "\u2265" : "");
  mark(amount, "title", atLeast ? texts.atLeast : null);
  say(amount.children[1], told ? number(value * scale, decimals) : dose.total ? texts.notTold : "\u2013");
  say(amount.children[2], told ? unit : "");
  mark(amount, "data-told", told ? "yes" : "no");
  show(bar, level > 0);
  const width = `${(100 * Math.min(1, told && level ? value / level : 0)).toFixed(1)}%`;
  if (bar.firstChild.style.width !== width) bar.firstChild.style.width = width;
  const words = level > 0 ? `${number(level * scale, 1)} ${unit}` : "";
  mark(bar, "aria-label", level > 0 ? texts.meter(name, told ? `${number(value * scale, decimals)} ${unit}` : texts.notTold, words) : null);
  mark(bar, "aria-valuenow", told && level ? ((100 * value) / level).toFixed(0) : null);
  say(beside, over ? texts.exceeded(words) : level > 0 ? texts.level(words) : "");
}
