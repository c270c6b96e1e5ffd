// @ts-check
/** Between cases: is the room ready, and is the record of the last case complete. */
import { fillList, find, make, mark, say, show } from "../dom.js";
import { ageOf } from "../format.js";
import { common, wall } from "../texts.js";

const LACKS_SHOWN = 6;

export class Standby {
  /** @param {import("../room.js").Room} room @param {import("../format.js").Times} times @param {import("./health.js").Health} health */
  constructor(room, times, health) {
    this.room = room;
    this.times = times;
    this.health = health;
    this.node = find("standby");
    this.ready = make("p", "ready");
    this.open = make("p", "open");
    find("standby-now").append(this.ready, this.open);
    this.outcome = make("p", "outcome", make("span", "shape"), make("strong"), make("span"));
    this.verdict = make("p", "verdict");
    this.lacks = make("ul", "lacks");
    this.more = make("p", "more");
    find("standby-last").append(make("h3", "", wall.standby.last), this.outcome, this.verdict, this.lacks, this.more);
  }

  render() {
    const procedure = this.room.state("state/procedure")?.payload;
    const carm = this.room.state("state/carm")?.payload;
    const standby = procedure?.kind === "standby" && !carm?.image;
    show(this.node, standby);
    show(find("image"), !standby);
    mark(this.node.parentElement ?? this.node, "data-idle", standby && this.#idle() ? "yes" : "no");
    if (!standby) return;
    const devices = this.health.devices();
    const good = devices.filter(({ is }) => is === "good").length;
    const all = good === devices.length;
    say(find("standby-name"), !this.room.present ? wall.standby.absent : all ? wall.standby.name : wall.standby.waiting);
    say(this.ready, wall.standby.ready(good, devices.length));
    say(this.open, `${wall.noProcedure} ${wall.standby.open(ageOf(this.room, procedure.opened_at))}`);
    mark(this.open, "title", this.times.utc(procedure.opened_at));
    this.#last(procedure.completeness);
  }

  /** Nothing is measured and no pump speaks. */
  #idle() {
    const measured = this.room.state("state/vitals")?.payload.values.length;
    return !measured && !this.room.state("state/pump")?.payload.pumps.length;
  }

  /** @param {any} last */
  #last(last) {
    const texts = wall.standby;
    show(this.outcome, Boolean(last));
    if (!last) {
      say(this.verdict, texts.none);
      fillList(this.lacks, [], () => make("li"), say);
      say(this.more, "");
      return;
    }
    const [shape, what, when] = /** @type {any} */ (this.outcome.children);
    mark(this.node, "data-complete", last.complete ? "yes" : "no");
    mark(shape, "data-shape", last.complete ? "check" : "diamond");
    say(what, texts.outcomes[/** @type {"completed"} */ (last.outcome ?? "unknown")]);
    say(when, `${wall.case(last.record.split("-").at(-1))} \u00b7 ${texts.ended(this.times.minute(last.ended_at))}`);
    mark(when, "title", this.times.utc(last.ended_at));
    const unbalanced = last.syringes.filter((/** @type {any} */ syringe) => syringe.text).map((/** @type {any} */ syringe) => syringe.text);
    const lacks = [...last.lacks.map((/** @type {any} */ lack) => lack.text), ...unbalanced];
    say(this.verdict, last.complete ? texts.complete : texts.incomplete(lacks.length));
    fillList(this.lacks, lacks.slice(0, LACKS_SHOWN), () => make("li"), say);
    const rest = lacks.length > LACKS_SHOWN ? texts.more(lacks.length - LACKS_SHOWN) : "";
    say(this.more, [rest, last.deviations.length ? texts.deviations(last.deviations.length) : ""].filter(Boolean).join(" \u00b7 "));
  }
}
