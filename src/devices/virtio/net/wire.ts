/**
 * Messages between the network device and its service.
 *
 * To the service: `start` (what the driver takes; the era), `stop`, `ask` (a table of connections, recent.ts), `port` (one to publish, or not
 * any more), and frames as the driver gave them, their virtio header first.
 * To the device: frames with a head of four bytes: the era, flags, u16 segment size; and, with a flag of its own in such a head, the answer to
 * a `port`.
 * An era is the time between a start and a stop of the driver: a frame of another one is dropped.
 */
import { parseValue, printValue, type Value } from "#base";
import type { LinkAbilities, Offload } from "#net";
import type { PublishRule } from "#net/rules";

export const networkService = "network";
/** On the line each way: some of the longest frames. */
export const networkRingBytes = 1 << 20;

export const toService = { frame: 0, start: 1, stop: 2, ask: 3, port: 4 } as const;
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

/** A port to publish, or to give back. `id` is in the answer. */
export interface PortOrder {
  readonly id: number;
  readonly rule: PublishRule;
  readonly open: boolean;
}

/** Without `error` it went well. */
export interface PortAnswer {
  readonly id: number;
  readonly error?: string;
}

const flagAnswer = 0x80;

export const portMessage = (order: PortOrder): Uint8Array =>
  Uint8Array.of(toService.port, ...textOf(order as unknown as Value));

export const readPortOrder = (message: Uint8Array): PortOrder => parsed(message.subarray(1)) as unknown as PortOrder;

export const portAnswer = (answer: PortAnswer): Uint8Array =>
  Uint8Array.of(0, flagAnswer, 0, 0, ...textOf(answer as unknown as Value));

/** Undefined for a frame. */
export function readPortAnswer(message: Uint8Array): PortAnswer | undefined {
  if (message[1] !== flagAnswer) return undefined;
  return parsed(message.subarray(frameHeadBytes)) as unknown as PortAnswer;
}

const textOf = (value: Value): Uint8Array => new TextEncoder().encode(printValue(value));
/** A copy: no text is read from shared memory. */
const parsed = (bytes: Uint8Array): Value => parseValue(new TextDecoder().decode(bytes.slice()));
