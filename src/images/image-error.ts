/** What can go wrong while an image is prepared or opened. Each message says what to do about it. */
export type ImageErrorCode =
  | "unknown-image"
  | "not-prepared"
  | "no-mirror"
  | "no-keyring"
  | "bad-signature"
  | "unknown-key"
  | "expired"
  | "corrupt-index"
  | "corrupt-package"
  | "bad-package"
  | "bad-tree"
  | "too-small"
  | "no-source"
  | "configure"
  | "no-package"
  | "network"
  | "disk-full"
  | "busy"
  | "cancelled"
  | "apt";

/** A host failure of the image store, by name: never a broken law of ours. */
export class ImageError extends Error {
  override name = "ImageError";
  readonly code: ImageErrorCode;

  constructor(code: ImageErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
