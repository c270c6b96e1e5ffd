// @ts-check
/**
 * The head of the page: which case, who the patient is, who acts, whether the room is there, and the line of phases,
 * each to be entered by a touch and its confirmation.
 */
import { personName } from "../format.js";
import { common, console as texts } from "../texts.js";
import { h } from "./dom.js";
import { timeOf } from "./log.js";
import { phaseTitle } from "./words.js";

/** @typedef {import("../console.js").App} App */

/** @param {App} app */
export function barOf(app) {
  const { room, case: current } = app;
  return [
    h("div", { class: "case" },
      h("h1", { id: "case-title", tabindex: -1 }, titleOf(app)),
      current.underWay ? h("p", { class: "patient" }, ...patient(app)) : null),
    h("div", { class: "bar-buttons" },
      current.state && (!current.underWay || openedByDevice(app))
        ? h("button", { type: "button", class: current.underWay ? "plain" : "do", "data-key": "start", onclick: () => app.start() }, current.underWay ? texts.header.take_over : texts.header.start)
        : null,
      current.underWay ? h("button", { type: "button", class: "plain", "data-key": "end", onclick: () => app.end() }, texts.header.end) : null,
      app.config.pages?.logout ? null : whoActs(app)), // who has logged in stands beside the way out (account.js)
    h("p", { class: `link ${room.present ? "is-there" : "is-away"}` }, h("span", { "aria-hidden": "true", class: "sign" }, room.present ? "●" : "○"),
      room.link.state === "connected" && !room.present ? texts.header.offline : texts.header.link[room.link.state]),
  ];
}

/** Which case; between cases, and while the room has not said, that. @param {App} app */
function titleOf({ case: current }) {
  if (!current.state) return texts.header.unknown;
  return current.underWay ? (current.state.procedure ?? texts.header.unnamed) : texts.header.standby;
}

/** @param {App} app */
function whoActs({ staff }) {
  return h("button", { type: "button", class: staff.actor ? "plain who" : "plain who is-open", "data-key": "who", disabled: staff.fixed, onclick: () => staff.ask() },
    h("span", { class: "soft" }, texts.header.who), " ", staff.actor ?? texts.header.choose);
}

/** @param {App} app */
function patient(app) {
  const { identity } = app.case;
  if (!identity) return [h("span", { class: "soft" }, texts.header.nobody), " ", h("span", { class: "soft" }, app.case.record ?? "")];
  return [h("b", {}, personName(identity.name)), identity.birth_date ? ` · ${texts.header.born(identity.birth_date)}` : "", identity.id ? ` · ${identity.id}` : ""];
}

/** Whether the staff can take this case over: a device has opened it, and nobody has yet. @param {App} app */
function openedByDevice(app) {
  const started = app.case.said.findLast((each) => each.kind === "started");
  return started !== undefined && started.data.origin !== "staff";
}

/** @param {App} app */
export function phasesOf(app) {
  const { state, underWay, phase } = app.case;
  if (!underWay) return [];
  const last = state.phases.at(-1);
  const field = app.forms.get("phase")?.fields.find((each) => each.name === "phase");
  const names = Object.keys(common.phases).filter((name) => field?.options?.includes(name));
  return names.map((name) => {
    const entered = state.phases.findLast((/** @type {any} */ each) => each.phase === name);
    const now = name === phase;
    const hinted = now && last.origin !== "staff";
    return h("button", {
      type: "button", class: `phase${now ? " is-now" : ""}${entered ? " is-entered" : ""}`, "data-phase": name, "data-key": `phase-${name}`,
      "aria-current": now ? "step" : null, disabled: now && !hinted, onclick: () => app.enter(name),
    }, h("span", {}, now ? h("span", { class: "now" }, `${texts.work.now}: `) : null, phaseTitle(name)),
    h("span", { class: "soft" }, hinted ? texts.work.hinted(last.origin) : entered ? timeOf(app, entered.since) : ""));
  });
}

/** What is wrong with the room, or with the way to it; null where nothing is. @param {App} app */
export function awayOf(app) {
  const { room } = app;
  if (room.present) {
    const problem = room.status.problem;
    return problem ? h("p", { class: "away is-problem" }, texts.problem(problem)) : null;
  }
  const state = room.link.state === "connected" ? "offline" : room.link.state;
  if (state === "offline" && room.status === null) return h("p", { class: "away" }, texts.away.connecting);
  return h("p", { class: "away" }, texts.away[state], app.case.state ? ` ${texts.away.old}` : "");
}
