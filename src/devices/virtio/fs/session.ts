/**
 * The record of a share's session, from the text that is in a snapshot.
 *
 * Law: names in it are names as a guest may say them: a snapshot leads out of the shared directory no more than a guest does.
 */
import { isName } from "./request.ts";
import type { SessionRecord } from "./share-host.ts";

/** Throws an Error that says what is wrong. */
export function parseSession(text: string): SessionRecord {
  const wrong = (): never => {
    throw new Error("the record of a share in the snapshot is damaged");
  };
  const record = JSON.parse(text) as SessionRecord;
  if (!Array.isArray(record?.inodes) || !Array.isArray(record.handles)) return wrong();
  for (const { id, parent, name, key, birthNs, type, lookups } of record.inodes) {
    const numbers = [id, parent, type, lookups].every((each) => Number.isSafeInteger(each) && each >= 0);
    const texts = typeof key === "string" && typeof name === "string" && /^-?\d+$/.test(birthNs);
    if (!numbers || !texts || (parent !== 0 && !isName(name))) return wrong();
  }
  for (const { handle, inode, flags } of record.handles) {
    const numbers = [handle, inode].every((each) => Number.isSafeInteger(each) && each > 0);
    if (!numbers || !(flags === undefined || (typeof flags === "object" && flags !== null))) return wrong();
  }
  return record;
}
