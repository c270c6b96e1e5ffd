// @ts-check
/**
 * The confirmation: what exactly will be recorded, in words, and then the room's own answer.
 *
 * Rules:
 * - One touch sends once. What has been sent is not sent anew: the same request, under the same id, is repeated until
 *   it is answered, and the room acts once on an id.
 * - Nothing is called recorded before the room has said so. What was refused goes back to be changed.
 * - `record` goes along with everything that takes it, as it was when the form was opened: what was meant for one
 *   patient is refused by the room once another case is open, and held back here before that.
 */
import { console as texts } from "../texts.js";
import { control } from "./controls.js";
import { focusOn, h, show } from "./dom.js";
import { Pending } from "./pending.js";
import { draftOf, readField } from "./values.js";
import { brief, formTitle, phaseTitle, rows, wrong } from "./words.js";

/** The entry's own time follows its answer within so long, or the answer is shown without. */
const ENTRY_MS = 1000;

/**
 * @typedef {object} Wish
 * @property {string} name                    of the command
 * @property {Record<string, any>} fields
 * @property {string | null} record           the open record when it was begun
 * @property {string} [title]
 * @property {string[]} [ask]                 fields to look over here: `volume_ml`, `component.volume_ml`
 * @property {{title: string, text: string}[]} [lines]  in place of the form's own
 * @property {() => void} [change]            open the form
 * @property {(here: boolean) => void} [done] it is recorded; `here`: the confirmation was still open
 * @property {() => void} [aside]             it waits for its answer, and something else goes on
 */

export class Sheet {
  /** @type {Wish | null} */
  #wish = null;
  #sent = false;
  /** What was touched, to go back to. @type {string | null} */
  #from = null;
  /** @type {Pending | null} */
  #pending = null;
  /** @type {{path: string[], field: any, control: import("./controls.js").Control}[]} */
  #asked = [];

  /** @param {import("../console.js").App} app */
  constructor(app) {
    this.app = app;
    this.dialog = h("dialog", { class: "sheet", "aria-labelledby": "sheet-title" });
    this.dialog.addEventListener("close", () => {
      if (!this.dialog.open) this.#closed(); // it may have been opened again before this is told
    });
    this.dialog.addEventListener("keydown", (event) => {
      if (event.repeat && event.key === "Enter") event.preventDefault(); // held down since the button before
    });
    this.dialog.addEventListener("input", () => {
      const fields = this.#fields();
      if (fields !== null) this.dialog.querySelector(".lines")?.replaceChildren(...this.#listed(fields));
    });
    document.body.append(this.dialog);
  }

  /** @param {Wish} wish */
  ask(wish) {
    this.#from = document.activeElement?.closest("[data-key]")?.getAttribute("data-key") ?? null;
    this.#wish = wish;
    this.#sent = false;
    this.#asked = (wish.ask ?? []).map((path) => this.#askFor(path.split(".")));
    this.#draw("ask");
    this.dialog.showModal();
    // What is to be typed first; otherwise no keyboard pops up in front of what is to be read.
    const open = this.#asked.find(({ control }) => control.draft() === "")?.control;
    (open ?? /** @type {HTMLElement | null} */ (this.dialog.querySelector(".do")))?.focus();
  }

  /** What the link or the case has become shows in a sheet that is open. */
  refresh() {
    if (this.dialog.open && !this.#sent) this.#hold();
  }

  /** @param {string[]} path */
  #askFor(path) {
    const wish = /** @type {Wish} */ (this.#wish);
    /** @type {any} */
    let field = { fields: this.app.forms.get(wish.name)?.fields };
    /** @type {any} */
    let value = wish.fields;
    for (const step of path) {
      field = field.fields.find((/** @type {any} */ each) => each.name === step);
      value = value?.[step];
    }
    field = { ...field, required: true };
    return { path, field, control: control(path.at(-2) ?? wish.name, field, draftOf(field, value, this.app.zone)) };
  }

  // --- what it shows --------------------------------------------------------------------------------------

  /** @param {"ask" | "refused"} state @param {string[]} [problems] */
  #draw(state, problems = []) {
    const wish = /** @type {Wish} */ (this.#wish);
    const { app } = this;
    const where = app.caseTitle();
    show(this.dialog,
      h("p", { class: "kicker" }, texts.sheet.ask),
      h("h2", { id: "sheet-title" }, wish.title ?? this.#title()),
      h("dl", { class: "lines" }, ...this.#listed(wish.fields)),
      ...this.#asked.map(({ control }) => control.element),
      h("p", { class: "soft" }, [app.staff.actor ? texts.sheet.by(app.staff.actor) : "", where ? texts.sheet.case(where) : ""].filter(Boolean).join(", ")),
      h("div", { class: "told", role: "alert" }, ...this.#refusal(state, problems)),
      this.#buttons(state));
    this.#hold();
  }

  /** What will be recorded, line by line. @param {Record<string, any>} fields */
  #listed(fields) {
    const lines = this.#wish?.lines ?? this.#lines(fields);
    return lines.flatMap(({ title, text }) => [h("dt", {}, title), h("dd", {}, text)]);
  }

  /** @param {string} state @param {string[]} problems */
  #refusal(state, problems) {
    if (state !== "refused") return [];
    return [h("p", { class: "refused" }, texts.sheet.refused), h("ul", {}, ...problems.map((problem) => h("li", {}, problem)))];
  }

  /** @param {string} state */
  #buttons(state) {
    const wish = /** @type {Wish} */ (this.#wish);
    const record = state === "ask" && h("button", { type: "button", class: "do", onclick: (/** @type {MouseEvent} */ event) => {
      if (event.detail < 2) this.#record(); // the second half of a double touch means nothing
    } }, texts.sheet.record);
    const change = wish.change && h("button", { type: "button", class: "plain", onclick: () => this.#change() }, texts.sheet.change);
    const cancel = h("button", { type: "button", class: "plain", onclick: () => this.#close() }, state === "ask" ? texts.sheet.cancel : texts.sheet.close);
    return h("div", { class: "buttons" }, record || null, change ?? null, cancel);
  }

  #title() {
    const wish = /** @type {Wish} */ (this.#wish);
    return wish.name === "phase" ? texts.sheet.phase(phaseTitle(wish.fields.phase)) : formTitle(wish.name);
  }

  /** @param {Record<string, any>} fields @returns {{title: string, text: string}[]} */
  #lines(fields) {
    const { name } = /** @type {Wish} */ (this.#wish);
    const shown = name === "phase" ? { ...fields, phase: undefined } : fields;
    return rows(name, this.app.forms.get(name)?.fields ?? [], shown, this.app.zone);
  }

  /** Whether it can be recorded now, and if not, why. */
  #hold() {
    const why = this.#why();
    const told = this.dialog.querySelector(".told");
    const button = /** @type {HTMLButtonElement | null} */ (this.dialog.querySelector(".do"));
    if (!told || !button) return;
    button.disabled = why !== "";
    const mine = told.querySelector(".held");
    if (mine?.textContent === why) return;
    mine?.remove();
    if (why) told.append(h("p", { class: "held refused" }, why, this.#otherWay()));
  }

  #why() {
    const { app } = this;
    if (!app.room.present) return texts.sheet.away;
    return this.#isOthers() ? texts.form.another(/** @type {Wish} */ (this.#wish).record ?? "") : "";
  }

  /** Whether it was begun in another record than the open one. */
  #isOthers() {
    const { name, record } = /** @type {Wish} */ (this.#wish);
    return name !== "amend" && record !== null && record !== this.app.case.record;
  }

  /** What was meant for a record that is closed now can still be said of it. */
  #otherWay() {
    const { name, fields, record } = /** @type {Wish} */ (this.#wish);
    if (!this.#isOthers() || !this.app.room.present || !this.app.forms.get(name)?.takes.has("at")) return null;
    const amend = () => {
      const { at, ...said } = fields;
      const lines = this.#lines(fields);
      this.#close();
      this.ask({ name: "amend", fields: { record, form: name, fields: said, ...(at ? { at } : {}) }, record, title: formTitle(name), lines: [{ title: formTitle("amend"), text: record ?? "" }, ...lines] });
    };
    return h("button", { type: "button", class: "plain", onclick: amend }, texts.sheet.amend);
  }

  #change() {
    const change = this.#wish?.change;
    this.#close();
    change?.();
  }

  // --- sending --------------------------------------------------------------------------------------------

  /** The fields as they stand, those looked over here included; null where one of these is wrong. */
  #fields() {
    const wish = /** @type {Wish} */ (this.#wish);
    const fields = structuredClone(wish.fields);
    let fits = true;
    for (const { path, field, control } of this.#asked) {
      const read = readField(field, control.draft(), this.app.zone, path.join("."));
      control.mark(new Map(read.problems.map((problem) => [problem.path, wrong(problem)])), path.join("."));
      fits &&= read.problems.length === 0;
      /** @type {any} */
      let place = fields;
      for (const step of path.slice(0, -1)) place = place[step] ??= {};
      place[/** @type {string} */ (path.at(-1))] = read.value;
    }
    return fits ? fields : null;
  }

  async #record() {
    const wish = /** @type {Wish} */ (this.#wish);
    const { app } = this;
    if (this.#sent || this.#why()) return this.#hold();
    if (!app.staff.actor) return app.staff.ask(() => this.#redraw());
    const fields = this.#fields();
    if (fields === null) return;
    if (app.forms.get(wish.name)?.takes.has("record") && wish.name !== "amend") fields.record = wish.record;
    await this.#send(wish, fields, this.#inWords(fields));
  }

  /** @param {Wish} wish @param {Record<string, any>} fields @param {string} what */
  async #send(wish, fields, what) {
    this.#sent = true;
    const { room, staff, answers } = this.app;
    const giveUp = new AbortController();
    const pending = new Pending(this.dialog, what, answers, () => giveUp.abort(), () => this.#close());
    this.#pending = pending;
    const asked = room.command(wish.name, { ...fields, actor: staff.actor }, giveUp.signal);
    const reply = await asked.catch(() => null); // nobody waits any more
    pending.over();
    if (reply === null) answers.stopped(what);
    else await this.#answered(wish, what, reply);
  }

  /** Who acts is known now: look it over again. */
  #redraw() {
    this.#draw("ask");
    /** @type {HTMLElement | null} */ (this.dialog.querySelector(".do"))?.focus();
  }

  /** @param {Record<string, any>} fields */
  #inWords(fields) {
    const { name, title } = /** @type {Wish} */ (this.#wish);
    const form = this.app.forms.get(name);
    const said = form && name !== "phase" && name !== "amend" && name !== "correction" ? brief(form, fields, this.app.zone) : "";
    return [title ?? this.#title(), said].filter(Boolean).join(": ");
  }

  /** @param {Wish} wish @param {string} what @param {import("../requests.js").Reply} reply */
  async #answered(wish, what, reply) {
    const here = this.#wish === wish && this.dialog.open;
    if (!reply.ok) {
      const problems = reply.problems.length ? reply.problems : [reply.message];
      if (!here) return this.app.answers.refused(what, problems);
      this.#sent = false;
      return this.#draw("refused", problems);
    }
    if (here) this.#close();
    wish.done?.(here);
    this.app.answers.recorded(what, reply.seq ?? 0, await this.#timeOf(reply.seq));
  }

  /** The entry's own time, once it has come. @param {number | null} seq */
  #timeOf(seq) {
    const { app } = this;
    return new Promise((/** @type {(time: string) => void} */ resolve) => {
      const look = () => {
        const line = app.case.line(seq ?? -1);
        if (line) finish(app.times.second(line.received));
      };
      const finish = (/** @type {string} */ time) => {
        app.case.removeEventListener("change", look);
        clearTimeout(late);
        resolve(time);
      };
      const late = setTimeout(() => finish(""), ENTRY_MS);
      app.case.addEventListener("change", look);
      look();
    });
  }

  #close() {
    this.dialog.close();
    this.#closed();
  }

  #closed() {
    if (this.#pending?.aside()) this.#wish?.aside?.();
    this.#pending = null;
    this.#wish = null;
    this.#asked = [];
    if (this.#from && document.activeElement === document.body) focusOn(this.#from); // it was drawn anew meanwhile
  }
}
