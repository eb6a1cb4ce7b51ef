/** `memvisor run`: a machine in this terminal, or one command in a machine. */
import { access, constants, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  defaultCommandLine,
  exitStatus,
  type FileSource,
  type runCommand,
  type ValuesOf,
  type VmOptions,
} from "#control";
import {
  canBeTemplate,
  programSettings,
  rootDisk,
  rootWords,
  startFromTemplate,
  VirtualMachine,
  withLearnt,
} from "#host";
import { cacheFolder } from "#host/images";
import { defaultImage } from "#images";
import { Failure } from "./failure.ts";

import { attend, inBackground } from "./named.ts";
import { openOrPrepare } from "./open-image.ts";

type RunValues = ValuesOf<typeof runCommand>;

export function run(imageName: string | undefined, values: RunValues): Promise<number> {
  return attend(values, imageName ?? values.kernel ?? defaultImage, async () => {
    const options = await optionsFor(imageName, values);
    const [templates, learnt] = ["templates", "learnt"].map((folder) => join(cacheFolder(), folder));
    const hasAgent = values.kernel === undefined && values.initrd === undefined;
    const fromTemplate = hasAgent && values.cold !== true && canBeTemplate(options);
    if (fromTemplate) return startFromTemplate(options, templates, learnt);
    return VirtualMachine.start(await withLearnt(options, learnt));
  });
}

async function optionsFor(imageName: string | undefined, values: RunValues): Promise<VmOptions> {
  const name = imageName ?? (values.kernel === undefined ? defaultImage : undefined);
  const image = name === undefined ? undefined : await openOrPrepare(name, values);
  const kernel = await fileFor("--kernel", values.kernel ?? image?.unpacked?.vmlinuxPath ?? image?.kernelPath);
  const setupHeader = values.kernel === undefined ? image?.unpacked?.setupHeaderPath : undefined;
  const initrd = await fileFor("--initrd", values.initrd ?? image?.initrdPath);
  if (!kernel) throw new Failure("no kernel: name an image or pass --kernel FILE", exitStatus.usage);
  const {
    memory,
    memoryBacking,
    cpus,
    clock,
    reboot,
    timeout,
    digestEvery,
    seed,
    rng,
    balloon,
    disk,
    interpreter,
    chaos,
  } = values;
  return {
    kernel,
    ...(setupHeader && { setupHeader }),
    ...(initrd && { initrd }),
    commandLine: [commandLineFor(values), ...(image ? rootWords(image) : [])].join(" "),
    ...(memory !== undefined && { memoryBytes: memory }),
    ...(values.memoryMax !== undefined && { memoryMaxBytes: values.memoryMax }),
    ...(cpus !== undefined && { cpus }),
    ...(clock && { clock }),
    ...(reboot !== undefined && { reboot }),
    ...(timeout !== undefined && { timeoutMs: timeout }),
    ...(digestEvery !== undefined && { digestEvery }),
    ...(seed !== undefined && { seed }),
    ...(rng && { rng }),
    ...(memoryBacking !== undefined && { memoryBacking }),
    ...(values.reclaim && { reclaim: true }),
    ...(values.memoryLimit !== undefined && { memoryLimitBytes: values.memoryLimit }),
    ...(balloon && { balloon }),
    ...networkFor(values),
    ...(image && programSettings(image)),
    ...(image ? rootDisk(image, disk, values.keep) : disk && { disks: disk }),
    ...(values.pmem && { pmem: values.pmem.map((each) => ({ ...each, file: resolve(each.file) })) }),
    ...(values.share && { shares: values.share.map((each) => ({ ...each, hostPath: resolve(each.hostPath) })) }),
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
  if (values.exec !== undefined || inBackground) words.push("memvisor.exec=1");
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
