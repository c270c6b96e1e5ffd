// @ts-check
/** What is done, on whom, what time it is; and, above all else, that nothing here is current where that is so. */
import { find, mark, say, show } from "../dom.js";
import { age, personName, words } from "../format.js";
import { common, wall } from "../texts.js";

export class Head {
  /** When the daemon was seen to go, performance.now(); null where it was gone before we joined. @type {number | null} */
  #offlineSince = null;
  #wasOnline = false;

  /** @param {import("../room.js").Room} room @param {import("../format.js").Times} times */
  constructor(room, times) {
    this.room = room;
    this.times = times;
    room.addEventListener("status", () => {
      const online = room.status?.status === "online";
      if (this.#wasOnline && !online) this.#offlineSince = performance.now();
      if (online) this.#offlineSince = null;
      this.#wasOnline = online;
    });
  }

  render() {
    const procedure = this.room.state("state/procedure")?.payload;
    const problem = this.room.problem("state/procedure");
    say(find("procedure"), problem ? wall.unreadable(common.problems[/** @type {"no_json"} */ (problem)]) : this.#title(procedure));
    say(find("patient"), this.#patient(procedure));
    mark(document.body, "data-kind", procedure?.kind ?? "none");
    mark(document.body, "data-present", this.room.present ? "yes" : "no");
    this.#clock();
    this.#banner();
  }

  /** @param {any} procedure */
  #title(procedure) {
    if (!procedure) return wall.title(this.room.config.room);
    if (procedure.kind !== "procedure") return wall.noProcedure;
    return procedure.procedure ?? wall.unnamedProcedure;
  }

  /** The patient where we may know, else the case by its record. @param {any} procedure */
  #patient(procedure) {
    if (!procedure) return "";
    if (procedure.kind !== "procedure") return wall.title(this.room.config.room);
    const plan = procedure.plan;
    const aim = plan ? [words(plan.approach), common.sides[/** @type {"left"} */ (plan.side)] ?? plan.side, (plan.levels ?? []).join(", ")].filter(Boolean).join(" ") : "";
    const who = this.room.identity;
    const patient = who
      ? [personName(who.name), who.birth_date && wall.born(who.birth_date), who.id && wall.patientId(who.id)].filter(Boolean).join(" \u00b7 ")
      : wall.case(procedure.as_of.record.split("-").at(-1));
    return [patient, aim].filter(Boolean).join("  \u00b7  ");
  }

  #clock() {
    const now = this.room.clock.sure ? this.room.clock.at() : null;
    say(find("clock-time"), this.times.minute(now) || "\u2013");
    say(find("clock-day"), now === null ? "" : this.times.day(now));
    mark(find("clock"), "title", this.times.utc(now));
  }

  #banner() {
    const { what, since } = this.#absence();
    show(find("banner"), what !== "");
    const heard = this.room.clock.at() !== null;
    say(find("banner-what"), what);
    say(find("banner-age"), what && since !== null ? age((performance.now() - since) / 1000) : "");
    say(find("banner-more"), what && heard ? wall.banner.old : what ? wall.banner.wait : "");
    mark(find("banner"), "data-heard", heard ? "yes" : "no");
  }

  /** @returns {{what: string, since: number | null}} */
  #absence() {
    const { link, status } = this.room;
    const texts = wall.banner;
    if (link.state === "connecting") return { what: texts.connecting, since: link.since };
    if (link.state === "lost") return { what: texts.lost(this.times.second(this.room.clock.at(link.since))), since: link.since };
    if (status === null) return { what: texts.silent, since: link.since };
    if (status.status === "online") return { what: "", since: null };
    const since = this.#offlineSince;
    return { what: texts.offline(since === null ? "" : this.times.second(this.room.clock.at(since))), since };
  }
}
