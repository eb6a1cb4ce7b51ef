/** `memvisor image`: list, prepare, import, remove. */
import { exitStatus, type imageImportCommand, type ValuesOf } from "#control";
import { learnImage } from "#host";
import { importImage, listImages, prepareImage, removeImage } from "#host/images";
import { defaultImage } from "#images";
import { type PrepareValues, withImageFailures } from "./open-image.ts";
import { progressLine } from "./progress-line.ts";

export async function listCommand(): Promise<number> {
  const rows = (await listImages()).map(({ reference, image }) => {
    const state = image ? (image.imported ? "imported" : "prepared") : "";
    const mark = reference.name === defaultImage ? " (default)" : "";
    return [reference.name, state, reference.summary + mark] as const;
  });
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, state, summary] of rows) console.log(`${name.padEnd(width)}  ${state.padEnd(8)}  ${summary}`);
  return exitStatus.success;
}

export async function prepareCommand(name: string | undefined, values: PrepareValues): Promise<number> {
  const image = await prepare(name ?? defaultImage, values);
  if (values.learn !== false) await learn(image.name);
  console.error(`memvisor: ${image.name} is ${image.unchanged ? "current" : "prepared"}`);
  return exitStatus.success;
}

export async function importCommand(
  name: string,
  source: string,
  { kernelImage, size, learn: learns }: ValuesOf<typeof imageImportCommand>,
): Promise<number> {
  const image = await withImageFailures(async () => {
    using line = await progressLine();
    return importImage(name, source, {
      ...(kernelImage !== undefined && { kernelImage }),
      ...(size !== undefined && { diskBytes: size }),
      onProgress: line.show,
    });
  });
  if (learns !== false) await learn(image.name);
  const { contentBytes = 0 } = image.disk ?? {};
  console.error(`memvisor: ${image.name} is imported, ${(contentBytes / 1e6).toFixed(0)} MB`);
  return exitStatus.success;
}

export async function removeCommand(name: string | undefined): Promise<number> {
  const removed = await withImageFailures(() => removeImage(name ?? defaultImage));
  console.error(`memvisor: ${name} ${removed ? "is removed" : "was not prepared"}`);
  return exitStatus.success;
}

/** Prepares it, and shows how far that has come. */
export async function prepare(name: string, values: PrepareValues) {
  return withImageFailures(() =>
    untilInterrupted(async (signal) => {
      using line = await progressLine();
      const { mirror, keyring, size, configure, inMemory } = values;
      return await prepareImage(name, {
        ...(mirror && { mirror }),
        ...(keyring && { keyring }),
        ...(values.with && { with: values.with }),
        ...(size !== undefined && { diskBytes: size }),
        ...(configure !== undefined && { configure }),
        ...(inMemory !== undefined && { inMemory }),
        onProgress: line.show,
        signal,
      });
    }),
  );
}

/** Boots it once if this memvisor has not yet. Without that, too, the image is whole. */
async function learn(name: string): Promise<void> {
  const failure = await untilInterrupted(async (signal) => {
    using line = await progressLine();
    const onBegin = (): void => line.show({ phase: "learn", what: `${name} boots`, doneBytes: 0, totalBytes: 0 });
    return await learnImage(name, { onBegin, signal });
  });
  if (failure !== undefined) console.error(`memvisor: how ${name} boots was not learnt: ${failure}`);
}

/** Does `work`, which hears of an interruption and ends then. */
async function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  try {
    return await work(interruption.signal);
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}
