/**
 * How a machine's thread and its owner talk.
 *
 * To the thread: a few shared words and a byte ring for each serial line, because its loop is synchronous and receives
 * no messages. From it: messages, each of the types below.
 *
 * Law: `unreadBytes` counts the bytes of consoles and reports posted and not yet taken; the machine has no turn while they are many, so
 * a guest that prints without end costs the owner bounded memory.
 */
import type { StreamMessage } from "#devices";
import type { MachineConfig, MachineOutcome, MemoryPressure, ReportKind } from "#vm";
import type { Awakening } from "./agent/index.ts";
import type { Answer } from "./orders.ts";
import type { VmStats } from "./vm-api.ts";

/** Indexes of the shared i32 words. */
export const words = {
  /** Incremented by whoever has something for the thread. The thread sleeps on it. */
  bell: 0,
  /** Bits of `requests`; set by the owner, cleared by the thread. */
  requests: 1,
  unreadBytes: 2,
  /** Pages of 4 KiB that the guest is asked to do without; set by the owner. */
  balloonPages: 3,
  /** How short of memory the host is: the number of a `Pressure`, and `hostChose`; set by the owner. */
  hostPressure: 4,
  /** Frames that the machine is to have at most for the host's sake, or 0. */
  hostLimit: 5,
  /** What the machine holds of the host's memory, in pages: frames, and what evicted ones take; set by the thread. */
  frames: 6,
  stored: 7,
} as const;
export const wordCount = Object.keys(words).length;

/** In `words.hostPressure`: this machine is to stand still. */
export const hostChose = 4;

export const requests = { stop: 1, stats: 2 } as const;

export const serialPortCount = 4;
export const inputRingBytes = 64 * 1024;
export const unreadLimitBytes = 256 * 1024;

/** Bytes, or the name of a file, which the machine's thread reads anew for each boot and does not keep. */
export type FileSource = Uint8Array | string;

/** What a machine boots. */
export interface BootFiles {
  /** A bzImage or an ELF vmlinux. Without one there is a snapshot, and a reset ends the machine. */
  readonly kernel?: FileSource;
  /** Of the bzImage, from offset 0x1f1 on, when `kernel` is what was unpacked from it. */
  readonly setupHeader?: FileSource;
  readonly initrd?: FileSource;
  /** A file that the machine goes on from; a reset boots the kernel. */
  readonly snapshot?: string;
  /** A file with the secret that the snapshot was encrypted with. */
  readonly key?: string;
  /** Keep beside the snapshot what this machine wants first: the next ones have it at once. */
  readonly learn?: boolean;
  /**
   * A file of what boots have learnt of their code (docs/cold-path.md): one that boots takes it, and keeps what is new. There need be none
   * yet, and any machine may use any.
   */
  readonly learnt?: string;
}

/** All that a thread is given. */
export interface MachineStart {
  readonly config: Omit<MachineConfig, keyof BootFiles>;
  readonly files: BootFiles;
  /** Whether a reset starts the machine again. */
  readonly reboot: boolean;
  readonly words: SharedArrayBuffer;
  readonly inputs: readonly SharedArrayBuffer[];
  /** The ring of records for streams (devices/streams/wire.ts). */
  readonly streams: SharedArrayBuffer;
  /** The ring of orders (orders.ts). */
  readonly orders: SharedArrayBuffer;
}

export type MachineMessage =
  /** The kernel or snapshot was accepted; the guest runs. Sent again after each reset. */
  | { readonly type: "started"; readonly resumed: false }
  /** Once, in its place: the guest goes on from a snapshot. */
  | { readonly type: "started"; readonly resumed: true; readonly awakening: Awakening }
  | { readonly type: "output"; readonly port: number; readonly bytes: Uint8Array }
  | { readonly type: "stream"; readonly message: StreamMessage }
  | { readonly type: "report"; readonly kind: ReportKind; readonly lines: readonly string[]; readonly size: number }
  | { readonly type: "stats"; readonly stats: VmStats }
  | { readonly type: "pressure"; readonly pressure: MemoryPressure }
  /** Part of its memory is out of reach, and why; or no more. */
  | { readonly type: "waiting"; readonly reason: string | undefined }
  | { readonly type: "answer"; readonly answer: Answer }
  /**
   * The kernel, initrd or command line cannot be booted; the snapshot is none, or another machine's; the host has not so much memory; or
   * the machine to go on from cannot share its thread.
   */
  | { readonly type: "refused"; readonly code: "boot" | "memory" | "snapshot" | "fork"; readonly message: string }
  | { readonly type: "ended"; readonly outcome: MachineOutcome; readonly stats: VmStats; readonly profile?: string };

/** A thread as its owner sees it. */
export interface MachineThread {
  /** One message at a time: who waited for what it tells has gone on before the next comes. */
  onMessage(receive: (message: MachineMessage) => void): void;
  /** The thread is no more; with the reason when it failed. Nothing follows. */
  onEnd(receive: (error: Error | undefined) => void): void;
  /** Ends the thread or, where other machines live on it, only what ties this one to its owner. */
  terminate(): Promise<void>;
  /** The thread is to look: where it sleeps on another machine's words. */
  ring?(): void;
  /** Starts what the order to fork with that number gives a machine, on the same thread. Absent where a fork gets a thread of its own. */
  readonly startBeside?: (start: MachineStart, number: number) => MachineThread;
}

export type StartThread = (start: MachineStart) => MachineThread;
