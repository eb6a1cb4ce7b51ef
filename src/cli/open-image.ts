/** Opening an image for `run`, which prepares it on first use; what prepares is loaded then. */
import { exitStatus, type imagePrepareCommand, type ValuesOf } from "#control";
import { openImage, type StoredImage } from "#host/images";
import { ImageError } from "#images";
import { Failure } from "./failure.ts";
import type { prepare } from "./image.ts";

export type PrepareValues = Partial<ValuesOf<typeof imagePrepareCommand>>;

/** The image of that name, prepared first if it is not here. */
export async function openOrPrepare(name: string, values: PrepareValues): Promise<StoredImage> {
  // Packages to be put in are a wish that an image of yesterday may not fulfil.
  if (values.with) return prepareNow(name, values);
  try {
    return await openImage(name);
  } catch (error) {
    if (error instanceof ImageError && error.code === "not-prepared") return prepareNow(name, values);
    return fail(error);
  }
}

const prepareNow: typeof prepare = async (...wanted) => (await import("./image.ts")).prepare(...wanted);

export async function withImageFailures<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    return fail(error);
  }
}

export function fail(error: unknown): never {
  if (!(error instanceof ImageError)) throw error;
  throw new Failure(error.message, statusOf(error.code));
}

function statusOf(code: ImageError["code"]): number {
  switch (code) {
    case "unknown-image":
    case "no-mirror":
    case "no-keyring":
    case "no-package":
    case "no-source":
    case "too-small":
      return exitStatus.usage;
    case "cancelled":
      return exitStatus.interrupted;
    default:
      return exitStatus.failure;
  }
}
