/** One command from its start to its end: input passed in, output collected or passed on, time and patience bounded. */
import { type ExecOptions, type ExecResult, Output, VmError } from "../vm-api.ts";
import type { ByteQueue } from "./byte-queue.ts";
import { cancelled, type GuestCommands } from "./guest-commands.ts";
import type { GuestProcess } from "./guest-process.ts";

const defaultMaxOutputBytes = 16 * 1024 * 1024;

export async function execute(
  commands: GuestCommands,
  argv: readonly string[],
  options: ExecOptions,
): Promise<ExecResult> {
  const { timeoutMs, signal, maxOutputBytes = defaultMaxOutputBytes } = options;
  const stop = new AbortController();
  let why: Error | undefined;
  const giveUp = (error: Error): void => {
    why ??= error;
    stop.abort();
  };
  const onAbort = (): void => giveUp(cancelled());
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => giveUp(new VmError("timeout", `the command did not end in ${timeoutMs / 1000} s`)), timeoutMs);
  try {
    if (signal?.aborted) throw cancelled();
    const process = await commands.start(argv, { ...options, signal: stop.signal }, options.stdin !== undefined);
    const stopped = new Promise<never>((_, reject) => {
      const kill = (): void => {
        process.kill("SIGKILL");
        process.stdout.discard();
        process.stderr.discard();
        reject(why ?? cancelled());
      };
      if (stop.signal.aborted) kill();
      else stop.signal.addEventListener("abort", kill, { once: true });
    });
    return await Promise.race([follow(process, options, maxOutputBytes, giveUp), stopped]);
  } catch (error) {
    throw why ?? error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

async function follow(
  process: GuestProcess,
  options: ExecOptions,
  limit: number,
  giveUp: (error: Error) => void,
): Promise<ExecResult> {
  // Half of an input is another one: the command is not to take its end for the end.
  void feed(process, options.stdin).catch(giveUp);
  const tooMuch = (): void =>
    giveUp(
      new VmError(
        "output",
        `the command printed more than ${limit} bytes: take it by onStdout, or raise maxOutputBytes`,
      ),
    );
  const [stdout, stderr, end] = await Promise.all([
    take(process.stdout, options.onStdout, limit, tooMuch),
    take(process.stderr, options.onStderr, limit, tooMuch),
    process.exited,
  ]);
  return { ...end, stdout, stderr };
}

async function take(
  stream: ByteQueue,
  receive: ExecOptions["onStdout"],
  limit: number,
  tooMuch: () => void,
): Promise<Output> {
  const kept: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    if (receive) {
      await receive(chunk);
      continue;
    }
    size += chunk.length;
    if (size > limit) {
      tooMuch();
      break;
    }
    kept.push(chunk);
  }
  return new Output(join(kept, size));
}

function join(parts: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    if (at + part.length > size) break;
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The command's input from whatever it was given as. Rejected when the source fails. */
async function feed(process: GuestProcess, stdin: ExecOptions["stdin"]): Promise<void> {
  if (stdin === undefined) return;
  if (typeof stdin === "string") await process.write(new TextEncoder().encode(stdin));
  else if (stdin instanceof Uint8Array) await process.write(stdin);
  else await feedFrom(process, stdin[Symbol.asyncIterator]());
  process.end();
}

async function feedFrom(process: GuestProcess, source: AsyncIterator<Uint8Array>): Promise<void> {
  const over = process.exited.then(
    () => "over" as const,
    () => "over" as const,
  );
  for (;;) {
    // A source that has nothing to say, as a person at a keyboard, does not hold up the end of the command.
    const next = await Promise.race([source.next(), over]);
    if (next === "over" || next.done) break;
    await process.write(next.value);
  }
  source.return?.().catch(() => {});
}
