/** The rules of SSE to SSE4.2, by the `lift` key of their rows; those that MMX shares are among them. */
import type { Rule } from "./lifter.ts";
import { packedRules } from "./packed-integer.ts";
import { sseFloatRules } from "./sse-float.ts";
import { sseMoveRules } from "./sse-moves.ts";
import { sseStringRules } from "./sse-strings.ts";

export const sseRules: Record<string, Rule> = { ...sseMoveRules, ...sseFloatRules, ...packedRules, ...sseStringRules };
