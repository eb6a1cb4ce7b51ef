/** What a preparation tells while it runs: enough for a progress bar. */
export interface Progress {
  /**
   * waiting: another process prepares; index: lists of packages are fetched and verified; download: packages;
   * unpack: their files are taken out; write: the image is written;
   * configure: the packages' own scripts run, in a machine with the new disk; learn: the image is booted once, for the boots to come.
   */
  readonly phase: "waiting" | "index" | "download" | "unpack" | "write" | "configure" | "learn";
  /** A package's name, for a person. */
  readonly what: string;
  readonly doneBytes: number;
  /** 0 where it is not known. */
  readonly totalBytes: number;
}

export type OnProgress = (progress: Progress) => void;
