/**
 * Messages between the network device and its service.
 *
 * To the service: `start` (what the driver takes; the era), `stop`, `ask` (a table of connections, recent.ts), and frames as the driver gave them, their virtio header first.
 * To the device: frames with a head of four bytes: the era, flags, u16 segment size.
 * An era is the time between a start and a stop of the driver: a frame of another one is dropped.
 */
import type { LinkAbilities, Offload } from "#net";

export const networkService = "network";
/** On the line each way: some of the longest frames. */
export const networkRingBytes = 1 << 20;

export const toService = { frame: 0, start: 1, stop: 2, ask: 3 } as const;
export const frameHeadBytes = 4;

const abilityChecksum = 1;
const abilityLarge = 2;

export const startMessage = (abilities: LinkAbilities, era: number): Uint8Array =>
  Uint8Array.of(
    toService.start,
    (abilities.partialChecksum ? abilityChecksum : 0) | (abilities.largeSegments ? abilityLarge : 0),
    era,
  );

export const stopMessage = (): Uint8Array => Uint8Array.of(toService.stop);

export const askMessage = (recent: Uint8Array): Uint8Array => Uint8Array.of(toService.ask, ...recent);

export function readStart(message: Uint8Array): { readonly abilities: LinkAbilities; readonly era: number } {
  const bits = message[1];
  return {
    abilities: { partialChecksum: (bits & abilityChecksum) !== 0, largeSegments: (bits & abilityLarge) !== 0 },
    era: message[2],
  };
}

export const frameHead = (era: number, { partialChecksum, segmentBytes }: Offload): Uint8Array =>
  Uint8Array.of(era, partialChecksum ? 1 : 0, segmentBytes & 0xff, segmentBytes >> 8);

export function readFrameHead(message: Uint8Array): { readonly era: number; readonly offload: Offload } {
  return {
    era: message[0],
    offload: { partialChecksum: message[1] !== 0, segmentBytes: message[2] | (message[3] << 8) },
  };
}
