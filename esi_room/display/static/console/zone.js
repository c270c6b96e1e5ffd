// @ts-check
/**
 * Times as people in the room type them (`2026-11-30T09:41`, by the room's clock on the wall) and as the record holds
 * them (RFC 3339, UTC). Pure functions over the browser's own table of time zones.
 *
 * The tablet's own zone and clock are never asked: they may be set wrong.
 */

/** @type {Map<string, Intl.DateTimeFormat>} */
const FORMATS = new Map();

/** @param {string} zone */
function formatOf(zone) {
  let format = FORMATS.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    FORMATS.set(zone, format);
  }
  return format;
}

/**
 * How far the zone is ahead of UTC at a moment.
 * @param {number} ms
 * @param {string} zone
 */
function aheadMs(ms, zone) {
  const whole = Math.floor(ms / 1000) * 1000;
  const parts = Object.fromEntries(formatOf(zone).formatToParts(whole).map((part) => [part.type, Number(part.value)]));
  return Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second) - whole;
}

/**
 * `2026-11-30T08:41:00Z` -> `2026-11-30T09:41:00`; "" for what is no moment.
 * @param {string} moment
 * @param {string} zone
 */
export function momentToLocal(moment, zone) {
  const ms = Date.parse(moment);
  if (Number.isNaN(ms)) return "";
  return new Date(ms + aheadMs(ms, zone)).toISOString().replace(/(\.000)?Z$/, "");
}

/**
 * `2026-11-30T09:41` -> `2026-11-30T08:41:00Z`; null for what is no moment of that zone (an hour that the change to
 * summer time leaves out). Of an hour that comes twice, the first.
 * @param {string} local
 * @param {string} zone
 */
export function localToMoment(local, zone) {
  const found = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})(:\d{2}(?:\.\d+)?)?$/.exec(local);
  if (!found) return null;
  const wall = Date.parse(`${found[1]}T${found[2]}${found[3] ?? ":00"}Z`);
  if (Number.isNaN(wall) || !new Date(wall).toISOString().startsWith(found[1])) return null; // 30 February
  const day = 86_400_000;
  for (const ahead of [aheadMs(wall - day, zone), aheadMs(wall + day, zone)]) {
    const ms = wall - ahead;
    if (ms + aheadMs(ms, zone) === wall) return new Date(ms).toISOString().replace(".000Z", "Z");
  }
  return null;
}
