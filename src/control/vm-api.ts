/** What a program says to a virtual machine and hears from it: the library's types. */
import type { DiskConfig } from "#devices";
import type { EngineOptions, MachineStats, PmemConfig, ReportKind, TraceOptions } from "#vm";
import type { BootFiles } from "./thread-protocol.ts";

export interface VmOptions extends EngineOptions, BootFiles {
  /** Without one: `defaultCommandLine`. */
  readonly commandLine?: string;
  /** Guest memory, whole MiB; 512 MiB without a word. Only what the guest touches costs the host anything. */
  readonly memoryBytes?: number;
  /** What the guest's memory can grow to while it runs (`memory.resize` of the machine): over `memoryBytes` by a multiple of 128 MiB. */
  readonly memoryMaxBytes?: number;
  /** vCPUs, 1 to `maxCpus`; 1 without a word. */
  readonly cpus?: number;
  /** Guest time follows the host's clock, or counts retired instructions: then two runs are the same run. */
  readonly clock?: "wall" | "virtual";
  /** Whether a reset starts the machine again, or ends it. */
  readonly reboot?: boolean;
  readonly trace?: TraceOptions;
  /** Take samples of where the time goes: see `profile` of the machine. */
  readonly profile?: boolean;
  /** Ports of the guest's virtio console besides the terminal hvc0, by name: see `guestPort` of the machine. */
  readonly ports?: readonly string[];
  /** A network card with a way out (docs/network.md); without a word there is none. */
  readonly network?: VmNetwork;
  /** Sockets between the host and the guest: see `vsock` of the machine. */
  readonly vsock?: boolean;
  /** Directories of the host that the guest sees (docs/shares.md). */
  readonly shares?: readonly VmShare[];
  /** Reports a digest of CPU, memory and devices each so many retired instructions. */
  readonly digestEvery?: number;
  /** Every random number of the machine comes from it. */
  readonly seed?: number;
  /** Disks (virtio): /dev/vda and so on in the guest. A disk that cannot be opened is a `VmError` "boot" of `start`. */
  readonly disks?: readonly DiskConfig[];
  /** Files as persistent memory (virtio-pmem): /dev/pmem0 and so on in the guest (docs/persistent-memory.md). */
  readonly pmem?: readonly PmemConfig[];
  /**
   * Where pages of the guest go that are evicted (docs/memory.md): `compressed`, `file:PATH`, `encrypted`, `encrypted:file:PATH`, …
   * Without one, pages stay in memory.
   */
  readonly memoryBacking?: string;
  /** Pages that the guest has not used for a time go to the memory backing, which is `compressed` without a word (docs/memory-watch.md). */
  readonly reclaim?: boolean;
  /** The guest has no more of its memory in frames than this; what is over goes to the memory backing. */
  readonly memoryLimitBytes?: number;
  /** A memory balloon (virtio): the guest gives back memory that it does not use, and more when `balloon` asks for it. */
  readonly balloon?: boolean;
  /** An entropy device (virtio): the guest's /dev/hwrng. */
  readonly rng?: boolean;
  /** The machine is ended after so long. */
  readonly timeoutMs?: number;
  /** What commands get that do not say otherwise; an imported image has its own. */
  readonly programs?: ProgramSettings;
}

export interface ProgramSettings {
  readonly environment?: Readonly<Record<string, string>>;
  readonly folder?: string;
}

/** The guest's network: the world by NAT, but not the host itself. */
export interface VmNetwork {
  /** Ports of the host that lead to the guest: `8080:80`, `0.0.0.0:8080:80`, `5353:53/udp`. */
  readonly publish?: readonly string[];
  /** What the guest may reach though it is the host itself or link-local: `localhost:5432`, which it finds at 10.0.2.2. */
  readonly allow?: readonly string[];
  /** A relay whose sockets are used (`memvisor relay`), as `ws://127.0.0.1:8765/#TOKEN`: what a page needs. */
  readonly relay?: string;
  /** Of the card: `52:54:00:12:34:56` without a word. */
  readonly mac?: string;
}

/** A port of the host that leads to the guest. */
export interface ForwardedPort extends AsyncDisposable {
  /** No more connections are taken; those that are open go on. */
  close(): Promise<void>;
}

/** How a machine goes on from a snapshot; all else is as it was. */
export interface RestoreOptions extends EngineOptions {
  readonly memoryBacking?: string;
  readonly reclaim?: boolean;
  readonly memoryLimitBytes?: number;
  /** Keep beside the file, as `FILE.warm`, what this machine wants first: the next ones that learn have it at once. */
  readonly learn?: boolean;
  readonly reboot?: boolean;
  readonly profile?: boolean;
  readonly timeoutMs?: number;
  /** A file whose first line is the secret that the snapshot, and those it is based on, were encrypted with. */
  readonly key?: string;
}

export interface SnapshotOptions {
  /** Only pages that differ from this snapshot's are written. Restoring takes both files; the other one is found as it lies from this one. */
  readonly base?: string;
  /** The guest runs on while its memory is written; the snapshot shows it as it is at the end. */
  readonly live?: boolean;
  /** A file whose first line is a secret: what is written is encrypted, and restored by who has it. */
  readonly key?: string;
}

export interface SnapshotSummary {
  readonly sizeBytes: number;
  /** Pages of 4 KiB that are in the file: those that are not zeros, and not in the base. */
  readonly pages: number;
  /** How long the guest stood still. */
  readonly pauseMs: number;
}

export interface VmShare {
  /** A directory. Nothing outside of it can be reached. */
  readonly hostPath: string;
  /** Where the init of prepared images mounts it: absolute, without blanks and colons. */
  readonly guestPath: string;
  /** Nothing is changed in it, whatever the guest does. */
  readonly readOnly?: boolean;
}

/** Shows the log on COM1, and restarts at once after a panic, by which the host learns of it. */
export const defaultCommandLine = "console=ttyS0 panic=-1";
const mib = 1024 * 1024;
export const defaultMemoryBytes = 512 * mib;
/** A stock kernel does not unpack into less; above, the 4 GiB of an arena leave no room for what is not guest memory. */
export const minMemoryBytes = 32 * mib;
export const maxMemoryBytes = 3072 * mib;

export const maxCpus = 8;
/** There are 31 slots for all devices. */
export const maxDisks = 16;

/** How a virtual machine ended. */
export interface VmEnd {
  /**
   * poweroff, reset, panic: by the guest (a reset ends only a machine with `reboot: false`). timeout, stopped: by the
   * host. error: the monitor failed.
   */
  readonly reason: "poweroff" | "reset" | "panic" | "timeout" | "stopped" | "error";
  /** One line for a person, empty where the reason says all. */
  readonly detail: string;
}

export interface VmStats extends MachineStats {
  /** Since the machine was started. */
  readonly wallMs: number;
  /** Of the whole process; a page is not told. */
  readonly peakRssBytes?: number;
}

/** One serial line, seen from outside. */
export interface SerialPort {
  /**
   * What the guest sends, in order. While a promise that `receive` gave is open, no more than a bounded amount is
   * sent: then the guest waits. Returns what ends the subscription.
   */
  onOutput(receive: (bytes: Uint8Array) => void | Promise<void>): () => void;
  /** Sends to the guest; resolved when the line has taken all of it. */
  write(bytes: Uint8Array): Promise<void>;
}

/** How a command in the guest is started. */
export interface ProcessOptions {
  /** Working directory; `/root` without one. */
  readonly cwd?: string;
  /** Variables besides PATH, HOME and LANG, or in their place. */
  readonly env?: Readonly<Record<string, string>>;
  /** Numbers of the user and group to run as; root without a word, the group as the user. */
  readonly user?: number;
  readonly group?: number;
  /** A terminal of that size in place of three pipes: what the command prints is then all in `stdout`. */
  readonly terminal?: { readonly rows: number; readonly columns: number };
  /** Kills the command. */
  readonly signal?: AbortSignal;
}

export interface SpawnOptions extends ProcessOptions {
  /** Whether something will be written to its input; without, it reads /dev/null. */
  readonly stdin?: boolean;
}

export interface ExecOptions extends ProcessOptions {
  /** What the command reads; nothing without one. A stream is asked for piece by piece, as the command reads. */
  readonly stdin?: Uint8Array | string | AsyncIterable<Uint8Array>;
  /** Take what the command prints as it comes; the result then has none of it. The command waits for a promise. */
  readonly onStdout?: (bytes: Uint8Array) => void | Promise<void>;
  readonly onStderr?: (bytes: Uint8Array) => void | Promise<void>;
  /** The command is killed after so long, and the call rejected with "timeout". */
  readonly timeoutMs?: number;
  /** What a stream may print into the result, 16 MiB without a word; the command is killed when it prints more. */
  readonly maxOutputBytes?: number;
}

/** What a command printed. */
export class Output {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** As UTF-8. */
  text(): string {
    return new TextDecoder().decode(this.bytes);
  }

  toString(): string {
    return this.text();
  }
}

export interface ExecResult {
  /** What the command gave to exit(2): 0 to 255; 128 and the signal's number where a signal ended it. */
  readonly status: number;
  /** The signal that ended it, such as "SIGKILL". */
  readonly signal?: string;
  readonly stdout: Output;
  readonly stderr: Output;
}

/**
 * option: a call that makes no sense. boot: a kernel that does not start. memory: the host has not so
 * much. ended: the machine is no more. exec, not-found: a
 * command that cannot run. cancelled, timeout, output: one that was stopped. file: a file in the guest. agent: the guest
 * broke the line that commands go over. machine: a running machine, by its name.
 */
export type VmErrorCode =
  | "option"
  | "boot"
  | "memory"
  | "ended"
  | "exec"
  | "not-found"
  | "cancelled"
  | "timeout"
  | "output"
  | "file"
  | "order"
  | "snapshot"
  /** The machine has what a fork on the same thread cannot share. */
  | "fork"
  | "agent"
  | "machine";

/** What a caller can get wrong, or a machine fail at, by name. Each message is one line and says what to do. */
export class VmError extends Error {
  override name = "VmError";
  readonly code: VmErrorCode;

  constructor(code: VmErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Takes lines that a machine reports beside its consoles. The machine waits for a promise, as for `onOutput`. */
export type VmReport = (kind: ReportKind, lines: readonly string[]) => void | Promise<void>;
