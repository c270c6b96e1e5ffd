// @ts-check
/**
 * What is recorded in this case, newest first: what was corrected struck out, and what counts beside it. Each form can
 * be touched to correct it.
 */
import { console as texts } from "../texts.js";
import { h } from "./dom.js";
import { brief, formTitle, phaseTitle, word } from "./words.js";

/** Lines shown: a case has some hundred, and a page must stand whatever comes. */
const MOST = 300;

/** @typedef {import("./said.js").Said} Said */
/** @typedef {import("../console.js").App} App */

/**
 * @param {App} app
 * @returns {HTMLElement}
 */
export function logOf(app) {
  const { said } = app.case;
  const all = said.slice(-MOST).reverse();
  const older = said.length - all.length;
  const empty = h("p", { class: "soft" }, app.case.loading ? texts.log.loading : texts.log.empty);
  return h("section", { class: "log", "aria-labelledby": "log-title" },
    h("h2", { id: "log-title" }, app.case.underWay ? texts.log.title : texts.log.standby),
    all.length ? h("ol", {}, ...all.map((each) => h("li", { "data-key": `line-${each.seq}` }, item(app, each)))) : empty,
    older > 0 ? h("p", { class: "soft" }, texts.log.older(older)) : null);
}

/** @param {App} app @param {Said} said */
function item(app, said) {
  const changed = said.corrections.length > 0;
  const inside = [
    h("span", { class: "when" }, timeOf(app, said.time)),
    h("span", { class: "what" },
      h("b", {}, titleOf(said)), " ",
      changed ? h("s", {}, briefOf(app, said, said.data)) : h("span", {}, briefOf(app, said, said.data)),
      changed ? counts(app, said) : null),
    h("span", { class: "who" }, [said.actor ?? "", texts.log.entry(said.seq), lateOf(app, said)].filter(Boolean).join(" · ")),
  ];
  if (said.kind !== "form" || said.counts === null) return h("div", { class: "entry-line" }, inside);
  return h("button", { type: "button", class: "entry-line", "data-key": `log-${said.seq}`, "data-seq": said.seq, onclick: () => app.correct(said.seq) }, inside);
}

/** Where it was said later than it happened. @param {App} app @param {Said} said */
function lateOf(app, { time, received }) {
  const [happened, was] = [app.times.second(time), app.times.second(received)];
  return happened === was ? "" : texts.log.happened(was);
}

/** @param {App} app @param {Said} said */
function counts(app, said) {
  const why = said.corrections.map(({ reason, actor }) => texts.log.because(reason, actor)).join("; ");
  const now = said.counts === null ? texts.log.withdrawn : `${texts.log.counts} ${briefOf(app, said, said.counts)}`;
  return h("span", { class: "counts" }, now, h("span", { class: "why" }, why));
}

/** @param {Said} said */
export function titleOf(said) {
  switch (said.kind) {
    case "started":
      return texts.log.started;
    case "phase":
      return texts.log.entered(phaseTitle(said.data.phase));
    case "ended":
      return texts.log.ended;
    case "alert":
      return said.data.overridden ? texts.log.overridden : texts.log.acknowledged;
    default:
      return formTitle(said.form);
  }
}

/** @param {App} app @param {Said} said @param {Record<string, any>} data */
export function briefOf(app, said, data) {
  const by = data.origin && data.origin !== "staff" ? texts.log.by_device(data.origin) : "";
  const parts = {
    started: [data.procedure, by],
    phase: [data.reason, by],
    ended: [word(data.outcome), data.reason, by],
    alert: [data.text, data.reason],
  };
  if (said.kind !== "form") return parts[said.kind].filter(Boolean).join(", ");
  const form = app.forms.get(said.form);
  return form ? brief(form, data, app.zone) : JSON.stringify(data);
}

/** A time by the room's clock; UTC where the mouse rests on it. @param {App} app @param {string} moment */
export function timeOf(app, moment) {
  return h("time", { datetime: moment, title: app.times.utc(moment) }, app.times.second(moment));
}
