/** The helpers that the IR's `call` reaches, one line for each file that has some; names and effects are in src/ir/helpers.ts. */
export { deliver_fault } from "./deliver";
