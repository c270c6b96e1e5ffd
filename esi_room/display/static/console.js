// @ts-check
/**
 * The console: what the staff say to the room, for gloved hands on a tablet.
 *
 * Rules:
 * - It stands on the MQTT contract and the published schemas alone: forms are rendered, not written down here.
 * - Nothing is shown as recorded but what the room has written; while the room is away, nothing pretends to be.
 * - One thing at a time: the work of the phase, or one form over it, or the confirmation over that.
 */
import { configuration } from "./config.js";
import { alertsOf } from "./console/alerts.js";
import { Answers } from "./console/answers.js";
import { Case } from "./console/case.js";
import { correctView } from "./console/correct.js";
import { show } from "./console/dom.js";
import { completenessOf, endView, startView } from "./console/ends.js";
import { formView, Kept } from "./console/formview.js";
import { awayOf, barOf, phasesOf } from "./console/header.js";
import { logOf } from "./console/log.js";
import { forms } from "./console/schemas.js";
import { Sheet } from "./console/sheet.js";
import { Staff } from "./console/staff.js";
import { timeOutView } from "./console/timeout.js";
import { rows } from "./console/words.js";
import { workOf } from "./console/work.js";
import { personName, Times } from "./format.js";
import { Room } from "./room.js";
import { console as texts } from "./texts.js";

/** @typedef {{element: HTMLElement, whole?: boolean, focus?: () => void, refresh?: () => void, leave?: () => void}} View */
// `whole`: it takes the whole page. `refresh`: the room has said something new. `leave`: something else is shown.

/** The phases, in order, as the room counts them: going back asks for a reason. */
const ORDER = ["evaluation", "preparation", "guidance", "injection", "recovery", "follow_up"];

/** @param {string} id @returns {HTMLElement} */
const region = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

function toTop() {
  for (const id of ["main", "page"]) region(id).scrollTop = 0;
}

/** The page: its parts, and what lies over the work just now. */
export class App {
  /** @type {View | null} */
  #view = null;
  kept = new Kept();

  /** @param {any} config @param {Map<string, import("./console/schema.js").Form>} found */
  constructor(config, found) {
    this.config = config;
    this.forms = found;
    this.times = new Times(config.timezone);
    this.zone = this.times.zone;
    this.staff = new Staff(config.user);
    this.room = new Room(config);
    this.case = new Case(this.room);
    this.answers = new Answers(region("answers"));
    this.sheet = new Sheet(this);
    document.title = texts.title(config.room);
    this.case.addEventListener("change", () => this.draw());
    this.staff.addEventListener("change", () => this.draw());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#view && !document.querySelector("dialog[open]")) this.home();
    });
    this.draw();
    if (!this.staff.actor) this.staff.ask();
  }

  /** The case in a few words, for a confirmation; "" between cases. */
  caseTitle() {
    if (!this.case.underWay) return "";
    const { identity } = this.case;
    return [this.case.state.procedure, identity ? personName(identity.name) : this.case.record].filter(Boolean).join(", ");
  }

  /** What a form says, line by line. @param {string} name @param {Record<string, any>} value */
  linesOf(name, value) {
    return rows(name, this.forms.get(name)?.fields ?? [], value, this.zone);
  }

  // --- where the page stands ------------------------------------------------------------------------------

  /** @param {View} view */
  go(view) {
    this.#leave();
    this.#view = view;
    region("main").replaceChildren(view.element);
    document.body.classList.add("has-view");
    document.body.classList.toggle("is-whole", view.whole === true);
    toTop();
    // On a tablet a field that has the focus brings up a keyboard in front of what is to be touched.
    if (matchMedia("(pointer: coarse)").matches) /** @type {HTMLElement | null} */ (view.element.querySelector("#view-title"))?.focus();
    else view.focus?.();
  }

  home() {
    this.#leave();
    region("main").replaceChildren();
    this.draw();
    toTop();
    region("main").focus();
  }

  #leave() {
    this.#view?.leave?.();
    this.#view = null;
    document.body.classList.remove("has-view", "is-whole");
  }

  /** @param {import("./console/formview.js").Opening} opening */
  open(opening) {
    this.go(formView(this, opening));
  }

  /** @param {number} seq */
  correct(seq) {
    this.go(correctView(this, seq));
  }

  timeOut() {
    this.go(timeOutView(this));
  }

  start() {
    this.go(startView(this));
  }

  end() {
    this.go(endView(this));
  }

  /** @param {string} phase */
  enter(phase) {
    const back = ORDER.indexOf(phase) < ORDER.indexOf(this.case.phase ?? "");
    this.sheet.ask({ name: "phase", fields: { phase }, ask: back ? ["reason"] : [], record: this.case.record });
  }

  /** Everything that the room has a say in; a form that is open stays as it is. */
  draw() {
    show(region("bar"), ...barOf(this));
    show(region("phases"), ...phasesOf(this));
    show(region("away"), awayOf(this));
    show(region("side"), alertsOf(this), logOf(this));
    this.#view?.refresh?.();
    if (!this.#view) show(region("main"), completenessOf(this), workOf(this));
    document.body.classList.toggle("is-away", !this.room.present);
    this.sheet.refresh();
  }
}

/** Fetched again until they are there: a page may be opened before its server is whole. */
const RETRY_MS = 2000;

async function begin() {
  const config = await configuration();
  region("main").textContent = texts.work.loading;
  for (;;) {
    try {
      const found = await forms();
      region("main").replaceChildren();
      return new App(config, found);
    } catch {
      region("main").textContent = texts.work.no_schemas;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

begin();
