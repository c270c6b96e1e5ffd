// @ts-check
/**
 * The forms that this room takes, by the schemas that it publishes (`schemas/index.json` and one file a command).
 */
import { formOf } from "./schema.js";

/** Said of a sealed record alone, with `amend`; it has no command of its own. */
const FOLLOW_UP = "follow_up";
/** In an amendment the record is a field: it is another than the open one. */
const KEEP = /** @type {Record<string, string[]>} */ ({ amend: ["record"], backfill: ["record"], frame: ["record"] });

/** @param {string} name @returns {Promise<any>} */
async function load(name) {
  const answer = await fetch(new URL(`schemas/${name}.json`, document.baseURI));
  if (!answer.ok) throw new Error(`schemas/${name}.json: ${answer.status}`);
  return answer.json();
}

/**
 * Name -> form, of every command that the index names.
 * @returns {Promise<Map<string, import("./schema.js").Form>>}
 */
export async function forms() {
  const { commands } = await load("index");
  const named = commands.map(async (/** @type {string} */ name) => [name, formOf(await load(`command.${name}`), KEEP[name])]);
  const found = new Map(/** @type {[string, import("./schema.js").Form][]} */ (await Promise.all(named)));
  const later = await load(`event.clinical.${FOLLOW_UP}`).catch(() => null); // an older server does not have it
  if (later) found.set(FOLLOW_UP, formOf(later));
  return found;
}
