/** A kernel, initrd or command line that cannot be booted: one line that says what is wrong and what to do. */
export class BootError extends Error {
  override name = "BootError";
}

/** A size for people: whole MiB, rounded up, or bytes and KiB where it is small. */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  if (bytes < 1024 * 1024) return `${Math.ceil(bytes / 1024)} KiB`;
  return `${Math.ceil(bytes / (1024 * 1024))} MiB`;
}
