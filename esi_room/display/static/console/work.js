// @ts-check
/**
 * The work of a phase: what is said often in two touches, then the forms of this phase, then all others.
 */
import { console as texts } from "../texts.js";
import { h } from "./dom.js";
import { ANY_TIME, ELSEWHERE, FORMS, rowsOf } from "./presets.js";
import { formTitle, phaseTitle } from "./words.js";

/** @typedef {import("../console.js").App} App */
/** @typedef {import("./presets.js").Preset} Preset */

/**
 * @param {App} app
 * @returns {HTMLElement}
 */
export function workOf(app) {
  const { phase, underWay } = app.case;
  if (!app.case.state) return h("div", {}); // the head says that nothing is known yet
  if (!underWay) return standby(app);
  const own = FORMS[phase ?? ""] ?? [];
  const others = Object.keys(FORMS).filter((each) => each !== phase && FORMS[each].length);
  return h("div", { class: "work" },
    phase === null ? h("p", { class: "note" }, texts.work.no_phase) : null,
    phase === "preparation" || phase === "guidance" ? timeOut(app) : null,
    ...often(app, phase),
    own.length ? section(app, texts.work.forms, own, "own") : null,
    section(app, texts.work.any, ANY_TIME.filter((name) => !own.includes(name)), "any"),
    h("details", { class: "others", "data-key": "others" },
      h("summary", { "data-key": "others-summary" }, texts.work.others),
      ...others.map((each) => section(app, phaseTitle(each), FORMS[each], each)),
      section(app, texts.work.more, unplaced(app), "more")));
}

/** @param {App} app */
function standby(app) {
  return h("div", { class: "work" },
    h("button", { type: "button", class: "tile wide", "data-key": "start-wide", onclick: () => app.start() }, h("b", {}, texts.start.title)),
    ...often(app, null),
    section(app, texts.work.more, unplaced(app), "more"));
}

/** @param {App} app @returns {string[]} forms that have no place of their own here: new ones, too */
function unplaced(app) {
  const placed = new Set([...Object.values(FORMS).flat(), ...ANY_TIME, ...ELSEWHERE, "follow_up"]);
  return [...app.forms.keys()].filter((name) => !placed.has(name));
}

/** @param {App} app */
function timeOut(app) {
  const times = app.case.times.get("time_out") ?? 0;
  return h("button", { type: "button", class: `tile wide${times ? " is-said" : ""}`, "data-key": "time-out", onclick: () => app.timeOut() },
    h("b", {}, texts.work.time_out), tick(times));
}

/** @param {App} app @param {string | null} phase */
function often(app, phase) {
  return rowsOf(phase, { forms: app.forms, said: app.case.said }).map(({ key, title, scale, presets }) =>
    h("section", { class: "often", "data-key": `often-${key}`, "aria-label": title },
      h("h3", {}, title),
      h("div", { class: scale ? "row scale" : "row" }, ...presets.map((preset) => touch(app, preset, `${key}-${preset.label}`, title)))));
}

/** @param {App} app @param {Preset} preset @param {string} key @param {string} title */
function touch(app, preset, key, title) {
  const { form, fields, ask } = preset;
  const open = () => app.open({ name: form, fields });
  const first = () => (preset.open ? open() : app.sheet.ask({ name: form, fields, ask, record: app.case.record, change: open }));
  return h("button", { type: "button", class: preset.first ? "tile first" : "tile", "data-key": key, "data-says": JSON.stringify(fields), "aria-label": `${title}: ${preset.label}`, onclick: first }, preset.label);
}

/** @param {App} app @param {string} title @param {string[]} names @param {string} key */
function section(app, title, names, key) {
  const known = names.filter((name) => app.forms.has(name));
  return known.length === 0 ? null : h("section", { class: "forms", "data-key": `forms-${key}`, "aria-label": title },
    h("h3", {}, title),
    h("div", { class: "tiles" }, ...known.map((name) => tile(app, name, key))));
}

/** @param {App} app @param {string} name @param {string} key */
function tile(app, name, key) {
  const times = app.case.times.get(name) ?? 0;
  const open = () => (name === "time_out" ? app.timeOut() : app.open({ name }));
  return h("button", { type: "button", class: `tile form-tile${times ? " is-said" : ""}`, "data-key": `${key}-${name}`, "data-form": name, onclick: open },
    h("span", {}, formTitle(name)), tick(times));
}

/** @param {number} times */
function tick(times) {
  return times ? h("span", { class: "tick" }, h("span", { "aria-hidden": "true" }, "✓ "), texts.work.said(times)) : null;
}
