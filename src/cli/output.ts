/** Standard output and error, with the reader's pace: what is written waits until it was taken. */
import { exitStatus } from "#control";

/** Undefined when the stream takes more at once, else what to wait for. */
export function sendTo(stream: NodeJS.WriteStream, data: Uint8Array | string): Promise<void> | undefined {
  if (data.length === 0 || stream.write(data)) return undefined;
  return new Promise((resolve) => {
    stream.once("drain", resolve);
    stream.once("close", resolve);
  });
}

/** All that was written so far is out. */
export async function flushed(): Promise<void> {
  const empty = (stream: NodeJS.WriteStream) =>
    new Promise<void>((resolve) => {
      if (stream.destroyed || stream.writableLength === 0) resolve();
      else stream.write("", () => resolve());
    });
  await Promise.all([empty(process.stdout), empty(process.stderr)]);
}

/** Ends the process quietly when the reader of its output went away, as `memvisor ... | head` makes it. */
export function endWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(exitStatus.brokenPipe);
    throw error;
  });
}
