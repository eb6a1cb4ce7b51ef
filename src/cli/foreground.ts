/** A machine in the foreground: this terminal, or one command's input and output, until the machine ends. */
import { createWriteStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { exitStatus, statusOf, type VmEnd, VmError } from "#control";
import { mark, Terminal, type VirtualMachine } from "#host";
import { EscapeKeys, keysHelp } from "./escape-keys.ts";
import { Failure } from "./failure.ts";
import { flushed, sendTo } from "./output.ts";
import { statsText } from "./stats-text.ts";

/** What of the console is shown when a command fails for the guest's reasons. */
const tailBytes = 4096;
const carriageReturn = 0x0d;
/** Where Ctrl-A s saves to. */
const defaultSnapshot = "memvisor.snapshot";

/** Options of `run` and `restore` that are about the foreground, by their names there. */
export interface ForegroundValues {
  readonly exec?: string;
  readonly reboot?: boolean;
  readonly consoleLog?: string;
  readonly snapshot?: string;
  readonly key?: string;
  readonly stats?: boolean;
  readonly profile?: string;
}

/** Starts the machine and stays with it. Gives the status to end with. */
export async function inForeground(start: () => Promise<VirtualMachine>, values: ForegroundValues): Promise<number> {
  if (values.profile !== undefined) await writeProfile(values.profile, "");
  const vm = await started(start);
  const signals = stopOnSignals(vm);
  try {
    vm.onReport((kind, lines) => sendTo(process.stderr, lines.map((line) => reportText(kind, line)).join("")));
    if (values.consoleLog !== undefined) logConsole(vm, values.consoleLog);
    const status = values.exec === undefined ? await converse(vm, values) : await execute(vm, values.exec, values);
    return signals.status ?? status;
  } finally {
    signals[Symbol.dispose]();
    await vm.stop();
    if (values.profile !== undefined) await writeProfile(values.profile, vm.profile ?? "");
    if (values.stats) await sendTo(process.stderr, `${statsText(await vm.stats())}\n`);
    await flushed();
  }
}

export async function started(start: () => Promise<VirtualMachine>): Promise<VirtualMachine> {
  try {
    return await start();
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    const wrong = error.code === "option" || error.code === "boot" || error.code === "snapshot";
    throw new Failure(error.message, wrong ? exitStatus.usage : exitStatus.failure);
  }
}

/** The console with whoever is at standard input and output, until the machine ends. */
async function converse(vm: VirtualMachine, values: ForegroundValues): Promise<number> {
  vm.console.onOutput((bytes) => sendTo(process.stdout, bytes));
  if (Terminal.available()) {
    using terminal = new Terminal();
    vm.resize(process.stdout.rows, process.stdout.columns);
    // The shell has shown its prompt to somebody else.
    if (vm.resumed) void vm.console.write(Uint8Array.of(carriageReturn));
    attach(vm, terminal, values);
    await vm.exited;
  } else {
    void passInput(vm);
    await vm.exited;
  }
  return reportEnd(await vm.exited, values);
}

function attach(vm: VirtualMachine, terminal: Terminal, values: ForegroundValues): void {
  const keys = new EscapeKeys();
  terminal.onInput((bytes) => {
    for (const part of keys.feed(bytes)) {
      if (part === "quit") void vm.stop();
      else if (part === "save") void saveAtTerminal(vm, values);
      else if (part === "help") process.stdout.write(`\r\n${keysHelp.replaceAll("\n", "\r\n")}\r\n`);
      else void vm.console.write(part);
    }
  });
  terminal.onResize(({ rows, columns }) => vm.resize(rows, columns));
}

async function saveAtTerminal(vm: VirtualMachine, values: ForegroundValues): Promise<void> {
  const { snapshot: path = defaultSnapshot, key } = values;
  const say = (text: string): void => void process.stdout.write(`\r\nmemvisor: ${text}\r\n`);
  try {
    const { sizeBytes } = await vm.snapshot(path, key === undefined ? {} : { key });
    say(`saved to ${path}, ${(sizeBytes / 2 ** 20).toFixed(0)} MiB: memvisor restore ${path}`);
  } catch (error) {
    say(`not saved: ${(error as Error).message}`);
  }
}

async function save(vm: VirtualMachine, path: string, key: string | undefined): Promise<void> {
  try {
    await vm.snapshot(path, key === undefined ? {} : { key });
  } catch (error) {
    if (!(error instanceof VmError) || error.code === "ended") throw error;
    throw new Failure(`--snapshot ${error.message}`, exitStatus.failure);
  }
}

async function passInput(vm: VirtualMachine): Promise<void> {
  for await (const chunk of process.stdin) await vm.console.write(chunk as Uint8Array);
}

/** One command, its input and output ours. The console is shown only when the guest fails. */
async function execute(vm: VirtualMachine, command: string, values: ForegroundValues): Promise<number> {
  let tail: Buffer = Buffer.alloc(0);
  vm.console.onOutput((bytes) => {
    tail = Buffer.concat([tail, bytes]).subarray(-tailBytes);
  });
  try {
    const { status } = await vm.exec(command, {
      stdin: standardInput(),
      onStdout: (bytes) => sendTo(process.stdout, bytes),
      onStderr: (bytes) => sendTo(process.stderr, bytes),
    });
    mark("the command has ended");
    if (values.snapshot !== undefined) await save(vm, values.snapshot, values.key);
    return status;
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    if (error.code !== "ended") throw new Failure(error.message, exitStatus.usage);
    const end = await vm.exited;
    if (end.reason === "stopped") return exitStatus.success;
    await sendTo(process.stderr, tail);
    await sendTo(process.stderr, `memvisor: the guest ended before the command did: ${endText(end)}\n`);
    return statusOf(end) === exitStatus.success ? exitStatus.execLost : statusOf(end);
  }
}

/** Standard input, not touched before somebody asks for it. */
async function* standardInput(): AsyncGenerator<Uint8Array> {
  for await (const chunk of process.stdin) yield chunk as Uint8Array;
}

async function reportEnd(end: VmEnd, values: ForegroundValues): Promise<number> {
  const asExpected = end.reason === "poweroff" || end.reason === "stopped";
  const reset = end.reason === "reset" && values.reboot === false;
  if (!asExpected) await sendTo(process.stderr, `memvisor: ${endText(end)}\n`);
  return reset ? exitStatus.success : statusOf(end);
}

function endText({ reason, detail }: VmEnd): string {
  const what: Record<VmEnd["reason"], string> = {
    poweroff: "the guest powered off",
    reset: "the guest was reset",
    panic: "the guest's kernel panicked",
    timeout: "timeout",
    stopped: "stopped",
    error: "memvisor failed",
  };
  return detail ? `${what[reason]}: ${detail}` : what[reason];
}

const reportText = (kind: string, line: string): string =>
  // A raw terminal does not return the carriage by itself; elsewhere these are lines for programs.
  kind === "notice" ? `memvisor: ${line}${process.stdin.isRaw ? "\r" : ""}\n` : `${line}\n`;

/** Before the machine runs, too: nobody wants to hear at its end that the file cannot be written. */
async function writeProfile(path: string, profile: string): Promise<void> {
  try {
    await writeFile(path, profile);
  } catch (error) {
    throw new Failure(`--profile ${path}: ${(error as Error).message}`, exitStatus.usage);
  }
}

function logConsole(vm: VirtualMachine, path: string): void {
  const log = createWriteStream(path);
  log.on("error", (error) => {
    process.stderr.write(`memvisor: --console-log ${path}: ${error.message}\n`);
    log.destroy();
  });
  vm.console.onOutput((bytes) => {
    if (!log.destroyed) log.write(bytes);
  });
}

/** While it lives, a signal ends the machine; `status` is then what the signal makes of ours. */
export function stopOnSignals(vm: VirtualMachine): Disposable & { readonly status: number | undefined } {
  let status: number | undefined;
  const handlers = (
    [
      ["SIGINT", exitStatus.interrupted],
      ["SIGTERM", exitStatus.terminated],
      ["SIGHUP", 129],
    ] as const
  ).map(([signal, code]) => {
    const handle = () => {
      status ??= code;
      void vm.stop();
    };
    process.on(signal, handle);
    return () => void process.off(signal, handle);
  });
  return {
    get status() {
      return status;
    },
    [Symbol.dispose]: () => {
      for (const off of handlers) off();
    },
  };
}
