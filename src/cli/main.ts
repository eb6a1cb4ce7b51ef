/**
 * The command line. What each command takes is in its schema (`control/commands/`); each one's module is loaded when
 * it is called, so that `memvisor run` starts fast.
 */
import { Command, CommanderError } from "commander";
import {
  copyCommand,
  disasmCommand,
  execCommand,
  exitStatus,
  forkCommand,
  imageImportCommand,
  imageListCommand,
  imagePrepareCommand,
  imageRemoveCommand,
  listCommand,
  logsCommand,
  memCommand,
  mountCommand,
  pageServerCommand,
  relayCommand,
  restoreCommand,
  runCommand,
  snapshotCommand,
  stopCommand,
} from "#control";
import { mark, packageVersion } from "#host";
import { Failure } from "./failure.ts";
import { endWithReader, flushed } from "./output.ts";
import { addCommand } from "./program.ts";

const program = new Command("memvisor")
  .description("Runs unmodified x86-64 Linux in Node, without KVM, root or a compiler.")
  .version(packageVersion())
  .showHelpAfterError("(--help shows what there is)")
  .exitOverride()
  // What stands behind a command of the guest is the guest's.
  .enablePositionalOptions()
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "memvisor: ")) });

addCommand(program, runCommand, async (image, values) => (await import("./run.ts")).run(image, values));

addCommand(program, execCommand, async (name, values, command) =>
  (await import("./exec.ts")).exec(name ?? "", values, command),
);
addCommand(program, copyCommand, async (from, _, [to]) => (await import("./copy.ts")).copy(from ?? "", to ?? ""));
addCommand(program, listCommand, async () => (await import("./machines.ts")).list());
addCommand(program, stopCommand, async (name, values) => (await import("./machines.ts")).stop(name ?? "", values));
addCommand(program, logsCommand, async (name, values) => (await import("./machines.ts")).logs(name ?? "", values));

addCommand(program, memCommand, async (name, values, [file]) => (await import("./mem.ts")).mem(name, file, values));
addCommand(program, mountCommand, async (folder) => (await import("./mount.ts")).mount(folder ?? ""));

addCommand(program, snapshotCommand, async (name, values, [path]) =>
  (await import("./machines.ts")).snapshot(name ?? "", path ?? "", values),
);
addCommand(program, forkCommand, async (name, _, [to]) => (await import("./machines.ts")).fork(name ?? "", to ?? ""));
addCommand(program, restoreCommand, async (path, values) => (await import("./restore.ts")).restore(path ?? "", values));

const image = program.command("image").summary("the images that machines boot").exitOverride();
addCommand(image, imageListCommand, async () => (await import("./image.ts")).listCommand());
addCommand(image, imagePrepareCommand, async (name, values) =>
  (await import("./image.ts")).prepareCommand(name, values),
);
addCommand(image, imageImportCommand, async (name, values, [source]) =>
  (await import("./image.ts")).importCommand(name ?? "", source ?? "", values),
);
addCommand(image, imageRemoveCommand, async (name) => (await import("./image.ts")).removeCommand(name));

addCommand(program, pageServerCommand, async (_, values) => (await import("./page-server.ts")).pageServer(values));
addCommand(program, relayCommand, async (_, values) => (await import("./relay.ts")).relay(values));

addCommand(program, disasmCommand, async (code, values) => (await import("./disasm.ts")).disasm(code ?? "", values));

endWithReader();
try {
  await program.parseAsync(process.argv);
} catch (error) {
  if (error instanceof Failure) {
    console.error(`memvisor: ${error.message}`);
    process.exitCode = error.status;
  } else if (error instanceof CommanderError) {
    // Commander has printed what is wrong, or the help that was asked for.
    process.exitCode = error.exitCode === 0 ? exitStatus.success : exitStatus.usage;
  } else {
    console.error(error);
    process.exitCode = exitStatus.failure;
  }
}
await flushed();
mark("ends");
// Standard input may still be open; nobody reads it any more.
process.exit();
