// @ts-check
/**
 * Alerts that stand: seen, or gone on in spite of, with a reason. Both are entries of the record; neither ends the alert.
 */
import { common, console as texts } from "../texts.js";
import { h } from "./dom.js";
import { formView } from "./formview.js";
import { timeOf } from "./log.js";

/** @typedef {import("../console.js").App} App */

/**
 * @param {App} app
 * @returns {HTMLElement | null} null where there is none
 */
export function alertsOf(app) {
  const { alerts } = app.case;
  if (!alerts.length) return null;
  return h("section", { class: "alerts", "data-key": "alerts", "aria-labelledby": "alerts-title" },
    h("h2", { id: "alerts-title" }, texts.alerts.title),
    h("ul", {}, ...alerts.map((alert) => item(app, alert))));
}

/** @param {App} app @param {any} alert */
function item(app, alert) {
  const severity = /** @type {Record<string, string>} */ (common.severities)[alert.severity] ?? alert.severity;
  const answered = alert.acknowledged_at
    ? h("p", { class: "soft" }, alert.overridden ? texts.alerts.overridden(alert.actor, alert.reason) : texts.alerts.acknowledged(alert.actor))
    : null;
  const buttons = h("div", { class: "buttons" },
    alert.acknowledged_at ? null : button(app, alert, "acknowledge", texts.alerts.seen),
    alert.overridden ? null : button(app, alert, "override", texts.alerts.on));
  return h("li", { class: `alert ${alert.severity}${alert.acknowledged_at ? " quiet" : ""}`, "data-alert": alert.alert, "data-key": `alert-${alert.alert}` },
    h("p", {}, h("b", {}, texts.alerts.severity(severity)), " ", alert.text),
    h("p", { class: "soft" }, timeOf(app, alert.raised_at), alert.source ? ` · ${alert.source}` : ""),
    answered, buttons);
}

/** @param {App} app @param {any} alert @param {"acknowledge" | "override"} name @param {string} label */
function button(app, alert, name, label) {
  const lines = [{ title: texts.alerts.one, text: alert.text }];
  const touch = () => {
    const fixed = { alert: alert.alert };
    if (name === "override") app.go(formView(app, { name, fixed, before: [h("p", { class: "note" }, alert.text)] }));
    else app.sheet.ask({ name, fields: fixed, record: app.case.record, lines });
  };
  return h("button", { type: "button", class: "plain", "data-key": `${name}-${alert.alert}`, onclick: touch }, label);
}
