import { prepareGuest, rowsOf } from "./guest-image.ts";
import { costOf, costText, givenBack } from "./memory-watch.ts";
console.log(new Set(rowsOf(prepareGuest("debian-12-cloud").program).map((r) => r.group)));
console.log(await costText(await costOf("debian-12-cloud", 2, (vm) => vm.memory.dirty())));
