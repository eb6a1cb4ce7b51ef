/** `restore`: a machine that goes on from a snapshot, in this terminal or for one command. */
import { backing, command, flag, negatedFlag, seconds, size, text } from "../schema.ts";
import { maxMemoryBytes, minMemoryBytes } from "../vm-api.ts";

export const restoreCommand = command({
  name: "restore",
  summary: "go on with a machine from a snapshot, in this terminal",
  argument: { name: "FILE", help: "what --snapshot, Ctrl-A s or the library has written", required: true },
  options: {
    name: text("NAME", "other commands find the machine by NAME: exec, cp, snapshot, fork, stop"),
    detach: { ...flag("start it in the background, and end when it takes commands"), short: "d" },
    exec: text("CMD", "run CMD in the guest's shell, pass input, output and exit status through, and end"),
    snapshot: text(
      "FILE",
      "when the command of --exec has ended: write the machine to FILE; also where Ctrl-A s saves to",
    ),
    key: text(
      "FILE",
      "the snapshots that are read and written are encrypted with the secret in the first line of FILE",
    ),
    reboot: negatedFlag("end at a reset of the guest instead of starting it again"),
    timeout: seconds("end the machine after S seconds"),
    stats: flag("print counters to standard error at the end"),
    profile: text("FILE", "write where guest time goes to FILE at the end, for https://www.speedscope.app"),
    interpreter: flag("compile nothing, interpret everything"),
    memoryBacking: backing("where guest memory goes that is evicted (docs/memory.md)"),
    reclaim: flag("evict what the guest does not use; to a compressed backing, if none is named"),
    memoryLimit: size("none", minMemoryBytes, maxMemoryBytes, "evict what the guest has in memory over this"),
    consoleLog: text("FILE", "write what the guest prints on its console to FILE too"),
  },
  notes: `The snapshot is not changed, and any number of machines may run from it; it must stay where it is meanwhile.
Exit status as of "memvisor run".`,
});
