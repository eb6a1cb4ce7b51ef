/**
 * Commands in the guest, many at once, over the agent that the prepared images run.
 *
 * A command has a session, one of `sessionCount`; one more waits until another ends. All sessions share one line, on which
 * every stream has a window of its own: a command that floods, or that never reads, holds up nobody else.
 *
 * Law: whatever the guest sends, each command ends once, and what is held of it is bounded by the windows.
 */
import { type ProcessOptions, type ProgramSettings, VmError } from "../vm-api.ts";
import {
  type Awakening,
  agentVersion,
  consoleSession,
  encodeFrame,
  type Frame,
  FrameParser,
  fromAgent,
  numberAt,
  numbers,
  outputWindow,
  restartPayload,
  type StartRequest,
  sessionCount,
  shapePayload,
  startPayload,
  type TerminalShape,
  toAgent,
} from "./frames.ts";
import { GuestProcess } from "./guest-process.ts";
import { type AgentLine, SendQueue } from "./line.ts";

const defaultEnvironment = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  LANG: "C.UTF-8",
};

interface Session {
  readonly process: GuestProcess;
  /** Until the agent has said whether there is a process. */
  starting?: { readonly started: (process: GuestProcess) => void; readonly failed: (error: VmError) => void };
  readonly name: string;
}

export class GuestCommands {
  readonly #queue: SendQueue;
  readonly #settings: ProgramSettings;
  readonly #parser = new FrameParser();
  readonly #sessions: (Session | undefined)[] = Array.from({ length: sessionCount }, () => undefined);
  /** The numbers of sessions that nobody has. */
  readonly #unused = new Set(this.#sessions.keys());
  /** Sessions with commands of a machine that this one went on from. */
  readonly #orphans = new Set<number>();
  /** Who waits for the agent, or for a session. */
  readonly #waiting: { readonly go: () => void; readonly failed: (error: VmError) => void }[] = [];
  #ready = false;
  #first: { readonly go: () => Promise<void>; readonly failed: (error: VmError) => void } | undefined;
  #ended: VmError | undefined;
  #size: TerminalShape | undefined;

  /** `window`: how many bytes the line holds that the agent has not read. */
  constructor(line: AgentLine, window: number, settings: ProgramSettings = {}) {
    this.#settings = settings;
    this.#queue = new SendQueue(line, window);
    line.onOutput((bytes) => this.#receive(bytes));
  }

  /** Starts a command: resolved when it runs, rejected when there is none such. Waits for the guest to be up. */
  async start(argv: readonly string[], options: ProcessOptions, input: boolean): Promise<GuestProcess> {
    const request: StartRequest = {
      argv,
      environment: {
        ...defaultEnvironment,
        ...this.#settings.environment,
        ...(options.terminal && { TERM: "xterm-256color" }),
        ...options.env,
      },
      folder: options.cwd ?? this.#settings.folder ?? "/root",
      user: options.user ?? 0,
      group: options.group ?? options.user ?? 0,
      input: input || options.terminal !== undefined,
      ...(options.terminal && { terminal: options.terminal }),
    };
    const payload = startPayload(request);
    if (typeof payload === "string") throw new VmError("option", payload);
    if (options.signal?.aborted) throw cancelled();
    const number = await this.#freeSession(options.signal);
    return new Promise((started, failed) => {
      const send = (kind: number, bytes?: Uint8Array): void => this.#send(kind, number, bytes);
      const process = new GuestProcess(send, request.input);
      this.#sessions[number] = { process, name: argv[0] as string, starting: { started, failed } };
      send(toAgent.start, payload);
    });
  }

  /** Does `work` when the agent is first ready, before any command. */
  beforeFirst<T>(work: () => Promise<T>): Promise<T> {
    const result = Promise.withResolvers<T>();
    this.#first = {
      go: async () => {
        await work().then(result.resolve, result.reject);
      },
      failed: result.reject,
    };
    return result.promise;
  }

  /** Resolved when the agent is there. */
  async ready(): Promise<void> {
    while (!this.#ready) {
      if (this.#ended) throw this.#ended;
      await new Promise<void>((go, failed) => this.#waiting.push({ go, failed }));
    }
  }

  /** Tells the console's terminal its size, now or when the agent is there. */
  resize(rows: number, columns: number): void {
    this.#size = { rows, columns };
    if (this.#ready) this.#send(toAgent.resize, consoleSession, shapePayload(this.#size));
  }

  /** Asks the guest to power itself off. */
  powerOff(): void {
    if (this.#ready) this.#send(toAgent.powerOff, consoleSession);
  }

  /** The guest begins anew: what ran in it is lost. */
  restart(): void {
    this.#ready = false;
    this.#parser.reset();
    this.#queue.reset();
    this.#failAll(new VmError("exec", "the guest was restarted before the command ended"));
  }

  /**
   * The guest goes on from a snapshot, and what it was in the middle of saying was for somebody else. Commands that run in it
   * run on: what they print is dropped, and their input ends.
   */
  resume(awakening: Awakening): void {
    const token = 1 + Math.floor(Math.random() * 0xffff_fffe);
    this.#parser.seek(token);
    this.#queue.reset();
    this.#send(toAgent.restart, consoleSession, restartPayload(token, awakening));
  }

  /** Resolved when all that was sent is in the guest; nothing more is sent until `release`. */
  hold(): Promise<void> {
    return this.#queue.hold();
  }

  release(): void {
    this.#queue.release();
  }

  /** The machine ended: so do all commands. */
  end(error: VmError): void {
    this.#ended = error;
    this.#ready = false;
    this.#failAll(error);
    this.#first?.failed(error);
    for (const each of this.#waiting.splice(0)) each.failed(error);
  }

  async #freeSession(signal: AbortSignal | undefined): Promise<number> {
    for (;;) {
      if (this.#ended) throw this.#ended;
      const [number] = this.#unused;
      if (this.#ready && number !== undefined) {
        this.#unused.delete(number);
        return number;
      }
      await new Promise<void>((resolve, reject) => {
        const waiter = { go: resolve, failed: reject };
        this.#waiting.push(waiter);
        signal?.addEventListener("abort", () => reject(cancelled()), { once: true });
      });
    }
  }

  #send(kind: number, session: number, payload?: Uint8Array): void {
    this.#queue.send(encodeFrame(kind, session, payload));
  }

  #receive(bytes: Uint8Array): void {
    if (this.#parser.broken) return;
    for (const frame of this.#parser.feed(bytes)) if (!this.#take(frame)) return this.#giveUp();
    if (this.#parser.broken) this.#giveUp();
  }

  /** Whether the agent keeps to the protocol. */
  #take({ kind, session, payload }: Frame): boolean {
    if (kind === fromAgent.hello) return this.#onHello(payload);
    if (kind === fromAgent.read) {
      this.#queue.onRead(numberAt(payload, 0));
      return true;
    }
    if (this.#orphans.has(session)) return this.#takeOrphan(kind, session, payload);
    const held = this.#sessions[session];
    if (!held) return false;
    if (kind === fromAgent.started) {
      held.process.pid = numberAt(payload, 0);
      held.starting?.started(held.process);
      delete held.starting;
      return true;
    }
    if (kind === fromAgent.failed) {
      this.#free(session);
      held.starting?.failed(startError(held.name, numberAt(payload, 0), numberAt(payload, 1)));
      return true;
    }
    if (kind === fromAgent.exit) this.#free(session);
    return held.process.receive(kind, payload);
  }

  #onHello(payload: Uint8Array): boolean {
    if (numberAt(payload, 0) !== agentVersion) return false;
    this.#queue.reset();
    this.#failAll(new VmError("exec", "the guest was restarted before the command ended"));
    for (let session = 0; session < sessionCount; session++) {
      if (((numberAt(payload, 2 + (session >> 5)) >>> (session & 31)) & 1) !== 0) this.#adopt(session);
    }
    const first = this.#first;
    this.#first = undefined;
    if (first) void first.go().then(() => this.#becomeReady());
    else this.#becomeReady();
    return true;
  }

  #becomeReady(): void {
    if (this.#ended) return;
    this.#ready = true;
    if (this.#size) this.#send(toAgent.resize, consoleSession, shapePayload(this.#size));
    this.#wake();
  }

  /** A command that somebody else started: it is let run to its end. */
  #adopt(session: number): void {
    this.#unused.delete(session);
    this.#orphans.add(session);
    this.#send(toAgent.input, session);
    this.#send(toAgent.credit, session, numbers(outputWindow, outputWindow));
  }

  #takeOrphan(kind: number, session: number, payload: Uint8Array): boolean {
    if (kind === fromAgent.output) this.#send(toAgent.credit, session, numbers(payload.length, 0));
    else if (kind === fromAgent.errors) this.#send(toAgent.credit, session, numbers(0, payload.length));
    else if (kind === fromAgent.exit) this.#free(session);
    return true;
  }

  #free(session: number): void {
    this.#orphans.delete(session);
    this.#sessions[session] = undefined;
    this.#unused.add(session);
    this.#wake();
  }

  #wake(): void {
    for (const each of this.#waiting.splice(0)) each.go();
  }

  /** Nothing that comes from there makes sense any more. */
  #giveUp(): void {
    this.end(new VmError("agent", "the guest's agent sent what makes no sense: stop this machine and start another"));
  }

  #failAll(error: VmError): void {
    for (const session of this.#orphans) this.#unused.add(session);
    this.#orphans.clear();
    this.#sessions.forEach((each, number) => {
      if (!each) return;
      this.#sessions[number] = undefined;
      this.#unused.add(number);
      each.starting?.failed(error);
      each.process.fail(error);
    });
  }
}

export const cancelled = (): VmError => new VmError("cancelled", "the command was given up");

const errorNames: Readonly<Record<number, string>> = {
  1: "it is not permitted",
  2: "there is no such file",
  7: "its arguments are too long",
  8: "it is no program",
  12: "the guest has no memory left",
  13: "it may not be executed",
  20: "a part of the path is no directory",
  24: "the guest's agent has too many files open",
  11: "the guest has too many processes",
};

/** `step`: 1 the folder, 2 the program, 3 the user; 0 before. */
function startError(name: string, step: number, error: number): VmError {
  const why = errorNames[error] ?? `error ${error}`;
  if (step === 1) {
    const noFolder = error === 2 ? "it is not there" : why;
    return new VmError("exec", `${name} cannot be started in its working directory: ${noFolder}`);
  }
  if (step === 0 && error === 22)
    return new VmError("exec", `${name} has too many arguments or variables: 32,767 at most`);
  if (step === 3) return new VmError("exec", `${name} cannot be started as that user: ${why}`);
  if (step === 2 && error === 2) return new VmError("not-found", `there is no command "${name}" in the guest`);
  return new VmError("exec", `${name} cannot be started: ${why}`);
}
