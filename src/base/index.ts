export { assert, assertNever, Bug } from "./assert.ts";
