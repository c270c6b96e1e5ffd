// @ts-check
/** The phase line: where the procedure stands, since when, and when it was where. */
import { fillList, find, make, mark, say, show } from "../dom.js";
import { ageOf } from "../format.js";
import { common } from "../texts.js";

/** The phases in the room; the follow-up comes days later, and is shown where somebody said so. */
const ORDER = ["evaluation", "preparation", "guidance", "injection", "recovery"];

export class Phases {
  /** @param {import("../room.js").Room} room @param {import("../format.js").Times} times */
  constructor(room, times) {
    this.room = room;
    this.times = times;
    this.list = find("phases");
  }

  render() {
    const procedure = this.room.state("state/procedure")?.payload;
    const running = procedure?.kind === "procedure";
    show(this.list, running);
    if (!running) return;
    const order = procedure.phases.some((/** @type {any} */ each) => each.phase === "follow_up") ? [...ORDER, "follow_up"] : ORDER;
    fillList(this.list, order, makeStep, (/** @type {any} */ node, phase) => this.#fill(node, phase, procedure));
  }

  /** @param {HTMLElement} node @param {string} phase @param {any} procedure */
  #fill(node, phase, procedure) {
    const visit = procedure.phases.filter((/** @type {any} */ each) => each.phase === phase).at(-1);
    const here = procedure.phase === phase;
    mark(node, "data-step", here ? "here" : visit ? "done" : "ahead");
    mark(node, "aria-current", here ? "step" : null);
    const [shape, name, time, since] = /** @type {any} */ (node.children);
    mark(shape, "data-shape", here ? "play" : visit ? "check" : "ring");
    say(name, common.phases[/** @type {"guidance"} */ (phase)]);
    say(time, visit ? this.times.minute(visit.since) : "");
    mark(time, "title", visit ? this.times.utc(visit.since) : null);
    say(since, here ? ageOf(this.room, visit?.since) : "");
  }
}

function makeStep() {
  return make("li", "", make("span", "shape"), make("span", "name"), make("time"), make("span", "elapsed"));
}
