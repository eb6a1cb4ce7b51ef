/** The rules of the integer instructions, by the `lift` key of their rows. */
import { arithmeticRules } from "./arithmetic.ts";
import { bitRules } from "./bits.ts";
import { exchangeRules } from "./exchange.ts";
import type { Rule } from "./lifter.ts";
import { moveRules } from "./moves.ts";
import { stackRules } from "./stack.ts";

export const integerRules: Record<string, Rule> = {
  ...arithmeticRules,
  ...moveRules,
  ...bitRules,
  ...exchangeRules,
  ...stackRules,
};
