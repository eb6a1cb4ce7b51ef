/** The command `memvisor`: parses, calls, prints. Every way it can fail ends in one line on standard error. */
import { Command, CommanderError } from "commander";
import {
  disasmCommand,
  exitStatus,
  imageListCommand,
  imagePrepareCommand,
  imageRemoveCommand,
  runCommand,
  VmError,
} from "#control";
import { ImageError } from "#images";
import { packageVersion } from "../host/package-files.ts";
import { disassembleCode } from "./disasm.ts";
import { Failure } from "./failure.ts";
import { imageList, imagePrepare, imageRemove } from "./image.ts";
import { addCommand } from "./program.ts";
import { run } from "./run.ts";

const program = new Command("memvisor")
  .description("Unmodified Linux virtual machines, run by TypeScript and WebAssembly.")
  .version(packageVersion())
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "memvisor: ")) })
  .exitOverride()
  .showHelpAfterError("(memvisor --help shows the commands)");

addCommand(program, runCommand, run);
const image = program.command("image").description("Prepare, list and remove guest images.");
addCommand(image, imageListCommand, imageList);
addCommand(image, imagePrepareCommand, imagePrepare);
addCommand(image, imageRemoveCommand, imageRemove);
addCommand(program, disasmCommand, disassembleCode);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = statusOfError(error);
}

/** Prints what is to be said of an error, and gives the status to end with. */
function statusOfError(error: unknown): number {
  // Commander has printed its own.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.success : exitStatus.usage;
  const say = (message: string) => process.stderr.write(`memvisor: ${message}\n`);
  if (error instanceof Failure) {
    say(error.message);
    return error.status;
  }
  if (error instanceof VmError) {
    say(error.message);
    return error.code === "option" || error.code === "boot" ? exitStatus.usage : exitStatus.failure;
  }
  if (error instanceof ImageError) {
    say(error.message);
    return exitStatus.usage;
  }
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return exitStatus.failure;
}
