/** Commands for machines that run already, by their names. */
import { address, command, count, flag, list, seconds, size, sizeOrNone, text } from "../schema.ts";
import { maxMemoryBytes, minMemoryBytes } from "../vm-api.ts";
import { leastLimitBytes } from "../vm-memory.ts";

const name = { name: "NAME", help: "of a machine that `memvisor ps` shows", required: true } as const;

export const execCommand = command({
  name: "exec",
  summary: "run a command in a machine that runs",
  argument: name,
  more: [{ name: "COMMAND", help: "a program of the guest and its arguments", required: true, rest: true }],
  options: {
    env: list("NAME=VALUE", "a variable for it"),
    cwd: text("DIR", "its working directory; /root without"),
    user: text("UID[:GID]", "numbers of the user and the group that it runs as; root without"),
    terminal: {
      ...flag("give it a terminal; without a word it has one when input and output are at a terminal"),
      short: "t",
    },
    shell: { ...flag("COMMAND is one text for the guest's shell"), short: "s" },
  },
  notes: `The status is the command's own: 128 and its number for a signal, 127 for a command that is not there.
125: the machine is not there, or ended before the command did.`,
});

export const copyCommand = command({
  name: "cp",
  summary: "copy files and folders into a machine that runs, or out of it",
  argument: { name: "FROM", help: "NAME:/path in a machine, or a path here", required: true },
  more: [{ name: "TO", help: "likewise; into it, where it is a folder", required: true }],
  options: {},
});

export const listCommand = command({ name: "ps", summary: "show the machines that run and have names", options: {} });

export const stopCommand = command({
  name: "stop",
  summary: "power a machine off",
  argument: name,
  options: { timeout: seconds("pull the plug when it is not off after S seconds (default: 10)") },
});

export const logsCommand = command({
  name: "logs",
  summary: "show what a machine printed on its console",
  argument: name,
  options: { follow: { ...flag("go on as it prints more"), short: "f" } },
});

export const memCommand = command({
  name: "mem",
  summary: "show what a machine's memory is used for, or its bytes; without NAME what the host has for machines",
  argument: { ...name, required: false },
  more: [{ name: "FILE", help: "mem, map, slots, dirty/LOG and so on: print it, or list a folder", required: false }],
  options: {
    json: flag("as JSON, everything that is known"),
    watch: { ...flag("show a heat map of its accesses, anew each second"), short: "w" },
    heat: text("FILE", "write the heat map as a picture (SVG)"),
    limit: sizeOrNone(
      leastLimitBytes,
      2 ** 50,
      "from now on the machine has no more than that in frames; without NAME all machines of yours together",
    ),
    from: { ...address("of FILE, the first byte that is printed"), byDefault: "0" },
    bytes: count("N", 1, "of FILE, so many bytes"),
    resize: size(
      "none",
      minMemoryBytes,
      maxMemoryBytes,
      "ask the guest to have so much memory; up to its --memory-max",
    ),
  },
  notes: `memvisor mem NAME mem --from 0x100000 --bytes 64 | xxd shows memory. docs/memory-files.md says what the files are.
What is over a limit is evicted; a machine stands still where that does not help (docs/overcommit.md).
Accesses are watched from the first question on, and for a minute after the last one. docs/memory-watch.md says what
the words mean.`,
});

export const mountCommand = command({
  name: "mount",
  summary: "show the memory of all machines that have names as files in a folder (FUSE)",
  argument: { name: "DIR", help: "a folder that is there", required: true },
  options: {},
  notes: `DIR/vm/NAME/mem is the memory of the machine NAME. Ends with Ctrl-C or umount. docs/memory-files.md says what the files are.`,
});

export const snapshotCommand = command({
  name: "snapshot",
  summary: "write a machine that runs to a file, for restore; it runs on",
  argument: name,
  more: [{ name: "FILE", help: "an older snapshot of that name stays until the new one is whole", required: true }],
  options: {
    base: text("OLD", "write only what differs from the snapshot OLD, which restore needs, too, then"),
    live: flag("the guest runs on meanwhile; the snapshot is of the end"),
    flatten: flag("NAME is a snapshot: write it and those it is based on as one that needs no other"),
    key: text("SECRET", "encrypt it with the secret in the first line of the file SECRET; restore needs it, too, then"),
  },
});

export const forkCommand = command({
  name: "fork",
  summary: "start another machine that goes on from where one is now",
  argument: name,
  more: [{ name: "NEW", help: "its name", required: true }],
  options: {},
});
