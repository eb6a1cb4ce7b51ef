/** `memvisor exec`: a command in a machine that runs, with this process's input, output and terminal. */
import { type execCommand, exitStatus, type ValuesOf, VmError } from "#control";
import { RemoteMachine, Terminal } from "#host";
import { Failure } from "./failure.ts";
import { sendTo } from "./output.ts";

type ExecValues = ValuesOf<typeof execCommand>;

const notFound = 127;
const notExecutable = 126;

export async function exec(name: string, values: ExecValues, words: readonly string[]): Promise<number> {
  // As other programs of this kind have it between their words and the command's.
  const command = words[0] === "--" ? words.slice(1) : words;
  if (command.length === 0) throw new Failure("no command: memvisor exec NAME -- COMMAND", exitStatus.usage);
  if (command[0].startsWith("-"))
    throw new Failure(`${command[0]}: options come before the machine's name`, exitStatus.usage);
  try {
    return await run(new RemoteMachine(name), values, command);
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    throw new Failure(error.message, statusOf(error));
  }
}

async function run(machine: RemoteMachine, values: ExecValues, command: readonly string[]): Promise<number> {
  const argv = values.shell ? ["/bin/sh", "-c", command.join(" ")] : command;
  const atTerminal = Terminal.available();
  if (values.terminal && !atTerminal) throw new VmError("option", "-t: input and output here are no terminal");
  using terminal = atTerminal ? new Terminal() : undefined;
  const options = {
    ...environmentOf(values.env),
    ...userOf(values.user),
    ...(values.cwd !== undefined && { cwd: values.cwd }),
    ...(terminal && { terminal: terminal.size }),
  };
  const { status } = await machine.exec({
    argv,
    options,
    stdin: standardInput(),
    onStdout: (bytes) => sendTo(process.stdout, bytes),
    onStderr: (bytes) => sendTo(process.stderr, bytes),
    onStarted(order) {
      terminal?.onResize((resize) => order({ resize }));
      // Without a terminal of its own the command does not see the keys; a second Ctrl-C ends this process.
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => order({ signal }));
    },
  });
  return status;
}

async function* standardInput(): AsyncGenerator<Uint8Array> {
  for await (const chunk of process.stdin) yield chunk as Uint8Array;
}

function environmentOf(list: readonly string[] | undefined): { env?: Record<string, string> } {
  if (!list) return {};
  const pairs = list.map((each) => {
    const equals = each.indexOf("=");
    if (equals < 1) throw new VmError("option", `--env ${each}: write it as NAME=VALUE`);
    return [each.slice(0, equals), each.slice(equals + 1)];
  });
  return { env: Object.fromEntries(pairs) as Record<string, string> };
}

function userOf(text: string | undefined): { user?: number; group?: number } {
  if (text === undefined) return {};
  const match = /^(\d{1,9})(?::(\d{1,9}))?$/.exec(text);
  if (!match) throw new VmError("option", `--user ${text}: write numbers, as 1000 or 1000:1000`);
  return { user: Number(match[1]), ...(match[2] !== undefined && { group: Number(match[2]) }) };
}

function statusOf({ code }: VmError): number {
  switch (code) {
    case "not-found":
      return notFound;
    case "exec":
      return notExecutable;
    case "option":
      return exitStatus.usage;
    default:
      return exitStatus.execLost;
  }
}
