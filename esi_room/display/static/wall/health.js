// @ts-check
/**
 * Is everything there: each device, the recorder (the room's daemon), the broker. What is lost says since when.
 *
 * Rule: what we cannot know, because we or the recorder are cut off, is said to be what it was.
 */
import { fillList, find, make, mark, say } from "../dom.js";
import { age, ageOf, deviceName } from "../format.js";
import { common, wall } from "../texts.js";

/** @typedef {{id: string, name: string, is: "good" | "wait" | "bad" | "old", text: string, more: string, title: string}} Item */
/** @type {Record<string, "good" | "wait" | "bad">} */
const KINDS = { connected: "good", connecting: "wait", negotiating: "wait", stale: "bad", lost: "bad" };
/** @type {Record<string, string>} */
const SHAPES = { good: "circle", wait: "ring", bad: "cross", old: "ring" };

/** More than these are written smaller; more than those are no room's. */
const MANY = 8;
const MAX_ITEMS = 20;

export class Health {
  /** @param {import("../room.js").Room} room @param {import("../format.js").Times} times */
  constructor(room, times) {
    this.room = room;
    this.times = times;
    this.list = find("health");
  }

  render() {
    const items = [...this.devices(), this.#daemon(), this.#broker()];
    mark(this.list, "data-many", items.length > MANY ? "yes" : null);
    fillList(this.list, items.slice(0, MAX_ITEMS), makeItem, (/** @type {HTMLElement} */ node, item) => fillItem(node, item));
  }

  /** @returns {Item[]} */
  devices() {
    return this.room.topics("state/device/").map((topic) => this.#device(topic));
  }

  /** @param {string} topic @returns {Item} */
  #device(topic) {
    const texts = wall.health;
    const id = topic.slice("state/device/".length);
    const device = this.room.state(topic)?.payload;
    const name = deviceName(id);
    const problem = this.room.problem(topic);
    if (problem !== null) return { id, name, is: "bad", text: common.problems[/** @type {"no_json"} */ (problem)], more: "", title: "" };
    const listens = device.state === "connected" && device.driver === null;
    const state = listens ? texts.states.listening : texts.states[/** @type {"lost"} */ (device.state ?? "unknown")] ?? device.state;
    const title = [device.reason, this.times.utc(device.since)].filter(Boolean).join(", ");
    if (!this.room.present) return { id, name, is: "old", text: texts.lastKnown(state), more: "", title };
    const is = KINDS[device.state] ?? "wait";
    const more = is === "good" || !device.since ? "" : `${ageOf(this.room, device.since)} \u00b7 ${wall.since(this.times.minute(device.since))}`;
    return { id, name, is, text: state, more, title };
  }

  /** @returns {Item} */
  #daemon() {
    const { status } = this.room;
    const texts = wall.health;
    const base = { id: "daemon", name: texts.daemon, more: "", title: status?.software ?? "" };
    if (this.room.link.state !== "connected") return { ...base, is: "old", text: status ? texts.lastKnown(texts[/** @type {"online"} */ (status.status)]) : texts.states.unknown };
    if (status?.status !== "online") return { ...base, is: "bad", text: status ? texts.offline : texts.states.unknown };
    return status.problem ? { ...base, is: "bad", text: texts.problem } : { ...base, is: "good", text: texts.online };
  }

  /** @returns {Item} */
  #broker() {
    const { link } = this.room;
    const texts = wall.health;
    const since = this.times.minute(this.room.clock.at(link.since));
    const base = { id: "broker", name: texts.broker, title: "" };
    if (link.state === "connected") return { ...base, is: "good", text: texts.linked, more: "" };
    const more = `${age((performance.now() - link.since) / 1000)}${since && ` \u00b7 ${wall.since(since)}`}`;
    return { ...base, is: link.state === "lost" ? "bad" : "wait", text: link.state === "lost" ? texts.unlinked : texts.unlinkedYet, more };
  }
}

function makeItem() {
  return make("li", "", make("span", "shape"), make("span", "name"), make("span", "text"), make("span", "more"));
}

/** @param {HTMLElement} node @param {Item} item */
function fillItem(node, item) {
  mark(node, "data-is", item.is);
  mark(node, "data-id", item.id);
  mark(node, "title", item.title || null);
  const [shape, name, text, more] = /** @type {any} */ (node.children);
  mark(shape, "data-shape", SHAPES[item.is]);
  say(name, item.name);
  say(text, item.text);
  say(more, item.more);
}
