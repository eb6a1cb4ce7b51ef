/** The progress of an image's preparation, on standard error: a bar at a terminal, elsewhere a line for each step. */
import type { OnProgress, Progress } from "#images";

const words: Readonly<Record<Progress["phase"], string>> = {
  waiting: "waiting for",
  index: "fetching",
  download: "downloading",
  unpack: "unpacking",
  write: "writing",
  configure: "configuring",
  learn: "learning how",
};

export interface ProgressLine extends Disposable {
  readonly show: OnProgress;
}

export async function progressLine(stream: NodeJS.WriteStream = process.stderr): Promise<ProgressLine> {
  return stream.isTTY ? bar(stream) : plainLines(stream);
}

async function bar(stream: NodeJS.WriteStream): Promise<ProgressLine> {
  const { default: progress } = await import("cli-progress");
  const line = new progress.SingleBar({
    stream,
    format: "{step} {what} [{bar}] {percentage}% {done}",
    barCompleteChar: "=",
    barIncompleteChar: " ",
    barsize: 30,
    hideCursor: true,
    clearOnComplete: true,
    emptyOnZero: true,
  });
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  let started = false;
  return {
    show({ phase, what, doneBytes, totalBytes }) {
      const payload = { step: words[phase], what, done: doneBytes > 0 ? megabytes(doneBytes) : "" };
      if (!started) line.start(totalBytes, doneBytes, payload);
      started = true;
      line.setTotal(Math.max(totalBytes, 1));
      line.update(Math.min(doneBytes, Math.max(totalBytes, 1)), payload);
    },
    [Symbol.dispose]: () => line.stop(),
  };
}

function plainLines(stream: NodeJS.WriteStream): ProgressLine {
  let last = "";
  return {
    show({ phase, what }) {
      const text = `${words[phase]} ${what}`;
      if (text !== last) stream.write(`memvisor: ${text}\n`);
      last = text;
    },
    [Symbol.dispose]() {},
  };
}
