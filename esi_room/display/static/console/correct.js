// @ts-check
/**
 * Undo: an entry is not taken back, a correction is added that says what it should have said, or that it should not
 * have been said at all, and why.
 */
import { console as texts } from "../texts.js";
import { control, fresh } from "./controls.js";
import { h } from "./dom.js";
import { firstWrong, summary } from "./formview.js";
import { fieldsOf } from "./groups.js";
import { briefOf } from "./log.js";
import { changes, draftOfGroup, readField, readGroup } from "./values.js";
import { fieldTitle, formTitle, say, wrong } from "./words.js";

/**
 * @param {import("../console.js").App} app
 * @param {number} seq
 * @returns {import("../console.js").View}
 */
export function correctView(app, seq) {
  const said = app.case.said.find((each) => each.seq === seq);
  const form = said && app.forms.get(said.form);
  const correction = app.forms.get("correction");
  const reasonField = correction?.fields.find((field) => field.name === "reason");
  if (!said || !said.counts || !form || !reasonField) return { element: h("p", {}, texts.work.no_schemas) };
  const record = app.case.record;
  const fields = form.fields.filter((field) => field.name !== "at");
  const made = fieldsOf(said.form, fields, draftOfGroup(fields, said.counts, app.zone));
  const before = readGroup(fields, made.draft(), app.zone).value;
  const reason = reasonControl(reasonField);
  const told = h("div", { class: "told", role: "alert" });
  const body = h("div", { class: "fields" }, ...made.elements);

  const ask = (/** @type {Record<string, any>} */ content, /** @type {{title: string, text: string}[]} */ lines) => {
    const why = readField(reasonField, reason.draft(), app.zone, "reason");
    reason.mark(new Map(why.problems.map((problem) => [problem.path, wrong(problem)])), "reason");
    if (why.problems.length) {
      told.replaceChildren(...summary("correction", why.problems));
      return reason.focus();
    }
    app.sheet.ask({
      name: "correction",
      fields: { seq, reason: why.value, ...content },
      record,
      title: texts.correct.title(formTitle(said.form), seq),
      lines: [...lines, { title: texts.correct.reason, text: why.value }],
      done: (here) => here && app.home(),
      aside: () => app.home(),
    });
  };
  const change = () => {
    const { value, problems } = readGroup(fields, made.draft(), app.zone);
    made.mark(new Map(problems.map((problem) => [problem.path, wrong(problem)])), "");
    told.replaceChildren(...summary(said.form, problems));
    if (problems.length) return firstWrong(body)?.focus();
    const changed = changes(before, value);
    if (!Object.keys(changed).length) return told.replaceChildren(h("p", {}, texts.correct.unchanged));
    const lines = fields.filter((field) => field.name in changed).map((field) => ({
      title: fieldTitle(said.form, field),
      text: texts.correct.from_to(say(field, before[field.name], app.zone), say(field, changed[field.name], app.zone)),
    }));
    ask({ fields: changed }, lines);
  };
  const withdraw = () => ask({ withdrawn: true }, [{ title: texts.log.withdrawn, text: briefOf(app, said, said.counts ?? {}) }]);

  const element = h("form", { class: "form", novalidate: true, "aria-labelledby": "view-title", onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    change();
  } },
    h("header", { class: "head" },
      h("button", { type: "button", class: "plain", onclick: () => app.home() }, texts.form.back),
      h("h2", { id: "view-title", tabindex: -1 }, texts.correct.title(formTitle(said.form), seq))),
    h("p", { class: "note" }, texts.correct.stays),
    h("div", { class: "fields" }, reason.element),
    h("h3", {}, texts.correct.should),
    body,
    told,
    h("footer", { class: "buttons" },
      h("button", { class: "do" }, texts.form.review),
      h("button", { type: "button", class: "plain", onclick: withdraw }, texts.correct.withdraw)));
  return { element, focus: () => reason.focus() };
}

/**
 * Why, with the usual reasons to touch.
 * @param {import("./schema.js").Field} field
 */
function reasonControl(field) {
  const typed = control("correction", field, "");
  const input = /** @type {HTMLTextAreaElement} */ (typed.element.querySelector("textarea, input"));
  const buttons = texts.correct.reasons.map((reason) =>
    h("button", { type: "button", class: "mark", onclick: () => (input.value = reason) }, reason));
  typed.element.append(h("div", { class: "scale", id: fresh() }, ...buttons));
  return typed;
}
