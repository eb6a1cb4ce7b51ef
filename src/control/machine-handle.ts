/**
 * A running machine, held by its owner: consoles, commands, statistics, and its end.
 *
 * The machine itself runs on a thread (thread-protocol.ts says how the two talk); who makes threads comes in as
 * `StartThread`, so that Node and a page share this file.
 *
 * Law: `exited` is resolved exactly once, whatever fails, and nothing is delivered after it.
 */
import { allocateByteRing, printValue } from "#base";
import { streamRingBytes } from "#devices";
import { isEncrypted, parseBacking } from "#memory/backing";
import { parsePublish } from "#net/rules";
import type { MachineOutcome, ReportKind } from "#vm";
import {
  execute,
  GuestCommands,
  type GuestProcess,
  packTar,
  type ReadFileOptions,
  readFile,
  unpackTar,
  type WriteFileOptions,
  writeFile,
} from "./agent/index.ts";
import { type GuestPort, GuestPorts } from "./guest-ports.ts";
import { GuestStreams } from "./guest-streams.ts";
import { checked, networkOptions } from "./network-options.ts";
import { OrderBook } from "./orders.ts";
import { changesEngine, forkedOptions, rememberedOf } from "./remembered.ts";
import { resizableWords } from "./resizable.ts";
import { SerialLine } from "./serial-line.ts";
import { shareConfigs, shareWords } from "./shares.ts";
import {
  type BootFiles,
  inputRingBytes,
  type MachineMessage,
  type MachineStart,
  type MachineThread,
  requests,
  type StartThread,
  serialPortCount,
  unreadLimitBytes,
  wordCount,
  words,
} from "./thread-protocol.ts";
import {
  defaultCommandLine,
  defaultMemoryBytes,
  type ExecOptions,
  type ExecResult,
  type ForwardedPort,
  maxMemoryBytes,
  type RestoreOptions,
  type SerialPort,
  type SnapshotOptions,
  type SnapshotSummary,
  type SpawnOptions,
  type VmEnd,
  VmError,
  type VmOptions,
  type VmReport,
  type VmStats,
} from "./vm-api.ts";
import { VmMemory } from "./vm-memory.ts";
import { type Vsock, vsockOf } from "./vsock.ts";

/** A thread that does not stop on its own within this time is ended. */
const stopGraceMs = 3000;
/** A profile is written at the end, */
const profileGraceMs = 60_000;
/** and so is what was learnt. */
const learntGraceMs = 20_000;
/** How long a snapshot waits for the guest's agent to read what was sent to it. */
const holdTimeoutMs = 1000;
/** What a guest's serial driver holds for a reader that is late (N_TTY_BUF_SIZE). */
const serialWindow = 4096;

/** Orders to fork, of all machines: several may be on their way to one thread. */
let forksOrdered = 0;

/** For machines that go on as another one does, at its side. */
interface PlaceForForks {
  readonly options: VmOptions;
  readonly start: StartThread;
  /** Those who were started go on. */
  begin(): Promise<unknown>;
}

export class MachineHandle implements AsyncDisposable {
  readonly exited: Promise<VmEnd>;
  readonly #thread: MachineThread;
  readonly #words = new Int32Array(new SharedArrayBuffer(4 * wordCount));
  readonly #lines: readonly SerialLine[];
  readonly #streams: GuestStreams;
  readonly #guestPorts: GuestPorts;
  /** Sockets of the guest, with the option `vsock`. */
  readonly vsock: Vsock;
  /** What the guest's memory is used for. */
  readonly memory: VmMemory;
  readonly #commands: GuestCommands;
  readonly #orders: OrderBook;
  readonly #options: VmOptions;
  readonly #started = Promise.withResolvers<void>();
  readonly #exited = Promise.withResolvers<VmEnd>();
  readonly #reports = new Set<VmReport>();
  readonly #statsWaiters: ((stats: VmStats) => void)[] = [];
  readonly #timeout: ReturnType<typeof setTimeout> | undefined;
  #lastStats: VmStats | undefined;
  #profile: string | undefined;
  readonly #graceMs: number;
  readonly #hasBalloon: boolean;
  /** Set when the owner ends the machine: then that is the reason, whatever the machine says. */
  #ending: VmEnd | undefined;
  #over = false;
  #resumed = false;

  /** Requires: `checkOptions` has passed them. */
  protected constructor(options: VmOptions, startThread: StartThread) {
    const inputs = Array.from({ length: serialPortCount }, () => allocateByteRing(inputRingBytes));
    this.#lines = inputs.map((input) => new SerialLine(input, () => this.#ringBell()));
    const streams = allocateByteRing(streamRingBytes);
    this.#streams = new GuestStreams(streams, () => this.#ringBell());
    this.vsock = vsockOf(this.#streams, options.vsock ?? false);
    this.#guestPorts = new GuestPorts(this.#streams, options.ports ?? []);
    this.#orders = new OrderBook(() => this.#ringBell());
    this.memory = new VmMemory(
      (question) => this.#orders.give({ type: "memory", question }),
      this.#words,
      () => this.#ringBell(),
    );
    this.#options = options;
    this.#commands = new GuestCommands(this.#lines[1] as SerialLine, serialWindow, options.programs);
    this.exited = this.#exited.promise;
    this.#hasBalloon = options.balloon ?? false;
    this.#graceMs = options.profile ? profileGraceMs : options.learnt !== undefined ? learntGraceMs : stopGraceMs;
    this.#started.promise.catch(() => {});
    this.#thread = startThread({
      config: configOf(options),
      files: filesOf(options),
      reboot: options.reboot ?? true,
      words: this.#words.buffer as SharedArrayBuffer,
      inputs,
      streams,
      orders: this.#orders.ring,
    });
    this.#thread.onMessage((message) => this.#receive(message));
    this.#thread.onEnd((error) => this.#threadEnded(error));
    if (options.timeoutMs !== undefined) {
      const seconds = options.timeoutMs / 1000;
      this.#timeout = setTimeout(
        () => void this.#end({ reason: "timeout", detail: `not ended after ${seconds} s` }),
        options.timeoutMs,
      );
    }
  }

  /** COM1. */
  get console(): SerialPort {
    return this.ports[0] as SerialPort;
  }

  /** COM1 to COM4. The agent of the prepared images has COM2. */
  get ports(): readonly SerialPort[] {
    return this.#lines;
  }

  /** A port of the guest's virtio console, by its name. */
  guestPort(name: string): GuestPort {
    return this.#guestPorts.port(name);
  }

  /**
   * Runs a command and waits for its end: one text by the guest's shell, or a program with its arguments as they are. Waits for
   * the guest to be up. Whatever status the command ends with is a result.
   */
  exec(command: string, options?: ExecOptions): Promise<ExecResult>;
  exec(program: string, args: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  exec(command: string, second: readonly string[] | ExecOptions = {}, third: ExecOptions = {}): Promise<ExecResult> {
    return isList(second)
      ? execute(this.#commands, [command, ...second], third)
      : execute(this.#commands, ["/bin/sh", "-c", command], second);
  }

  /** Starts a command, to be talked to while it runs. Resolved when it does. */
  spawn(program: string, args: readonly string[] = [], options: SpawnOptions = {}): Promise<GuestProcess> {
    return this.#commands.start([program, ...args], options, options.stdin ?? false);
  }

  /** Writes a file in the guest, whole, over what is there. */
  writeFile(
    path: string,
    data: Uint8Array | string | AsyncIterable<Uint8Array>,
    options?: WriteFileOptions,
  ): Promise<void> {
    return writeFile(this.#commands, path, data, options);
  }

  readFile(path: string, options?: ReadFileOptions): Promise<Uint8Array> {
    return readFile(this.#commands, path, options);
  }

  /** Unpacks a tar archive in a folder of the guest, which is made if need be. */
  unpackTar(archive: AsyncIterable<Uint8Array>, folder: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    return unpackTar(this.#commands, archive, folder, options.signal);
  }

  /** A file or a folder of the guest as a tar archive, whose entries begin with the path's last name. */
  packTar(path: string): AsyncIterable<Uint8Array> {
    return packTar(this.#commands, path);
  }

  /** Resolved when the guest takes commands; rejected when it ends before that. */
  ready(): Promise<void> {
    return this.#commands.ready();
  }

  /** Tells the guest the size of the terminal at its console. */
  resize(rows: number, columns: number): void {
    this.#commands.resize(rows, columns);
  }

  /**
   * Asks a guest with a `balloon` to do without so many bytes of its memory. It gives what it can, and takes it back when it runs
   * short; `stats` tells how far it came.
   */
  balloon(bytes: number): void {
    if (!this.#hasBalloon) throw new VmError("option", "the machine has no balloon: start it with balloon: true");
    if (!(bytes >= 0 && bytes <= maxMemoryBytes))
      throw new VmError("option", `balloon: ${bytes} is no amount of memory`);
    Atomics.store(this.#words, words.balloonPages, Math.floor(bytes / 4096));
    this.#ringBell();
  }

  /** Asks the agent in the guest to power it off; `exited` tells when it did. */
  powerOff(): void {
    this.#commands.powerOff();
  }

  /** Lines of trace, digests and notices. Returns what ends the subscription. */
  onReport(receive: VmReport): () => void {
    this.#reports.add(receive);
    return () => this.#reports.delete(receive);
  }

  async stats(): Promise<VmStats> {
    if (this.#over) {
      if (this.#lastStats) return this.#lastStats;
      throw new VmError("ended", "the machine ended before it could count anything");
    }
    return new Promise((resolve) => {
      this.#statsWaiters.push(resolve);
      this.#request(requests.stats);
    });
  }

  /**
   * Leads a port of this host to one of the guest's: `8080:80`, as the option `publish` has it, until it is closed or the machine ends. The
   * machine has a `network`. A snapshot does not remember it.
   */
  async forwardPort(publish: string): Promise<ForwardedPort> {
    if (this.#options.network === undefined)
      throw new VmError("option", "the machine has no network: start it with network: {}");
    const rule = checked(() => parsePublish(publish));
    await this.#orders.give({ type: "port", rule, open: true });
    const close = async (): Promise<void> => {
      // With the machine its ports are gone.
      if (!this.#over) await this.#orders.give({ type: "port", rule, open: false });
    };
    return { close, [Symbol.asyncDispose]: close };
  }

  /**
   * Writes the whole machine to a file, from which `restore` makes one that goes on as this one does now. The guest stands still
   * meanwhile; what was a file of that name stays until the new one is whole.
   */
  async snapshot(path: string, options: SnapshotOptions = {}): Promise<SnapshotSummary> {
    if (this.#options.pmem !== undefined)
      throw new VmError("order", "a machine with persistent memory cannot be saved: its file would change without it");
    this.#checkKey(options.key);
    const owner = printValue(rememberedOf(this.#options));
    const order = { type: "snapshot", path, owner, ...options } as const;
    return this.#held(() => this.#orders.give(order) as Promise<SnapshotSummary>);
  }

  #checkKey(key: string | undefined): void {
    const { memoryBacking } = this.#options;
    const backing = memoryBacking === undefined ? undefined : parseBacking(memoryBacking);
    if (key === undefined && isEncrypted(backing))
      throw new VmError(
        "order",
        "the machine's memory is encrypted: a snapshot of it needs a key (--key FILE, or the option key)",
      );
  }

  /** As `snapshot`, at the moment when the guest's agent is ready for the first command, which waits for it. */
  snapshotWhenReady(path: string): Promise<SnapshotSummary> {
    return this.#commands.beforeFirst(() => this.snapshot(path));
  }

  /** Bytes of guest memory, and vCPUs. */
  get shape(): { readonly memoryBytes: number; readonly cpus: number } {
    const { memoryBytes = defaultMemoryBytes, cpus = 1 } = this.#options;
    return { memoryBytes, cpus };
  }

  /** Whether the guest goes on from a snapshot, or as another one did. */
  get resumed(): boolean {
    return this.#resumed;
  }

  /**
   * Where the time of a machine with `profile` went, as a file for https://www.speedscope.app; undefined before its end.
   * A machine that was reset tells of the time since.
   */
  get profile(): string | undefined {
    return this.#profile;
  }

  /** Ends the machine as if its plug were pulled. */
  stop(): Promise<VmEnd> {
    return this.#end({ reason: "stopped", detail: "" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Undefined where each that goes on as this one does needs a thread of its own. */
  protected placeForForks(changes: RestoreOptions): PlaceForForks | undefined {
    const startBeside = this.#thread.startBeside;
    if (startBeside === undefined || changesEngine(changes)) return undefined;
    const number = ++forksOrdered;
    return {
      options: forkedOptions(this.#options, changes),
      start: (start) => startBeside(start, number),
      begin: () => this.#held(() => this.#orders.give({ type: "fork", number })),
    };
  }

  /** Resolved when the guest runs; rejected when the machine cannot be started. */
  protected get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Half a message would be in a copy of the machine, and the other half nowhere. A guest that does not read is copied all the same. */
  async #held<T>(work: () => Promise<T>): Promise<T> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, holdTimeoutMs);
    try {
      await Promise.race([this.#commands.hold(), late.promise]);
      return await work();
    } finally {
      clearTimeout(timer);
      this.#commands.release();
    }
  }

  async #end(end: VmEnd): Promise<VmEnd> {
    if (this.#over) return this.exited;
    this.#ending ??= end;
    this.#request(requests.stop);
    const timer = setTimeout(() => void this.#thread.terminate(), this.#graceMs);
    const result = await this.exited;
    clearTimeout(timer);
    return result;
  }

  #request(bits: number): void {
    Atomics.or(this.#words, words.requests, bits);
    this.#ringBell();
  }

  #ringBell(): void {
    Atomics.add(this.#words, words.bell, 1);
    Atomics.notify(this.#words, words.bell);
    this.#thread.ring?.();
  }

  #receive(message: MachineMessage): void {
    if (this.#over) return;
    switch (message.type) {
      case "started":
        if (message.resumed) {
          this.#resumed = true;
          this.#commands.resume(message.awakening);
        } else this.#commands.restart();
        this.#started.resolve();
        break;
      case "output":
        this.#settle(this.#lines[message.port]?.deliver(message.bytes), message.bytes.length);
        break;
      case "stream":
        this.#streams.receive(message.message);
        break;
      case "report":
        this.#settle(this.#tell(message.kind, message.lines), message.size);
        break;
      case "stats":
        this.#takeStats(message.stats);
        break;
      case "answer":
        this.#orders.receive(message.answer);
        break;
      case "pressure":
        this.memory.pressed(message.pressure);
        break;
      case "waiting":
        this.memory.waits(message.reason);
        break;
      case "refused":
        this.#started.reject(new VmError(message.code, message.message));
        this.#finish({ reason: "error", detail: message.message });
        break;
      case "ended":
        this.#takeStats(message.stats);
        this.#profile = message.profile;
        this.#finish(message.outcome);
        break;
    }
  }

  #tell(kind: ReportKind, lines: readonly string[]): Promise<unknown> | undefined {
    const open = [...this.#reports]
      .map((receive) => receive(kind, lines))
      .filter((result) => result instanceof Promise);
    return open.length > 0 ? Promise.allSettled(open) : undefined;
  }

  /** Lets the thread post `size` bytes more when receivers are done with as many. */
  #settle(open: Promise<unknown> | undefined, size: number): void {
    if (open) void open.then(() => this.#taken(size));
    else this.#taken(size);
  }

  #taken(size: number): void {
    const unread = Atomics.sub(this.#words, words.unreadBytes, size);
    if (unread >= unreadLimitBytes && unread - size < unreadLimitBytes) this.#ringBell();
  }

  #takeStats(stats: VmStats): void {
    this.#lastStats = stats;
    for (const resolve of this.#statsWaiters.splice(0)) resolve(stats);
  }

  #threadEnded(error: Error | undefined): void {
    if (this.#over) return;
    const detail = error ? `the machine's thread failed: ${error.message}` : "the machine's thread ended";
    this.#finish({ reason: "error", detail });
  }

  #finish(outcome: MachineOutcome): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timeout);
    const end: VmEnd = this.#ending ?? outcome;
    const ended = new VmError("ended", `the machine ended (${end.reason}${end.detail ? `: ${end.detail}` : ""})`);
    this.#started.reject(ended);
    for (const line of this.#lines) line.close();
    this.#streams.close(ended);
    this.#commands.end(ended);
    this.#orders.end(ended);
    // Whoever waits for numbers gets the last there were.
    if (this.#lastStats) this.#takeStats(this.#lastStats);
    void this.#thread.terminate().finally(() => this.#exited.resolve(end));
  }
}

/** As Array.isArray, which takes no read-only list for one. */
const isList = (value: readonly string[] | ExecOptions): value is readonly string[] => Array.isArray(value);

function filesOf({ kernel, setupHeader, initrd, snapshot, key, learn, learnt }: VmOptions): BootFiles {
  return {
    ...(kernel !== undefined && { kernel }),
    ...(setupHeader !== undefined && { setupHeader }),
    ...(initrd !== undefined && { initrd }),
    ...(snapshot !== undefined && { snapshot }),
    ...(key !== undefined && { key }),
    ...(learn && { learn }),
    ...(learnt !== undefined && { learnt }),
  };
}

function reclaimOf({ reclaim = false, memoryLimitBytes }: VmOptions): Pick<MachineStart["config"], "reclaim"> {
  if (!reclaim && memoryLimitBytes === undefined) return {};
  const limit = memoryLimitBytes === undefined ? {} : { limitFrames: Math.floor(memoryLimitBytes / 4096) };
  return { reclaim: { proactive: reclaim, ...limit } };
}

function configOf(options: VmOptions): MachineStart["config"] {
  const { cpus, seed, rng, balloon, ports, vsock, network, disks, pmem, shares, digestEvery, trace, profile } = options;
  const { interpreterOnly, chaosSeed, evictionSeed, without, memoryBacking, memoryMaxBytes } = options;
  const backing = memoryBacking === undefined ? undefined : parseBacking(memoryBacking);
  return {
    commandLine: [
      // Before the user's words, of which the last one counts.
      ...(memoryMaxBytes === undefined ? [] : resizableWords),
      options.commandLine ?? defaultCommandLine,
      ...shareWords(shares ?? []),
    ].join(" "),
    memoryBytes: options.memoryBytes ?? defaultMemoryBytes,
    ...(memoryMaxBytes !== undefined && { memoryMaxBytes }),
    ...(cpus !== undefined && { cpus }),
    clock: options.clock ?? "wall",
    ...(ports && { ports }),
    ...(vsock && { vsock }),
    ...(network && { network: networkOptions(network) }),
    ...(shares && { shares: shareConfigs(shares) }),
    ...(seed !== undefined && { seed }),
    ...(rng && { rng }),
    ...(backing && { memoryBacking: backing }),
    ...reclaimOf(options),
    ...(balloon && { balloon }),
    ...(disks && { disks }),
    ...(pmem && { pmem }),
    ...(digestEvery !== undefined && { digestEvery }),
    ...(trace && { trace }),
    ...(profile && { profile }),
    engine: {
      ...(interpreterOnly && { interpreterOnly }),
      ...(chaosSeed !== undefined && { chaosSeed }),
      ...(evictionSeed !== undefined && { evictionSeed }),
      ...(without && { without }),
    },
  };
}
