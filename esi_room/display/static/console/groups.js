// @ts-check
/**
 * Controls made of controls: a group of fields (a drug and its volume), a list (the components of a syringe), and the
 * fields of a whole form.
 */
import { console as texts } from "../texts.js";
import { control, fresh, titleOf } from "./controls.js";
import { h } from "./dom.js";
import { blank, blankGroup } from "./values.js";
import { fieldTitle, itemName } from "./words.js";

/** @typedef {import("./schema.js").Field} Field */
/** @typedef {import("./controls.js").Control} Control */

/**
 * The fields of a form or group, in order.
 * @param {string} place
 * @param {Field[]} fields
 * @param {Record<string, any>} drafts
 */
export function fieldsOf(place, fields, drafts) {
  const controls = fields.map((field) => ({ field, control: control(place, field, drafts[field.name]) }));
  return {
    elements: controls.map(({ field, control }) => (field.name === "at" ? earlier(control.element, drafts.at) : control.element)),
    draft: () => Object.fromEntries(controls.map(({ field, control }) => [field.name, control.draft()])),
    mark: (/** @type {Map<string, string>} */ wrong, /** @type {string} */ prefix) =>
      controls.forEach(({ field, control }) => control.mark(wrong, prefix + field.name)),
    focus: () => controls[0]?.control.focus(),
  };
}

/** In minutes: how long ago it mostly was that somebody comes to say it. */
const AGO = [1, 2, 5, 10, 15];

/**
 * When it happened, if not now: out of the way until it is wanted. What "5 min ago" is by the room's clock, the form
 * knows: it hears `ago`, an event of the input.
 * @param {HTMLElement} element
 * @param {any} draft
 */
function earlier(element, draft) {
  const input = /** @type {HTMLInputElement} */ (element.querySelector("input"));
  const buttons = AGO.map((minutes) => {
    const touch = () => input.dispatchEvent(new CustomEvent("ago", { bubbles: true, detail: minutes }));
    return h("button", { type: "button", class: "mark", onclick: touch }, texts.ago(minutes));
  });
  element.append(h("div", { class: "scale" }, ...buttons));
  return h("details", { class: "earlier", open: Boolean(draft) }, h("summary", {}, texts.earlier), element);
}

/**
 * A group of fields; one that may be left out is there once it is added.
 * @param {string} place
 * @param {Field} field
 * @param {Record<string, any> | null} draft
 * @returns {Control}
 */
export function group(place, field, draft) {
  const title = fieldTitle(place, field);
  const body = h("div", { class: "fields" });
  /** @type {ReturnType<typeof fieldsOf> | null} */
  let inner = null;
  const fill = (/** @type {Record<string, any> | null} */ drafts) => {
    inner = drafts === null ? null : fieldsOf(field.name, field.fields ?? [], drafts);
    body.replaceChildren(...(inner?.elements ?? []));
    if (toggle) toggle.textContent = inner ? texts.leave_out(title.toLowerCase()) : texts.add(title.toLowerCase());
  };
  const flip = () => {
    fill(inner ? null : blankGroup(field.fields ?? []));
    inner?.focus();
  };
  const toggle = field.required ? null : h("button", { type: "button", class: "quiet", onclick: flip });
  const wrong = h("p", { class: "wrong", hidden: true });
  const element = h("fieldset", { class: "group", "data-field": field.name }, h("legend", {}, titleOf(place, field)), body, toggle, wrong);
  fill(draft);
  return {
    element,
    draft: () => inner?.draft() ?? null,
    mark: (problems, path) => {
      wrong.hidden = !problems.get(path);
      wrong.textContent = problems.get(path) ?? "";
      inner?.mark(problems, `${path}.`);
    },
    focus: () => (inner ? inner.focus() : toggle?.focus()),
  };
}

/**
 * A list, which grows and shrinks by whole items.
 * @param {string} place
 * @param {Field} field
 * @param {any[]} drafts
 * @returns {Control & {add: (draft: any) => void}}
 */
export function list(place, field, drafts) {
  const item = /** @type {Field} */ ({ ...field.item, name: itemName(field), required: true });
  const title = fieldTitle(field.name, item);
  const rows = h("ol", { class: "items" });
  /** @type {{row: HTMLElement, control: Control}[]} */
  let items = [];
  const add = (/** @type {any} */ draft, focus = true) => {
    const made = control(field.name, item, draft);
    const remove = () => {
      items = items.filter((each) => each.control !== made);
      row.remove();
      (items.at(-1)?.control ?? { focus: () => button.focus() }).focus();
    };
    const away = h("button", { type: "button", class: "quiet", onclick: remove }, texts.leave_out(title.toLowerCase()));
    const row = h("li", {}, made.element, away);
    items.push({ row, control: made });
    rows.append(row);
    if (focus) made.focus();
  };
  const button = h("button", { type: "button", class: "quiet", onclick: () => add(blank(item)) }, texts.add(title.toLowerCase()));
  const wrong = h("p", { class: "wrong", id: fresh(), hidden: true });
  const element = h("fieldset", { class: "group", "data-field": field.name, "aria-describedby": wrong.id },
    h("legend", {}, titleOf(place, field)), rows, button, wrong);
  drafts.forEach((draft) => add(draft, false));
  return {
    element,
    draft: () => items.map(({ control }) => control.draft()),
    mark: (problems, path) => {
      wrong.hidden = !problems.get(path);
      wrong.textContent = problems.get(path) ?? "";
      items.forEach(({ control }, n) => control.mark(problems, `${path}.${n}`));
    },
    focus: () => (items[0]?.control ?? { focus: () => button.focus() }).focus(),
    add: (/** @type {any} */ draft) => add(draft, false),
  };
}
