/**
 * Machines that need not boot: of a machine like one that was started before there is a snapshot, taken when its agent was
 * ready and before it ran anything.
 *
 * Law: a template is used only for options, files and a memvisor that are those it was made with; a damaged one is thrown away, and
 * its machine boots.
 */
import { mkdir, readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { printValue } from "#base";
import { rememberedOf, VmError, type VmOptions, warmthPath } from "#control";
import { isEncrypted, parseBacking } from "#memory/backing";
import { crypto } from "./late.ts";
import { withLearnt } from "./learnt-files.ts";
import { packageVersion, runtimeFile } from "./package-files.ts";
import { VirtualMachine } from "./virtual-machine.ts";

/** Of some 70 MiB each. */
const mostTemplates = 6;
const suffix = ".snapshot";

/** Whether such a machine is like any other of its options, so that one may stand for all. */
export function canBeTemplate(options: VmOptions): boolean {
  const { clock, seed, digestEvery, trace, profile, interpreterOnly, chaosSeed, evictionSeed, without } = options;
  const watched = [seed, digestEvery, trace, chaosSeed, evictionSeed, without].some((each) => each !== undefined);
  const outside = [options.pmem, options.shares, options.network, options.ports, options.vsock].some(
    (each) => each !== undefined,
  );
  const keeps = options.disks?.some((disk) => disk.overlay !== true && !disk.readOnly) ?? false;
  const encrypted = isEncrypted(parseBacking(options.memoryBacking ?? ""));
  return !encrypted && !watched && !outside && !keeps && !profile && !interpreterOnly && clock !== "virtual";
}

/**
 * As `VirtualMachine.start`, but from the template in `folder`; where there is none, the machine boots with what is in the folder `learnt`,
 * and makes it.
 */
export async function startFromTemplate(options: VmOptions, folder: string, learnt: string): Promise<VirtualMachine> {
  const path = join(folder, `${await keyOf(options)}${suffix}`);
  const { reboot, timeoutMs, memoryBacking, reclaim, memoryLimitBytes } = options;
  try {
    const vm = await VirtualMachine.restore(path, {
      learn: true,
      ...(reboot !== undefined && { reboot }),
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(memoryBacking !== undefined && { memoryBacking }),
      ...(reclaim !== undefined && { reclaim }),
      ...(memoryLimitBytes !== undefined && { memoryLimitBytes }),
    });
    await touch(path);
    return vm;
  } catch (error) {
    if (!(error instanceof VmError && error.code === "snapshot")) throw error;
    await remove(path);
  }
  const vm = await VirtualMachine.start(await withLearnt(options, learnt));
  void makeTemplate(vm, folder, path);
  return vm;
}

/** Whatever goes wrong, the machine runs, and the next one boots. */
async function makeTemplate(vm: VirtualMachine, folder: string, path: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await vm.snapshotWhenReady(path);
    const names = (await readdir(folder)).filter((name) => name.endsWith(suffix));
    const ages = await Promise.all(
      names.map(async (name) => ({ name, used: (await stat(join(folder, name))).mtimeMs })),
    );
    ages.sort((a, b) => b.used - a.used);
    for (const { name } of ages.slice(mostTemplates)) await remove(join(folder, name));
  } catch {
    // The machine ended before it was ready, or there is no room for it.
  }
}

/** With what was learned of it. */
async function remove(path: string): Promise<void> {
  for (const each of [path, warmthPath(path)]) await rm(each, { force: true }).catch(() => {});
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
}

async function keyOf(options: VmOptions): Promise<string> {
  const hash = crypto().createHash("sha256").update(packageVersion());
  hash.update(await readFile(runtimeFile()));
  hash.update(printValue(rememberedOf(options)));
  const disks = options.disks?.map((disk) => disk.file) ?? [];
  for (const file of [options.kernel, options.setupHeader, options.initrd, ...disks]) {
    if (file instanceof Uint8Array) hash.update(file);
    else if (file !== undefined) {
      const { size, mtimeMs } = await stat(file);
      hash.update(`${file} ${size} ${mtimeMs}\n`);
    }
  }
  return hash.digest("hex").slice(0, 32);
}
