export type { AcpiOptions, AcpiTables } from "./tables.ts";
export { buildAcpiTables } from "./tables.ts";
