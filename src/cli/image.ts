/** `memvisor image`: list, prepare, import, remove. */
import { exitStatus, type imageImportCommand, type ValuesOf } from "#control";
import { importImage, listImages, prepareImage, removeImage } from "#host/images";
import { defaultImage } from "#images";
import { fail, type PrepareValues, withImageFailures } from "./open-image.ts";
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
  console.error(`memvisor: ${image.name} is ${image.unchanged ? "current" : "prepared"}`);
  return exitStatus.success;
}

export async function importCommand(
  name: string,
  source: string,
  { kernelImage, size }: ValuesOf<typeof imageImportCommand>,
): Promise<number> {
  using line = await progressLine();
  const image = await withImageFailures(() =>
    importImage(name, source, {
      ...(kernelImage !== undefined && { kernelImage }),
      ...(size !== undefined && { diskBytes: size }),
      onProgress: line.show,
    }),
  );
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
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  try {
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
      signal: interruption.signal,
    });
  } catch (error) {
    return fail(error);
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}
