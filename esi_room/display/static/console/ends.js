// @ts-check
/**
 * How a case begins and ends: from an order of the worklist or typed in; with its outcome; and what the record of the
 * case that ended last lacks, by phase, each to be mended by an amendment.
 */
import { console as texts } from "../texts.js";
import { h } from "./dom.js";
import { formView } from "./formview.js";
import { timeOf } from "./log.js";
import { FORMS, NOT_ALWAYS } from "./presets.js";
import { formTitle, phaseTitle, plain, word } from "./words.js";

/** @typedef {import("../console.js").App} App */

/** The form that says what the record lacks, where its name is not the item's own. */
const MENDS = /** @type {Record<string, string>} */ ({
  weight: "assessment", pregnancy: "assessment", infection: "assessment", diabetes: "assessment", glucose: "assessment",
  nil_by_mouth: "assessment", escort: "assessment", vasovagal: "assessment", site_marked: "sign_in",
  skin_anaesthetic: "drug_given", drugs: "drawn_up", steroid: "drawn_up", label: "drawn_up", delivery: "hand_injection",
  relief: "pain", pain_scale: "pain", plan: "follow_up_plan",
});
const NOBODY_CAN = new Set(["evaluation.plan", "evaluation.identity"]); // said when the case begins, or never

/** @param {App} app @returns {import("../console.js").View} */
export function startView(app) {
  const orders = ordersOf(app);
  const chosen = app.room.state("state/carm")?.payload?.order;
  const touch = (/** @type {string} */ order) => app.sheet.ask({ name: "start", fields: { order }, record: app.case.record, done: (here) => here && app.home(), aside: () => app.home() });
  const button = (/** @type {string} */ order, /** @type {string} */ label, /** @type {string} */ more) =>
    h("button", { type: "button", class: "tile order", "data-order": order, onclick: () => touch(order) }, h("b", {}, label), h("span", { class: "soft" }, more));
  const offered = [
    ...(chosen ? [button(chosen, texts.start.chosen(chosen), "")] : []),
    ...orders.filter(({ order }) => order !== chosen).map(({ order, procedure, scheduled_at }) =>
      button(order, texts.start.order(order), [procedure, scheduled_at?.replace("T", " ")].filter(Boolean).join(" · "))),
  ];
  const worklist = h("section", { class: "orders" },
    h("h3", {}, texts.start.orders),
    offered.length ? h("div", { class: "tiles" }, ...offered) : null,
    h("p", { class: "soft" }, offered.length ? texts.start.known : texts.start.none),
    h("h3", {}, texts.start.typed));
  const view = formView(app, { name: "start", title: app.case.underWay ? texts.header.take_over : texts.start.title, before: [worklist], shown: ["identity", "plan"] });
  return { ...view, focus: () => /** @type {HTMLElement | null} */ (view.element.querySelector("#view-title"))?.focus() };
}

/** The orders on the worklist, as far as this record tells: no name of a patient is in these entries. @param {App} app */
function ordersOf(app) {
  /** @type {Map<string, any>} */
  const orders = new Map();
  for (const { data } of app.case.lines("carm.order")) {
    if (data.change === "withdrawn") orders.delete(data.order);
    else orders.set(data.order, { ...orders.get(data.order), ...data });
  }
  return [...orders.values()];
}

/** @param {App} app @returns {import("../console.js").View} */
export function endView(app) {
  const times = app.case.times;
  const missing = Object.entries(FORMS)
    .map(([phase, names]) => ({ phase, names: names.filter((name) => app.forms.has(name) && !times.has(name) && !NOT_ALWAYS.has(name)) }))
    .filter(({ names }) => names.length);
  const before = missing.length
    ? h("section", { class: "lacks" }, h("h3", {}, texts.end.missing), ...missing.map(({ phase, names }) =>
        h("div", { class: "lack-phase" }, h("h4", {}, phaseTitle(phase)), h("div", { class: "tiles" }, ...names.map((name) =>
          h("button", { type: "button", class: "tile form-tile", "data-form": name, onclick: () => (name === "time_out" ? app.timeOut() : app.open({ name })) }, formTitle(name)))))))
    : h("p", { class: "note" }, texts.end.all);
  return formView(app, { name: "end", title: texts.end.title, before: [before] });
}

/**
 * What the record of the last case lacks; null where no case has ended yet.
 * @param {App} app
 * @returns {HTMLElement | null}
 */
export function completenessOf(app) {
  const found = app.case.state?.completeness;
  if (!found || app.case.underWay) return null;
  const said = app.case.lines("record.amended").filter(({ data }) => data.record === found.record).map(({ data }) => data.type.replace("clinical.", ""));
  const phases = Map.groupBy(found.lacks, (/** @type {any} */ lack) => lack.phase);
  const title = found.complete ? texts.end.complete : texts.end.lacks(found.lacks.length + found.syringes.filter((/** @type {any} */ each) => each.text).length);
  return h("section", { class: "lacks", "aria-labelledby": "lacks-title" },
    h("h2", { id: "lacks-title" }, title),
    h("p", { class: "soft" }, found.record, found.ended_at ? " · " : "", found.ended_at ? timeOf(app, found.ended_at) : "", found.outcome ? ` · ${word(found.outcome)}` : ""),
    found.lacks.length ? h("p", {}, texts.end.touch) : null,
    ...[...phases].map(([phase, lacks]) => h("div", { class: "lack-phase" },
      h("h3", {}, phase ? phaseTitle(phase) : texts.end.whole),
      h("div", { class: "tiles" }, ...lacks.map((/** @type {any} */ lack) => lackOf(app, found.record, lack, said))))),
    listOf(texts.end.syringes, found.syringes.map((/** @type {any} */ each) => each.text).filter(Boolean)),
    listOf(texts.end.deviations, found.deviations),
    listOf(texts.end.unjudged, Object.entries(found.not_assessable ?? {}).map(([rule, why]) => `${rule}: ${why}`)),
    app.forms.has("follow_up") ? h("div", { class: "lack-phase" }, h("h3", {}, texts.end.late), h("div", { class: "tiles" },
      h("button", { type: "button", class: "tile form-tile", "data-form": "follow_up", onclick: () => app.open({ name: "follow_up", amends: found.record }) }, formTitle("follow_up")))) : null);
}

/** @param {string} title @param {string[]} lines */
function listOf(title, lines) {
  return lines.length ? h("div", { class: "lack-phase" }, h("h3", {}, title), h("ul", {}, ...lines.map((line) => h("li", {}, line)))) : null;
}

/** @param {App} app @param {string} record @param {{item: string, text: string}} lack @param {string[]} said */
function lackOf(app, record, lack, said) {
  const form = mending(app, lack.item);
  if (!form) return h("p", { class: "tile lack still" }, h("span", {}, plain(lack.text)), h("span", { class: "soft" }, texts.end.still));
  const mended = said.includes(form);
  return h("button", { type: "button", class: "tile lack", "data-key": lack.item, "data-lack": lack.item, onclick: () => app.open({ name: form, amends: record }) },
    h("span", {}, plain(lack.text)), h("span", { class: "soft" }, mended ? `✓ ${texts.end.mended}` : formTitle(form) === plain(lack.text) ? "" : formTitle(form)));
}

/** @param {App} app @param {string} item @returns {string | null} the form that mends it */
function mending(app, item) {
  const name = item.slice(item.lastIndexOf(".") + 1);
  if (NOBODY_CAN.has(item)) return null;
  const form = MENDS[name] ?? name;
  return app.forms.has(form) && form !== "phase" ? form : null;
}
