/** `memvisor image …`: the store of guest images. */
import type { imageListCommand, imagePrepareCommand, imageRemoveCommand } from "#control";
import { exitStatus } from "#control";
import { listImages, prepareImage, removeImage } from "../host/images/index.ts";
import { Failure } from "./failure.ts";
import type { Action } from "./program.ts";
import { progressLine } from "./progress-line.ts";

export const imageList: Action<typeof imageListCommand> = async () => {
  for (const { reference, image } of await listImages({})) {
    const state = image
      ? `prepared   Linux ${image.kernelVersion}${image.extras.length > 0 ? `, with ${image.extras.join(", ")}` : ""}`
      : "not prepared";
    console.log(`${reference.name.padEnd(18)} ${state}`);
  }
  return exitStatus.success;
};

export const imagePrepare: Action<typeof imagePrepareCommand> = async (name, values) => {
  const image = await prepare(name as string, values);
  console.log(`${image.reference}: Linux ${image.kernelVersion}`);
  return exitStatus.success;
};

export const imageRemove: Action<typeof imageRemoveCommand> = async (name) => {
  if (!(await removeImage(name as string, {})))
    throw new Failure(`${name} is not prepared: there is nothing to remove`, exitStatus.usage);
  return exitStatus.success;
};

export interface Preparation {
  readonly mirror?: string | undefined;
  readonly keyring?: string | undefined;
  readonly with?: readonly string[] | undefined;
}

/** Prepares an image, showing how it goes; Ctrl-C gives up and keeps what was downloaded. */
export async function prepare(name: string, { mirror, keyring, with: extras }: Preparation) {
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort();
  process.once("SIGINT", interrupt);
  using line = await progressLine();
  try {
    return await prepareImage(name, {
      ...(mirror !== undefined && { mirror }),
      ...(keyring !== undefined && { keyring }),
      ...(extras !== undefined && { with: extras }),
      onProgress: line.show,
      signal: interruption.signal,
    });
  } catch (error) {
    if (interruption.signal.aborted)
      throw new Failure("interrupted; the next try goes on from here", exitStatus.interrupted);
    throw error;
  } finally {
    process.off("SIGINT", interrupt);
  }
}
