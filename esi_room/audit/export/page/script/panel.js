// @ts-check
/**
 * The panel: what was known at the moment under the cursor, each with its own time.
 *
 * Rules:
 * - What is not current is grey, says why, and how old it is; a value that was bad, or of a device that was not heard,
 *   is no figure at all.
 * - It is not announced by itself while a case plays: the cursor says where it is, and the panel can be read.
 */

import { make } from "./dom.js";
import { Picture } from "./picture.js";
import { TEXTS, WHY, figure, span } from "./words.js";

/** The figures of one cuff measurement in one row, as they are spoken: `136/83, mean 100`. @param {any[]} vitals */
function joinedCuff(vitals) {
  const of = (/** @type {string} */ name) => vitals.find((each) => each.series.name === `nibp_${name}_mmhg`);
  const [high, low, mean] = [of("systolic"), of("diastolic"), of("mean")];
  const whole = [high, low].every(
    (each) => each !== undefined && each.seen.t === high.seen.t && each.seen.value !== null,
  );
  if (!whole) return vitals;
  const known = mean !== undefined && mean.seen.t === high.seen.t && mean.seen.value !== null;
  const value = `${figure(high.seen.value)}/${figure(low.seen.value)}${known ? `, ${TEXTS.mean} ${figure(mean.seen.value)}` : ""}`;
  const cuff = { series: { ...high.series, name: "nibp_mmhg", label: TEXTS.cuff }, seen: { ...high.seen, value } };
  return [...vitals.filter((each) => each !== high && each !== low && !(known && each === mean)), cuff];
}

export class Panel {
  /** @param {import("./known.js").Known} known @param {import("./words.js").Moments} moments */
  constructor(known, moments) {
    this.known = known;
    this.moments = moments;
    this.picture = new Picture(known.data, moments);
    this.clock = make("time", { class: "clock" });
    this.phase = make("div", { class: "now" });
    /** @type {Record<string, HTMLElement>} */
    this.parts = {};
    const order = ["alerts", "pump", "vitals", "dose", "said"];
    const sections = order.map((name) => {
      this.parts[name] = make("div", { class: name });
      return make("section", {}, make("h3", {}, /** @type {any} */ (TEXTS)[name]), this.parts[name]);
    });
    this.more = /** @type {HTMLDetailsElement} */ (make("details", {}, make("summary")));
    this.element = make(
      "aside",
      { class: "moment", "aria-label": TEXTS.panel },
      make("div", { class: "head" }, this.clock, this.phase),
      this.picture.element,
      ...sections,
    );
  }

  /** @param {number} t */
  show(t) {
    const now = this.known.at(t);
    this.clock.textContent = `${this.moments.tenths.format(this.moments.origin + t)} ${this.moments.zoneName(t)}`;
    this.clock.title = this.moments.utc(t);
    this.phase.replaceChildren(...this.#phase(now.phase));
    this.picture.show(now.frame, t);
    this.parts.pump.replaceChildren(...this.#pumps(now, t));
    this.parts.vitals.replaceChildren(...this.#vitals(now.vitals, t));
    this.parts.dose.replaceChildren(...this.#dose(now.dose));
    this.parts.said.replaceChildren(...this.#said(now.said));
    this.parts.alerts.replaceChildren(...this.#alerts(now));
  }

  /** @param {number} t */
  #time(t) {
    const shown = this.moments.seconds.format(this.moments.origin + t);
    return make(
      "time",
      { title: this.moments.utc(t), datetime: new Date(this.moments.origin + t).toISOString() },
      shown,
    );
  }

  /** @param {any} phase */
  #phase(phase) {
    if (phase === null) return [TEXTS.noPhase];
    return [make("b", {}, phase.phase), ` ${TEXTS.since} `, this.#time(phase.t), ` ${TEXTS.by(phase.by)}`];
  }

  /** A value, its unit and its time; or why it is none. @param {any} value @param {string} unit
   * @param {{t: number, why: string | null, status?: string}} seen @param {number} t */
  #value(value, unit, seen, t) {
    const known = value !== null && value !== undefined && seen.why !== "gap" && seen.why !== "lost";
    const words = known ? `${typeof value === "number" ? figure(value) : value} ${unit}`.trim() : "–";
    const cell = make("td", { class: "value" }, words);
    if (seen.status === "questionable" && seen.why === null)
      cell.append(make("span", { class: "badge" }, "questionable"));
    const age = seen.why === null ? [] : [`, ${TEXTS.ago(span(t - seen.t))}`];
    const why = seen.why === null ? [] : [make("span", { class: "badge" }, WHY[seen.why] ?? seen.why)];
    return [cell, make("td", { class: "time" }, ...why, this.#time(seen.t), ...age)];
  }

  /** By device; what is looked for first stands there, the rest can be opened. @param {any[]} vitals @param {number} t */
  #vitals(vitals, t) {
    const there = vitals.filter((each) => each.seen !== null);
    if (there.length === 0) return [make("p", { class: "none" }, TEXTS.noVitals)];
    const [main, others] = [there.filter((each) => each.series.main), there.filter((each) => !each.series.main)];
    const found = [this.#byDevice(main, t)];
    if (others.length > 0) {
      const fill = () => {
        const summary = make("summary", {}, TEXTS.more(others.length));
        this.more.replaceChildren(summary, ...(this.more.open ? [this.#byDevice(others, t)] : []));
      };
      this.more.ontoggle = fill;
      fill();
      found.push(this.more);
    }
    return found;
  }

  /** @param {any[]} vitals @param {number} t */
  #byDevice(vitals, t) {
    const rows = [];
    for (const source of new Set(vitals.map((each) => each.series.source))) {
      const of = joinedCuff(vitals.filter((each) => each.series.source === source));
      const name = make("th", { scope: "colgroup", colspan: "3" }, source);
      rows.push(make("tr", { class: "source" }, name), ...of.map((each) => this.#vital(each, t)));
    }
    return make("table", {}, make("tbody", {}, ...rows));
  }

  /** @param {any} each @param {number} t */
  #vital({ series, seen }, t) {
    const row = {
      class: seen.why === null ? "current" : "past",
      "data-name": series.name,
      "data-source": series.source,
    };
    const name = make("th", { scope: "row" }, series.label);
    return make("tr", row, name, ...this.#value(seen.value, series.unit, seen, t));
  }

  /** @param {any} now @param {number} t */
  #pumps(now, t) {
    const rows = now.pumps.map((/** @type {any} */ pump) => this.#pump(pump, t));
    const found =
      rows.length > 0 ? [make("table", {}, make("tbody", {}, ...rows))] : [make("p", { class: "none" }, TEXTS.noPump)];
    const pumps = new Set(now.pumps.map((/** @type {any} */ pump) => pump.source));
    for (const each of now.delivering.filter((/** @type {any} */ one) => !pumps.has(one.by)))
      found.push(make("p", {}, TEXTS.byHand(each.drugs || TEXTS.drugUnsaid)));
    if (now.delivered.length > 0) found.push(this.#soFar(now.delivered));
    return found;
  }

  /** @param {any} pump @param {number} t */
  #pump(pump, t) {
    const target = pump.target_ml ? ` ${TEXTS.ofTarget(figure(pump.target_ml))}` : "";
    const [value, time] = this.#value(pump.delivered_ml, `mL${target}`, pump, t);
    const current = pump.why === null;
    const how = current
      ? [pump.state ?? TEXTS.unsaid, pump.rate_ml_h === null ? "" : `${figure(pump.rate_ml_h)} mL/h`]
      : [];
    if (current && pump.pressure_mmhg !== null) how.push(`${figure(pump.pressure_mmhg)} mmHg`);
    if (current && pump.drug !== null) how.push(pump.drug);
    const name = make("th", { scope: "row" }, how.filter(Boolean).join(", ") || "–", make("small", {}, pump.source));
    return make("tr", { class: current ? "current" : "past", "data-pump": pump.source }, name, value, time);
  }

  /** @param {any[]} delivered */
  #soFar(delivered) {
    const known = delivered.filter((each) => each.delivered_ml !== null);
    const sum = known.reduce((all, each) => all + each.delivered_ml, 0);
    const doubt = known.length < delivered.length ? `; ${TEXTS.volumeUnknown}` : "";
    const words = `: ${figure(sum)} mL, ${TEXTS.deliveries(delivered.length)}${doubt}`;
    return make("p", { class: "sum" }, make("b", {}, TEXTS.soFar), words);
  }

  /** @param {any} dose */
  #dose(dose) {
    if (dose === null) return [make("p", { class: "none" }, TEXTS.noDose)];
    const rows = [
      [TEXTS.fluoroscopy, dose.fluoro_time_s, 1, "s"],
      [TEXTS.dap, dose.dap_gy_m2, 1e6, "µGy·m²"],
      [TEXTS.kerma, dose.air_kerma_rp_gy, 1e3, "mGy"],
    ].map(([name, value, factor, unit]) => {
      const words = value === null ? TEXTS.unsaid : `${figure(Number(value) * Number(factor))} ${unit}`;
      return make(
        "tr",
        { class: "current" },
        make("th", { scope: "row" }, String(name)),
        make("td", { class: "value" }, words),
      );
    });
    const told = make("td", { class: "time", rowspan: "3" }, this.#time(dose.t));
    rows[0].append(told);
    return [make("table", {}, make("tbody", {}, ...rows))];
  }

  /** @param {any} said */
  #said(said) {
    if (said === null) return [make("p", { class: "none" }, TEXTS.noSaid)];
    const link = make("a", { href: `#entry-${said.seq}` }, said.of === undefined ? said.form : TEXTS.corrects(said.of));
    const head = make("p", {}, this.#time(said.t), " ", link, said.by ? ` ${TEXTS.by(said.by)}` : "");
    if (said.of !== undefined) {
      return [head, make("p", {}, make("del", {}, said.was), " ", make("ins", {}, said.now), ` (${said.says})`)];
    }
    if (said.now === undefined) return [head, make("p", {}, said.says)];
    return [head, make("p", {}, make("del", {}, said.says), ` ${TEXTS.corrected} `, make("ins", {}, said.now))];
  }

  /** @param {any} now */
  #alerts(now) {
    const alerts = now.alerts.map((/** @type {any} */ each) => {
      const item = make(
        "li",
        { class: `alert ${each.severity}` },
        make("b", {}, `${each.severity} `),
        `${each.rule}: ${each.text} `,
        this.#time(each.t),
      );
      if (each.seen !== undefined && each.seen.t <= now.t) {
        item.classList.add("seen");
        item.append(make("span", { class: "badge" }, TEXTS.seen(each.seen.how, each.seen.by ?? "")));
      }
      return item;
    });
    const alarms = now.alarms.map((/** @type {any} */ each) =>
      make("li", { class: "alarm" }, make("b", {}, `${each.source} `), `${each.text} `, this.#time(each.t)),
    );
    const all = [...alerts.reverse(), ...alarms.reverse()];
    return all.length > 0 ? [make("ul", {}, ...all)] : [make("p", { class: "none" }, TEXTS.noAlerts)];
  }
}
