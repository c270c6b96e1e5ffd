// @ts-check
/**
 * The time-out as one screen that the team reads aloud: who, what, where, and what must be known, each line agreed on by
 * a touch; then it is recorded as it stands.
 *
 * Rules:
 * - What is read aloud comes from the room: the patient from `private/identity`, the plan from the order, the rest from
 *   what was recorded. What the room does not know it says so, and where to read it.
 * - A line that does not agree can be said so: the entry then says no. Nothing is agreed on by default.
 */
import { personName } from "../format.js";
import { console as texts } from "../texts.js";
import { control } from "./controls.js";
import { h, show } from "./dom.js";
import { lastOf } from "./said.js";
import { blank, draftOf, readField } from "./values.js";
import { brief, fieldTitle, formTitle, say, wrong } from "./words.js";

/** @typedef {import("../console.js").App} App */
/** @typedef {{key: string, title: string, differs: boolean, read: () => Aloud}} Line */
/** @typedef {{value: import("./dom.js").Child[], known: boolean}} Aloud  what is read, and whether the room knows it */

const t = texts.time_out;

/** @param {App} app @returns {import("../console.js").View} */
export function timeOutView(app) {
  const form = app.forms.get("time_out");
  if (!form) return { element: h("p", {}, texts.work.no_schemas) };
  const record = app.case.record;
  const plan = app.case.state?.plan ?? {};
  /** @type {Map<string, "agreed" | "differs">} */
  const agreed = new Map();
  const controls = new Map(form.fields
    .filter((field) => field.name !== "identity" && field.name !== "procedure" && field.name !== "at")
    .map((field) => [field.name, { field, control: control("time_out", field, draftFor(app, field, plan)) }]));
  const told = h("div", { class: "told", role: "alert" });
  const left = h("p", { class: "soft", role: "status" });
  const lines = linesOf(app, controls);
  const elements = lines.map((line) => lineElement(line, agreed, () => count()));
  const count = () => {
    const open = lines.filter((line) => !agreed.has(line.key)).length;
    left.textContent = open ? t.left(open) : "";
    return open;
  };

  const record_it = () => {
    const missing = lines.find((line) => !agreed.has(line.key));
    const read = [...controls.values()].map(({ field, control }) => {
      const found = readField(field, control.draft(), app.zone, field.name);
      control.mark(new Map(found.problems.map((problem) => [problem.path, wrong(problem)])), field.name);
      return { field, ...found };
    });
    const bad = read.find(({ problems }) => problems.length);
    if (bad) {
      elements[lines.findIndex((line) => line.key === bad.field.name)]?.querySelector("details")?.setAttribute("open", "");
      told.replaceChildren(h("p", { class: "refused" }, ...bad.problems.map((problem) => `${fieldTitle("time_out", problem.field)} ${wrong(problem)}`)));
      return controls.get(bad.field.name)?.control.focus();
    }
    told.replaceChildren(...(missing ? [h("p", { class: "refused" }, t.left(count()))] : []));
    if (missing) {
      const line = elements[lines.indexOf(missing)];
      line?.scrollIntoView({ block: "center" });
      return /** @type {HTMLElement | null} */ (line?.querySelector("button"))?.focus();
    }
    const fields = Object.fromEntries(read.filter(({ value }) => value !== undefined).map(({ field, value }) => [field.name, value]));
    fields.identity = agreed.get("identity") === "agreed";
    fields.procedure = agreed.get("procedure") === "agreed";
    app.sheet.ask({ name: "time_out", fields, record, done: (here) => here && app.home(), aside: () => app.home() });
  };

  const element = h("div", { class: "form time-out", role: "group", "aria-labelledby": "view-title" },
    h("header", { class: "head" },
      h("button", { type: "button", class: "plain", onclick: () => app.home() }, texts.form.back),
      h("h2", { id: "view-title", tabindex: -1 }, t.title),
      h("p", { class: "soft" }, t.aloud)),
    h("ol", { class: "aloud" }, ...elements),
    controls.has("team") ? h("div", { class: "team" }, teamOf(app, controls.get("team")?.control)) : null,
    told,
    h("footer", { class: "buttons" }, h("button", { type: "button", class: "do", onclick: record_it }, t.record), left));
  count();
  return { element, whole: true, refresh: () => elements.forEach((each) => each.dispatchEvent(new Event("refresh"))), focus: () => /** @type {HTMLElement | null} */ (element.querySelector("#view-title"))?.focus() };
}

/** @param {App} app @param {import("./schema.js").Field} field @param {any} plan */
function draftFor(app, field, plan) {
  if (field.name === "site_marked") {
    const marked = lastOf(app.case.said, "sign_in")?.site_marked;
    return marked === undefined ? blank(field) : marked;
  }
  const value = plan[field.name];
  return value && value.length !== 0 ? draftOf(field, value, app.zone) : blank(field);
}

/**
 * @param {App} app
 * @param {Map<string, {field: import("./schema.js").Field, control: import("./controls.js").Control}>} controls
 * @returns {Line[]}
 */
function linesOf(app, controls) {
  /** @type {Line[]} */
  const lines = [
    { key: "identity", title: t.patient, differs: true, read: () => patient(app) },
    { key: "procedure", title: t.procedure, differs: true, read: () => procedure(app) },
  ];
  for (const name of ["approach", "side", "levels", "site_marked"]) {
    const found = controls.get(name);
    if (!found) continue;
    const value = [chosen(app, found.field, found.control)];
    lines.push({ key: name, title: titleOf(name), differs: false, read: () => ({ value, known: true }) });
  }
  for (const name of ["allergies", "anticoagulants"]) {
    lines.push({ key: name, title: titleOf(name), differs: false, read: () => recorded(app, name) });
  }
  return lines;
}

/** @param {App} app @returns {Aloud} */
function patient(app) {
  const { identity } = app.case;
  if (!identity) return { value: [t.unknown], known: false };
  const more = [identity.birth_date && texts.header.born(identity.birth_date), identity.id].filter(Boolean);
  return { value: [h("b", {}, personName(identity.name)), ...more.map((part) => h("span", {}, part))], known: true };
}

/** @param {App} app @returns {Aloud} */
function procedure(app) {
  const named = app.case.state?.procedure;
  return { value: [named ? h("b", {}, named) : t.unknown], known: Boolean(named) };
}

/**
 * Who takes part: the names that this tablet knows are there to be touched.
 * @param {App} app
 * @param {any} control
 */
function teamOf(app, control) {
  const names = app.staff.names.map((name) => {
    const button = h("button", { type: "button", class: "mark", onclick: () => {
      control.add(name);
      button.remove();
    } }, `+ ${name}`);
    return button;
  });
  control.element.append(h("div", { class: "scale" }, ...names));
  return control.element;
}

/** @param {string} name @returns {string} */
function titleOf(name) {
  return /** @type {any} */ (t)[name];
}

/**
 * What is chosen in a control, to be read aloud, and the control itself behind it.
 * @param {App} app
 * @param {import("./schema.js").Field} field
 * @param {import("./controls.js").Control} control
 * @returns {HTMLElement}
 */
function chosen(app, field, control) {
  if (field.kind === "yes_no") return control.element; // short enough to stand open
  const value = h("b", {});
  const details = h("details", {}, h("summary", {}, t.change), control.element);
  const draw = () => {
    const read = readField(field, control.draft(), app.zone, field.name);
    value.textContent = read.value === undefined ? t.choose : say(field, read.value, app.zone);
    return read.value !== undefined;
  };
  details.open = !draw();
  details.addEventListener("input", draw);
  return h("div", { class: "chosen" }, value, details);
}

/** What was recorded on a form, all of it. @param {App} app @param {string} name @returns {Aloud} */
function recorded(app, name) {
  const form = app.forms.get(name);
  const said = app.case.said.filter((each) => each.form === name && each.counts !== null);
  const value = form && said.length
    ? said.map(({ counts }) => h("b", {}, counts?.none ? [t.none, brief(form, { ...counts, none: undefined }, app.zone)].filter(Boolean).join(", ") : brief(form, { ...counts, none: undefined }, app.zone)))
    : [h("span", {}, t.not_recorded), h("button", { type: "button", class: "plain", onclick: () => app.open({ name }) }, formTitle(name))];
  return { value, known: said.length > 0 };
}

/**
 * @param {Line} line
 * @param {Map<string, "agreed" | "differs">} agreed
 * @param {() => void} changed
 */
function lineElement(line, agreed, changed) {
  /** @type {HTMLButtonElement[]} */
  const buttons = [];
  const touch = (/** @type {"agreed" | "differs"} */ what) => () => {
    if (agreed.get(line.key) === what) agreed.delete(line.key);
    else agreed.set(line.key, what);
    draw();
    changed();
  };
  const button = (/** @type {"agreed" | "differs"} */ what, /** @type {string} */ label) => {
    const made = h("button", { type: "button", class: `tick-button ${what}`, "aria-label": `${line.title}: ${label}`, onclick: touch(what) }, h("span", { class: "box", "aria-hidden": "true" }), label);
    made.dataset.what = what;
    buttons.push(made);
    return made;
  };
  const value = h("div", { class: "value" });
  const element = h("li", { "data-line": line.key },
    h("div", { class: "line" }, h("h3", {}, line.title), value),
    h("div", { class: "ticks" }, button("agreed", t.tick), line.differs ? button("differs", t.differs) : null));
  const draw = () => {
    const now = agreed.get(line.key);
    buttons.forEach((each) => each.setAttribute("aria-pressed", String(each.dataset.what === now)));
    element.classList.toggle("is-agreed", now === "agreed");
    element.classList.toggle("is-different", now === "differs");
  };
  const anew = () => { // what was agreed on is not what stands there now
    agreed.delete(line.key);
    draw();
    changed();
  };
  const read = () => {
    const { value: now, known } = line.read();
    if (now[0] instanceof Node && value.contains(now[0])) return false; // a control, which draws itself
    element.classList.toggle("is-unknown", !known);
    const before = value.textContent;
    show(value, ...now);
    return before !== value.textContent;
  };
  element.addEventListener("input", anew);
  element.addEventListener("refresh", () => {
    if (read()) anew();
  });
  read();
  draw();
  return element;
}
