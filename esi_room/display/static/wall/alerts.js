// @ts-check
/**
 * What somebody should look at: the room's alerts, the devices' own alarms, and what is wrong with the recorder.
 *
 * Rules:
 * - What nobody has seen yet stands first, the newest on top; what was seen is quiet and below.
 * - Each says who says so: a rule, with its number, or a device. This page judges nothing itself.
 * - A new one is spoken once to a screen reader.
 */
import { fillList, find, make, mark, say } from "../dom.js";
import { deviceName } from "../format.js";
import { common, wall } from "../texts.js";

/** @type {Record<string, string>} How a device's word for how urgent it is looks; what it says is shown as it says it. */
const PRIORITIES = { red: "high", high: "high", yellow: "medium", medium: "medium", white: "low", low: "low" };
/** @type {Record<string, string>} */
const SHAPES = { critical: "triangle", high: "triangle", medium: "diamond", low: "circle", info: "circle" };
/** More do not fit on any screen. */
const MOST = 8;
const REMEMBERED = 200;

/** @typedef {{id: string, severity: string, grade: string, text: string, source: string, at: string | null, quiet: string | null}} Notice */

export class Alerts {
  #spoken = new Set();

  /** @param {import("../room.js").Room} room @param {import("../format.js").Times} times @param {(text: string) => void} speak */
  constructor(room, times, speak) {
    this.room = room;
    this.times = times;
    this.speak = speak;
    this.node = find("alerts");
    this.list = find("alert-list");
    this.more = find("alert-more");
    say(find("alerts-name"), wall.alerts.name);
  }

  render() {
    const notices = [...this.#problems(), ...this.#rules(), ...this.#devices()];
    const loud = (/** @type {Notice} */ notice) => notice.quiet === null;
    notices.sort((a, b) => Number(loud(b)) - Number(loud(a)) || ((a.at ?? "") < (b.at ?? "") ? 1 : -1));
    mark(this.node, "data-loud", notices.some(loud) ? "yes" : "no");
    const heard = this.room.state("state/alerts") !== undefined;
    const none = heard ? wall.alerts.none : wall.waiting;
    say(this.more, notices.length ? wall.alerts.more(notices.length) : none); // its place is kept, then
    fillList(this.list, notices.slice(0, MOST), makeNotice, (/** @type {any} */ node, notice) => this.#fill(node, notice));
    const left = notices.length - this.#fit();
    if (notices.length) say(this.more, left ? wall.alerts.more(left) : "");
    mark(this.more, "data-empty", notices.length ? "no" : "yes");
    notices.filter(loud).forEach((notice) => this.#speakOnce(notice));
  }

  /** Take away what does not fit whole; how many do. */
  #fit() {
    const nodes = /** @type {HTMLElement[]} */ ([...this.list.children]).filter((node) => !node.hidden);
    const height = this.list.clientHeight + 1;
    const whole = nodes.filter((node) => node.offsetTop + node.offsetHeight <= height);
    nodes.slice(Math.max(1, whole.length)).forEach((node) => (node.hidden = true));
    return Math.max(Math.min(1, nodes.length), whole.length);
  }

  /** What cannot be recorded or read. @returns {Notice[]} */
  #problems() {
    const status = this.room.status;
    const problem = this.room.problem("state/alerts");
    return [
      ...(status?.problem && status.status === "online"
        ? [{ id: `status ${status.problem}`, severity: "critical", grade: common.severities.critical, text: status.problem, source: wall.health.daemon, at: null, quiet: null }] : []),
      ...(problem
        ? [{ id: "unreadable", severity: "high", grade: common.severities.high, text: wall.unreadable(common.problems[/** @type {"no_json"} */ (problem)]), source: wall.alerts.name, at: null, quiet: null }] : []),
    ];
  }

  /** @returns {Notice[]} */
  #rules() {
    const alerts = this.room.state("state/alerts")?.payload.alerts ?? [];
    return alerts.map((/** @type {any} */ alert) => ({
      id: `${alert.alert} ${alert.raised_at}`, severity: alert.severity,
      grade: common.severities[/** @type {"high"} */ (alert.severity)] ?? alert.severity, text: alert.text, source: wall.alerts.rule(alert.rule),
      at: alert.raised_at, quiet: this.#seen(alert),
    }));
  }

  /** @param {any} alert */
  #seen(alert) {
    if (alert.acknowledged_at === null) return null;
    if (alert.overridden) return wall.alerts.overridden(alert.actor ?? "", alert.reason ?? "");
    const time = this.times.minute(alert.acknowledged_at);
    return alert.actor ? wall.alerts.acknowledged(alert.actor, time) : wall.alerts.acknowledgedPlain(time);
  }

  /** @returns {Notice[]} */
  #devices() {
    const pumps = this.room.state("state/pump")?.payload.pumps ?? [];
    const devices = this.room.topics("state/device/").map((topic) => this.room.state(topic)?.payload).filter(Boolean);
    const said = [...devices.map(({ device, alarms }) => [device, alarms]), ...pumps.map((/** @type {any} */ pump) => [pump.source, pump.alarms])];
    return said.flatMap(([device, alarms]) => alarms.map((/** @type {any} */ alarm) => ({
      id: `${device} ${alarm.code} ${alarm.since}`, severity: PRIORITIES[alarm.priority] ?? "medium",
      grade: alarm.priority ? `${wall.alerts.alarm}, ${alarm.priority}` : wall.alerts.alarm, text: alarm.text, source: wall.alerts.device(deviceName(device)), at: alarm.since, quiet: null,
    })));
  }

  /** @param {HTMLElement} node @param {Notice} notice */
  #fill(node, notice) {
    mark(node, "data-severity", notice.severity);
    mark(node, "data-quiet", notice.quiet === null ? "no" : "yes");
    const [shape, body] = /** @type {any} */ (node.children);
    mark(shape, "data-shape", notice.quiet === null ? SHAPES[notice.severity] ?? "diamond" : "check");
    const [head, text, seen] = body.children;
    say(head.children[0], notice.grade);
    say(head.children[1], notice.source);
    say(head.children[2], notice.at ? this.times.minute(notice.at) : "");
    mark(head.children[2], "title", this.times.utc(notice.at));
    say(text, notice.text);
    say(seen, notice.quiet);
  }

  /** @param {Notice} notice */
  #speakOnce({ id, grade, source, text }) {
    if (this.#spoken.has(id)) return;
    this.#spoken.add(id);
    if (this.#spoken.size > REMEMBERED) this.#spoken.delete(this.#spoken.values().next().value);
    this.speak(`${grade}: ${source}: ${text}`);
  }
}

function makeNotice() {
  return make("li", "", make("span", "shape"), make("div", "", make("p", "head", make("strong"), make("span"), make("time")), make("p", "text"), make("p", "seen")));
}
