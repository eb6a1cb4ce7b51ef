/** What a guest tells of its memory (virtio 1.2, "Memory Statistics"): u16 tag and u64 value, packed. */

const entryBytes = 10;
/** Of a driver that sends more, the first ones count. */
export const maxStatisticsBytes = 64 * entryBytes;

const tags = [
  "swapInBytes",
  "swapOutBytes",
  "majorFaults",
  "minorFaults",
  "freeBytes",
  "totalBytes",
  "availableBytes",
  "cacheBytes",
  "hugePages",
  "hugePageFailures",
] as const;

/** As far as the guest tells them. */
export type GuestMemoryStatistics = { readonly [Name in (typeof tags)[number]]?: number };

export function parseStatistics(bytes: Uint8Array): GuestMemoryStatistics {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found: Record<string, number> = {};
  for (let at = 0; at + entryBytes <= bytes.length; at += entryBytes) {
    const name = tags[view.getUint16(at, true)];
    if (name !== undefined) found[name] = Number(view.getBigUint64(at + 2, true));
  }
  return found;
}
