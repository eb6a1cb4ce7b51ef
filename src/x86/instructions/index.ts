/** All rows, numbered. */

import type { InstructionRow } from "../row.ts";
import { nothing } from "../row-nothing.ts";
import { absent } from "./absent.ts";
import { controlFlow } from "./control-flow.ts";
import { integer } from "./integer.ts";
import { mmx } from "./mmx.ts";
import { sseTo3 } from "./sse.ts";
import { sse4 } from "./sse4.ts";
import { string } from "./string.ts";
import { system } from "./system.ts";
import { x87 } from "./x87.ts";

const sources = [integer, string, controlFlow, system, x87, mmx, sseTo3, sse4, absent].flat();

/** Every form the decoder knows; a row's `id` is its index. Row 0 is `nothing`. */
export const rows: readonly InstructionRow[] = [nothing, ...sources.map((source, n) => ({ ...source, id: n + 1 }))];
