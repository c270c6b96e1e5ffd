// @ts-check
/**
 * One form, rendered from its schema, with what is known of it filled in.
 *
 * Rules:
 * - What was typed is kept until it is recorded or cleared: also when the form is left, or the room is away.
 * - The record that it belongs to is the one that was open when the form was opened.
 */
import { console as texts } from "../texts.js";
import { h } from "./dom.js";
import { fieldsOf } from "./groups.js";
import { blankGroup, draftOfGroup, readGroup } from "./values.js";
import { fieldTitle, formTitle, wrong } from "./words.js";
import { momentToLocal } from "./zone.js";

/**
 * @typedef {object} Opening
 * @property {string} name
 * @property {Record<string, any>} [fields]  filled in
 * @property {Record<string, any>} [fixed]   sent along, and not to be filled in
 * @property {string[]} [shown]              groups that may be left out, and are there at first
 * @property {string} [amends]               a sealed record that it is said of
 * @property {string} [title]
 * @property {import("./dom.js").Child[]} [before]  what stands above the fields
 */

/** What was typed and not recorded, by record and form. */
export class Kept {
  /** @type {Map<string, any>} */
  #drafts = new Map();

  /** @param {string} key @returns {any} */
  get(key) {
    return this.#drafts.get(key);
  }

  /** @param {string} key @param {any} draft */
  set(key, draft) {
    this.#drafts.set(key, draft);
  }

  /** @param {string} key */
  drop(key) {
    this.#drafts.delete(key);
  }
}

/**
 * @param {import("../console.js").App} app
 * @param {Opening} opening
 * @returns {import("../console.js").View}
 */
export function formView(app, opening) {
  const { name, amends, fixed = {} } = opening;
  const form = app.forms.get(name);
  if (!form) return { element: h("p", {}, texts.work.no_schemas) };
  const record = app.case.record;
  const key = `${amends ?? record}/${name}/${JSON.stringify(fixed)}`;
  const fields = form.fields.filter((field) => !(field.name in fixed));
  const title = opening.title ?? formTitle(name);
  const shown = Object.fromEntries((opening.shown ?? []).map((group) => [group, {}]));
  const fresh = () => draftOfGroup(fields, { ...shown, ...opening.fields }, app.zone);
  const before = opening.fields ? undefined : app.kept.get(key);
  let made = fieldsOf(name, fields, before ?? fresh());
  const first = JSON.stringify(made.draft());
  const body = h("div", { class: "fields" }, ...made.elements);
  body.addEventListener("ago", (event) => {
    const now = app.room.clock.at();
    const input = /** @type {HTMLInputElement} */ (event.target);
    const then = now === null ? "" : new Date(now - /** @type {CustomEvent} */ (event).detail * 60_000).toISOString();
    input.value = momentToLocal(then, app.zone).slice(0, 19); // whole seconds: nobody knows it better
  });
  const told = h("div", { class: "told", role: "alert" });
  const another = h("p", { class: "note refused", role: "alert", hidden: true }, texts.form.another(record ?? ""));

  const review = () => {
    const { value, problems } = readGroup(fields, made.draft(), app.zone);
    const words = new Map(problems.map((problem) => [problem.path, wrong(problem)]));
    made.mark(words, "");
    told.replaceChildren(...summary(name, problems));
    if (problems.length) return firstWrong(body)?.focus();
    const { at, ...said } = value;
    const wish = amends
      ? { name: "amend", fields: { record: amends, form: name, fields: said, ...(at ? { at } : {}) } }
      : { name, fields: { ...value, ...fixed } };
    const lines = amends ? { title, lines: app.linesOf(name, value) } : {};
    app.sheet.ask({ ...wish, ...lines, record, change: () => made.focus(), aside: () => app.home(), done: (here) => {
      app.kept.drop(key);
      done = true;
      if (here) app.home();
    } });
  };
  let done = false;
  const clear = () => {
    app.kept.drop(key);
    made = fieldsOf(name, fields, blankGroup(fields));
    body.replaceChildren(...made.elements);
    made.focus();
  };
  const element = h("form", { class: "form", novalidate: true, "aria-labelledby": "view-title", onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    review();
  } },
    h("header", { class: "head" },
      h("button", { type: "button", class: "plain", onclick: () => app.home() }, texts.form.back),
      h("h2", { id: "view-title", tabindex: -1 }, title)),
    amends ? h("p", { class: "note" }, texts.form.amends(amends)) : null,
    another,
    before ? h("p", { class: "note" }, texts.form.kept) : null,
    ...(opening.before ?? []),
    body,
    told,
    h("footer", { class: "buttons" },
      h("button", { class: "do" }, texts.form.review),
      h("button", { type: "button", class: "plain", onclick: clear }, texts.form.clear)),
    form.about ? h("details", { class: "about" }, h("summary", {}, texts.form.about), h("p", {}, form.about.replace(/`/g, ""))) : null);
  return {
    element,
    focus: () => made.focus(),
    refresh: () => {
      another.hidden = Boolean(amends) || app.case.record === record;
    },
    leave: () => {
      if (!done && JSON.stringify(made.draft()) !== first) app.kept.set(key, made.draft());
    },
  };
}

/**
 * What is not right yet, in one list.
 * @param {string} place
 * @param {import("./values.js").Problem[]} problems
 */
export function summary(place, problems) {
  if (!problems.length) return [];
  const lines = problems.map((problem) => h("li", {}, `${fieldTitle(place, problem.field)} ${wrong(problem)}`));
  return [h("p", { class: "refused" }, texts.problems.first(problems.length)), h("ul", {}, ...lines)];
}

/** @param {HTMLElement} body @returns {HTMLElement | null} */
export function firstWrong(body) {
  return body.querySelector("[aria-invalid]") ?? body.querySelector(".is-wrong input, .group button");
}
