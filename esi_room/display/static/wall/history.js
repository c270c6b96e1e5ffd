// @ts-check
/**
 * What came before this page joined: the open record read backwards, so that the newest is there first.
 *
 * Rules:
 * - The states are right without it; it is for curves and the strip alone, and begins anew with each connection.
 * - It ends where nobody needs more, at the record's first line, or at MAX_LINES: a room that stands by for days has
 *   a long record.
 */
/** What a backfill brings at once. */
const CHUNK = 500;
const MAX_LINES = 20_000;
const PATIENCE_MS = 10_000;

/**
 * @param {import("../room.js").Room} room
 * @param {{record: string, seq: number}} head the last line that is known to be there
 * @param {(line: any) => void} take
 * @param {(oldest: any) => boolean} enough
 * @param {AbortSignal} signal
 */
export async function readBack(room, head, take, enough, signal) {
  for (let to = head.seq; to >= 0 && head.seq - to < MAX_LINES; to -= CHUNK) {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
    const lines = await room.backfill(head.record, Math.max(0, to - CHUNK + 1), to, patience);
    lines.reverse().forEach(take);
    if (lines.length === 0 || enough(lines.at(-1))) return;
  }
}
