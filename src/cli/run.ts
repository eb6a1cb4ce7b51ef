/** `memvisor run`: a machine in this terminal, or one command in a machine. */
import { createWriteStream } from "node:fs";
import { access, constants, readFile, stat, writeFile } from "node:fs/promises";
import {
  defaultCommandLine,
  exitStatus,
  type FileSource,
  type runCommand,
  statusOf,
  type ValuesOf,
  type VmEnd,
  VmError,
  type VmOptions,
} from "#control";
import { Terminal, VirtualMachine } from "#host";
import { defaultImage } from "#images";
import { EscapeKeys, keysHelp } from "./escape-keys.ts";
import { Failure } from "./failure.ts";
import { openOrPrepare } from "./image.ts";
import { flushed, sendTo } from "./output.ts";
import { statsText } from "./stats-text.ts";

type RunValues = ValuesOf<typeof runCommand>;

/** What of the console is shown when a command fails for the guest's reasons. */
const tailBytes = 4096;

export async function run(imageName: string | undefined, values: RunValues): Promise<number> {
  const options = await optionsFor(imageName, values);
  if (values.profile !== undefined) await writeProfile(values.profile, "");
  const vm = await start(options);
  const signals = stopOnSignals(vm);
  try {
    vm.onReport((kind, lines) => sendTo(process.stderr, lines.map((line) => reportText(kind, line)).join("")));
    if (values.consoleLog !== undefined) logConsole(vm, values.consoleLog);
    const status = values.exec === undefined ? await converse(vm, values) : await execute(vm, values.exec);
    return signals.status ?? status;
  } finally {
    signals[Symbol.dispose]();
    await vm.stop();
    if (values.profile !== undefined) await writeProfile(values.profile, vm.profile ?? "");
    if (values.stats) await sendTo(process.stderr, `${statsText(await vm.stats())}\n`);
    await flushed();
  }
}

async function optionsFor(imageName: string | undefined, values: RunValues): Promise<VmOptions> {
  const name = imageName ?? (values.kernel === undefined ? defaultImage : undefined);
  const image = name === undefined ? undefined : await openOrPrepare(name, values);
  const kernel = await fileFor("--kernel", values.kernel ?? image?.unpacked?.vmlinuxPath ?? image?.kernelPath);
  const setupHeader = values.kernel === undefined ? image?.unpacked?.setupHeaderPath : undefined;
  const initrd = await fileFor("--initrd", values.initrd ?? image?.initrdPath);
  if (!kernel) throw new Failure("no kernel: name an image or pass --kernel FILE", exitStatus.usage);
  const { memory, cpus, clock, reboot, timeout, digestEvery, seed, rng, disk, interpreter, chaos } = values;
  return {
    kernel,
    ...(setupHeader && { setupHeader }),
    ...(initrd && { initrd }),
    commandLine: commandLineFor(values),
    ...(memory !== undefined && { memoryBytes: memory }),
    ...(cpus !== undefined && { cpus }),
    ...(clock && { clock }),
    ...(reboot !== undefined && { reboot }),
    ...(timeout !== undefined && { timeoutMs: timeout }),
    ...(digestEvery !== undefined && { digestEvery }),
    ...(seed !== undefined && { seed }),
    ...(rng && { rng }),
    ...networkFor(values),
    ...(disk && { disks: disk }),
    ...(interpreter && { interpreterOnly: true }),
    ...(chaos !== undefined && { chaosSeed: chaos }),
    ...(values.without && { without: values.without }),
    ...(values.profile !== undefined && { profile: true }),
    ...(values.trace && {
      trace: {
        events: values.trace,
        ...(values.traceFrom !== undefined && { from: values.traceFrom }),
        ...(values.traceTo !== undefined && { to: values.traceTo }),
      },
    }),
  };
}

function networkFor({ net, publish, allow }: RunValues): Pick<VmOptions, "network"> {
  const asked = publish ?? allow;
  if (net === "none" && asked) throw new Failure("--net none has no ports: leave out -p and --allow", exitStatus.usage);
  if (net !== "user" && !asked) return {};
  return { network: { ...(publish && { publish }), ...(allow && { allow }) } };
}

function commandLineFor(values: RunValues): string {
  const words = [defaultCommandLine];
  if (values.exec !== undefined) words.push("memvisor.exec=1");
  else if (Terminal.available()) {
    words.push(`memvisor.rows=${process.stdout.rows}`, `memvisor.cols=${process.stdout.columns}`);
  }
  if (values.append) words.push(values.append);
  return words.join(" ");
}

/** The path, where the machine's thread can read the file whenever it boots; else what is in it, as of a pipe. */
async function fileFor(option: string, path: string | undefined): Promise<FileSource | undefined> {
  if (path === undefined) return undefined;
  try {
    await access(path, constants.R_OK);
    return (await stat(path)).isFile() ? path : await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      ENOENT: "there is no such file",
      EACCES: "it may not be read",
      EISDIR: "it is a directory",
    };
    throw new Failure(`${option} ${path}: ${reasons[code ?? ""] ?? message}`, exitStatus.usage);
  }
}

async function start(options: VmOptions): Promise<VirtualMachine> {
  try {
    return await VirtualMachine.start(options);
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    const wrong = error.code === "option" || error.code === "boot";
    throw new Failure(error.message, wrong ? exitStatus.usage : exitStatus.failure);
  }
}

/** The console with whoever is at standard input and output, until the machine ends. */
async function converse(vm: VirtualMachine, values: RunValues): Promise<number> {
  vm.console.onOutput((bytes) => sendTo(process.stdout, bytes));
  if (Terminal.available()) {
    using terminal = new Terminal();
    attach(vm, terminal);
    await vm.exited;
  } else {
    void passInput(vm);
    await vm.exited;
  }
  return reportEnd(await vm.exited, values);
}

function attach(vm: VirtualMachine, terminal: Terminal): void {
  const keys = new EscapeKeys();
  terminal.onInput((bytes) => {
    for (const part of keys.feed(bytes)) {
      if (part === "quit") void vm.stop();
      else if (part === "help") process.stdout.write(`\r\n${keysHelp.replaceAll("\n", "\r\n")}\r\n`);
      else void vm.console.write(part);
    }
  });
  terminal.onResize(({ rows, columns }) => vm.resize(rows, columns));
}

async function passInput(vm: VirtualMachine): Promise<void> {
  for await (const chunk of process.stdin) await vm.console.write(chunk as Uint8Array);
}

/** One command, its input and output ours. The console is shown only when the guest fails. */
async function execute(vm: VirtualMachine, command: string): Promise<number> {
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

async function reportEnd(end: VmEnd, values: RunValues): Promise<number> {
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
function stopOnSignals(vm: VirtualMachine): Disposable & { readonly status: number | undefined } {
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
