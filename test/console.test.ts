/** The console of a prepared image, as a person at a terminal has it. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { VirtualMachine } from "#host";
import { openImage } from "#host/images";
import { patienceMs } from "./patience.ts";

const image = await openImage("debian-12-cloud").catch(() => undefined);

/** Types lines, each when the text before it has appeared, and gives all that was printed. */
async function converse(
  vm: VirtualMachine,
  turns: readonly (readonly [awaited: string, typed: string])[],
): Promise<string> {
  let text = "";
  let news = Promise.withResolvers<void>();
  vm.console.onOutput((bytes) => {
    text += new TextDecoder().decode(bytes);
    news.resolve();
    news = Promise.withResolvers();
  });
  let from = 0;
  for (const [awaited, typed] of turns) {
    while (!text.includes(awaited, from)) await Promise.race([news.promise, vm.exited.then(() => expect.fail(text))]);
    from = text.indexOf(awaited, from) + awaited.length;
    await vm.console.write(new TextEncoder().encode(typed));
  }
  await vm.exited;
  return text;
}

test.skipIf(!image)(
  "Ctrl-C ends a command, the size of the terminal is known, and poweroff ends the machine",
  { timeout: patienceMs },
  async () => {
    if (!image) return;
    const [kernel, initrd] = await Promise.all([readFile(image.kernelPath), readFile(image.initrdPath)]);
    const commandLine = "console=ttyS0 panic=-1 memvisor.rows=33 memvisor.cols=101";
    await using vm = await VirtualMachine.start({ kernel, initrd, commandLine, timeoutMs: patienceMs });
    const text = await converse(vm, [
      // A program of its own says that it sleeps: a shell between two commands may keep Ctrl-C to itself.
      ["~ # ", "stty size; sh -c 'echo sleeping; exec sleep 1000'\r"],
      ["\nsleeping", "\x03"],
      ["~ # ", "echo status $?; poweroff\r"],
    ]);
    expect(text).toContain("33 101");
    expect(text).toContain("\nstatus 130");
    expect((await vm.exited).reason).toBe("poweroff");
  },
);
