/**
 * Commands in the guest, one after another, over the agent that the prepared images run.
 *
 * The protocol and what it promises are in exec-protocol.ts; here is who waits for whom. A command's input is pulled
 * from its source one chunk at a time, when the guest asks and the line has taken the chunk before.
 */
import { ExecProtocol } from "./exec-protocol.ts";
import type { SerialLine } from "./serial-line.ts";
import { type ExecOptions, type ExecResult, VmError } from "./vm-api.ts";

/** COM2 to COM4. */
export interface CommandLines {
  readonly stdio: SerialLine;
  readonly stderr: SerialLine;
  readonly control: SerialLine;
}

interface Job {
  readonly command: string;
  readonly options: ExecOptions;
  readonly input: AsyncIterator<Uint8Array>;
  readonly done: (status: number) => void;
  readonly failed: (error: VmError) => void;
  /** A chunk of input is on its way. */
  pulling: boolean;
}

export class GuestCommands {
  readonly #protocol: ExecProtocol;
  readonly #lines: CommandLines;
  readonly #waiting: Job[] = [];
  #running: Job | undefined;
  #guestReady = false;
  #ended: VmError | undefined;
  #size: { rows: number; columns: number } | undefined;
  /** What a receiver of the command's output still works on; the command's end waits for it. */
  #open: Promise<unknown> = Promise.resolve();

  constructor(lines: CommandLines) {
    this.#lines = lines;
    this.#protocol = new ExecProtocol({
      send: (port, bytes) => void lines[port].write(bytes),
      stdout: (bytes) => this.#output(bytes, this.#running?.options.onStdout),
      stderr: (bytes) => this.#output(bytes, this.#running?.options.onStderr),
      ready: () => this.#ready(),
      wantInput: () => void this.#pullInput(),
      exit: (status) => this.#exit(status),
    });
    for (const port of ["stdio", "stderr", "control"] as const) {
      lines[port].onOutput((bytes) => {
        this.#protocol.receive(port, bytes);
        return port === "control" ? undefined : this.#takeOpen();
      });
    }
  }

  run(command: string, options: ExecOptions): Promise<ExecResult> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      if (options.signal?.aborted) return reject(cancelled());
      const job: Job = {
        command,
        options,
        input: chunksOf(options.stdin),
        done: (status) => resolve({ status }),
        failed: reject,
        pulling: false,
      };
      options.signal?.addEventListener("abort", () => this.#cancel(job), { once: true });
      this.#waiting.push(job);
      this.#startNext();
    });
  }

  /** Tells the console's terminal its size, now or when the agent is there. */
  resize(rows: number, columns: number): void {
    this.#size = { rows, columns };
    this.#protocol.resize(rows, columns);
  }

  /** Asks the guest to power itself off. */
  powerOff(): void {
    this.#protocol.powerOff();
  }

  /** The machine ended: so do all commands. */
  end(error: VmError): void {
    this.#ended = error;
    for (const job of [this.#running, ...this.#waiting]) if (job) this.#fail(job, error);
    this.#running = undefined;
    this.#waiting.length = 0;
  }

  #ready(): void {
    this.#guestReady = true;
    if (this.#size) this.#protocol.resize(this.#size.rows, this.#size.columns);
    const lost = this.#running;
    this.#running = undefined;
    // The agent is ready while a command should run: the guest was restarted under it.
    if (lost) this.#fail(lost, new VmError("exec", "the guest was restarted before the command ended"));
    this.#startNext();
  }

  #startNext(): void {
    if (!this.#guestReady || this.#running) return;
    const job = this.#waiting.shift();
    if (!job) return;
    if (this.#protocol.exec(job.command)) {
      this.#guestReady = false;
      this.#running = job;
      return;
    }
    this.#fail(job, new VmError("exec", "the command is longer than 128 KiB or holds a NUL byte"));
    this.#startNext();
  }

  #output(bytes: Uint8Array, receive: ExecOptions["onStdout"]): void {
    const result = receive?.(bytes);
    if (result instanceof Promise) this.#open = Promise.allSettled([this.#open, result]);
  }

  /** The promise of everything still open, for the line to wait on. */
  #takeOpen(): Promise<void> {
    return this.#open.then(() => undefined);
  }

  async #pullInput(): Promise<void> {
    const job = this.#running;
    if (!job || job.pulling) return;
    job.pulling = true;
    await this.#lines.stdio.write(new Uint8Array(0));
    const chunk = await nextChunk(job.input);
    job.pulling = false;
    if (this.#running !== job) return;
    if (chunk) this.#protocol.input(chunk);
    else this.#protocol.endInput();
  }

  #exit(status: number): void {
    const job = this.#running;
    this.#running = undefined;
    if (!job) return;
    close(job.input);
    void this.#takeOpen().then(() => job.done(status));
  }

  #cancel(job: Job): void {
    const index = this.#waiting.indexOf(job);
    if (index >= 0) this.#waiting.splice(index, 1);
    this.#fail(job, cancelled());
  }

  #fail(job: Job, error: VmError): void {
    close(job.input);
    job.failed(error);
  }
}

/** The next chunk that is not empty; undefined at the end, and when the source fails. */
async function nextChunk(input: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
  try {
    for (;;) {
      const { done, value } = await input.next();
      if (done) return undefined;
      if (value.length > 0) return value;
    }
  } catch {
    return undefined;
  }
}

function close(input: AsyncIterator<Uint8Array>): void {
  input.return?.().catch(() => {});
}

const cancelled = () => new VmError("cancelled", "the command was given up");

async function* chunksOf(stdin: ExecOptions["stdin"]): AsyncGenerator<Uint8Array> {
  if (stdin === undefined) return;
  if (typeof stdin === "string") yield new TextEncoder().encode(stdin);
  else if (stdin instanceof Uint8Array) yield stdin;
  else yield* stdin;
}
