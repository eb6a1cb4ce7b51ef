/** A thread that puts links in the places of directories and files, and back, as fast as it can. `workerData`: pairs of paths. */
import { renameSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";

const pairs = workerData as readonly (readonly [place: string, link: string])[];
parentPort?.postMessage("swapping");
for (;;) {
  for (const [place, link] of pairs) {
    const aside = `${place}.aside`;
    try {
      renameSync(place, aside);
      renameSync(link, place);
      renameSync(place, link);
      renameSync(aside, place);
    } catch {
      // Whoever else renames meanwhile: on with the next.
    }
  }
}
