export type { Gfn, Gpa, Gva, Hpa } from "./address.ts";
export { gfnOf, gpa, gpaOf, gva, hpa, offsetIn, pageShift, pageSize } from "./address.ts";
