/** `memvisor run`: a machine in this terminal, on pipes, or for one command. */
import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import {
  defaultCommandLine,
  exitStatus,
  type runCommand,
  statusOf,
  type ValuesOf,
  type VmEnd,
  VmError,
  type VmOptions,
} from "#control";
import { defaultImage } from "#images";
import { openImage } from "../host/images/index.ts";
import { Terminal } from "../host/terminal.ts";
import { VirtualMachine } from "../host/virtual-machine.ts";
import { EscapeKeys, keysHelp } from "./escape-keys.ts";
import { Failure } from "./failure.ts";
import { prepare } from "./image.ts";
import type { Action } from "./program.ts";
import { statsText } from "./stats-text.ts";

type Values = ValuesOf<typeof runCommand>;

export const run: Action<typeof runCommand> = async (name, values) => {
  const vm = await VirtualMachine.start(await optionsFor(name, values));
  const signals = endOnSignals(vm);
  vm.onReport((_, lines) => writeAll(process.stderr, lines.map((line) => `${line}\n`).join("")));
  if (values.consoleLog !== undefined) logConsole(vm, values.consoleLog);
  const status = values.exec === undefined ? await attach(vm) : await runOne(vm, values.exec);
  if (values.stats) process.stderr.write(`${statsText(await vm.stats())}\n`);
  return signals.status() ?? status;
};

async function optionsFor(name: string | undefined, values: Values): Promise<VmOptions> {
  const { kernel, initrd } = await filesFor(name, values);
  const words = [defaultCommandLine, values.exec !== undefined ? "memvisor.exec=1 quiet" : "", values.append ?? ""];
  const trace = values.trace && {
    events: values.trace,
    ...(values.traceFrom !== undefined && { from: values.traceFrom }),
    ...(values.traceTo !== undefined && { to: values.traceTo }),
  };
  return {
    kernel,
    commandLine: words.filter((word) => word !== "").join(" "),
    ...(initrd !== undefined && { initrd }),
    ...(values.memory !== undefined && { memoryBytes: values.memory }),
    ...(values.clock !== undefined && { clock: values.clock }),
    ...(values.reboot === false && { reboot: false }),
    ...(values.timeout !== undefined && { timeoutMs: values.timeout }),
    ...(trace !== undefined && { trace }),
    ...(values.digestEvery !== undefined && { digestEvery: values.digestEvery }),
    ...(values.seed !== undefined && { seed: values.seed }),
    ...(values.interpreter && { interpreterOnly: true }),
    ...(values.chaos !== undefined && { chaosSeed: values.chaos }),
  };
}

/** Kernel and initrd: files that were named, else those of the image, which is prepared when it is not yet. */
async function filesFor(
  name: string | undefined,
  values: Values,
): Promise<{ kernel: Uint8Array; initrd?: Uint8Array }> {
  if (values.kernel !== undefined && name === undefined) {
    return {
      kernel: await read(values.kernel),
      ...(values.initrd !== undefined && { initrd: await read(values.initrd) }),
    };
  }
  const wanted = name ?? defaultImage;
  const image =
    values.with === undefined
      ? await openImage(wanted, {}).catch(() => prepare(wanted, values))
      : await prepare(wanted, values);
  return {
    kernel: await read(values.kernel ?? image.kernelPath),
    initrd: await read(values.initrd ?? image.initrdPath),
  };
}

async function read(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const reason =
      (error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : (error as Error).message;
    throw new Failure(`${path} cannot be read: ${reason}`, exitStatus.usage);
  }
}

/** The console at the terminal, or on standard input and output. */
async function attach(vm: VirtualMachine): Promise<number> {
  using _terminal = Terminal.available() ? attachTerminal(vm) : attachPipes(vm);
  const end = await vm.exited;
  announce(end);
  return statusOf(end);
}

function attachTerminal(vm: VirtualMachine): Disposable {
  const terminal = new Terminal();
  const keys = new EscapeKeys();
  vm.console.onOutput((bytes) => writeAll(process.stdout, bytes));
  vm.resize(terminal.size.rows, terminal.size.columns);
  terminal.onResize(({ rows, columns }) => vm.resize(rows, columns));
  terminal.onInput((bytes) => {
    for (const part of keys.feed(bytes)) {
      if (part === "quit") void vm.stop();
      else if (part === "help") process.stdout.write(`\r\n${keysHelp.replaceAll("\n", "\r\n")}\r\n`);
      else void vm.console.write(part);
    }
  });
  return terminal;
}

function attachPipes(vm: VirtualMachine): Disposable {
  vm.console.onOutput((bytes) => writeAll(process.stdout, bytes));
  process.stdin.on("data", (bytes: Uint8Array) => {
    process.stdin.pause();
    void vm.console.write(bytes).then(() => process.stdin.resume());
  });
  return { [Symbol.dispose]: () => process.stdin.destroy() };
}

/** One command, its input, output and status passed through; then the machine is ended. */
async function runOne(vm: VirtualMachine, command: string): Promise<number> {
  const console = new TailOfText();
  vm.console.onOutput((bytes) => console.add(bytes));
  try {
    const { status } = await vm.exec(command, {
      stdin: process.stdin,
      onStdout: (bytes) => writeAll(process.stdout, bytes),
      onStderr: (bytes) => writeAll(process.stderr, bytes),
    });
    vm.powerOff();
    await vm.exited;
    return status;
  } catch (error) {
    if (!(error instanceof VmError && error.code === "ended")) throw error;
    const end = await vm.exited;
    announce(end);
    process.stderr.write(console.text());
    return end.reason === "poweroff" || end.reason === "reset" ? exitStatus.execLost : statusOf(end);
  } finally {
    process.stdin.destroy();
  }
}

function announce(end: VmEnd): void {
  if (end.reason === "poweroff" || end.reason === "stopped") return;
  const what = {
    panic: "the guest's kernel panicked",
    reset: "the guest reset",
    timeout: "timeout",
    error: "the machine failed",
  }[end.reason];
  process.stderr.write(`memvisor: ${what}${end.detail === "" ? "" : `: ${end.detail}`}\n`);
}

/** SIGTERM, SIGHUP, and SIGINT where no terminal passes it to the guest, end the machine. */
function endOnSignals(vm: VirtualMachine): { status(): number | undefined } {
  let status: number | undefined;
  for (const [signal, code] of [
    ["SIGINT", exitStatus.interrupted],
    ["SIGTERM", exitStatus.terminated],
    ["SIGHUP", exitStatus.terminated],
  ] as const) {
    process.on(signal, () => {
      status ??= code;
      void vm.stop();
    });
  }
  return { status: () => status };
}

function logConsole(vm: VirtualMachine, path: string): void {
  const file = createWriteStream(path);
  vm.console.onOutput((bytes) => writeAll(file, bytes));
  void vm.exited.then(() => file.end());
}

/** Resolves when the stream has room again, so that a slow reader slows the guest. */
function writeAll(stream: NodeJS.WritableStream, chunk: Uint8Array | string): Promise<void> | undefined {
  return stream.write(chunk) ? undefined : new Promise((resolve) => stream.once("drain", resolve));
}

/** The last lines of a console, to show when a command never came to run. */
class TailOfText {
  #text = "";
  readonly #decoder = new TextDecoder();
  add(bytes: Uint8Array): void {
    this.#text = (this.#text + this.#decoder.decode(bytes, { stream: true })).slice(-4096);
  }
  text(): string {
    return this.#text;
  }
}
