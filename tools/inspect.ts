/**
 * Shows the inside of a machine after so many instructions: registers, page tables, translated code.
 *
 *   npm run inspect -- --at 100000000 --registers --tables ffffffff80000000
 */
import { parseArgs } from "node:util";
import { printCode, printPageTables, printRegisters } from "#introspect";
import { Machine } from "#vm";
import { machineOptions, machineUsage, quietHost, virtualMachine } from "./machine-setup.ts";

const usage = `npm run inspect -- --at N [what] [machine]
  --at N                after so many instructions
  --registers           all registers
  --tables [FROM[-TO]]  the page tables, or the part that maps these addresses (hexadecimal)
  --code ADDR           the block at ADDR, its IR and the WebAssembly of its region ("rip" where the machine stands)
  --console             what the guest has printed, too
${machineUsage}`;

const { values } = parseArgs({
  options: {
    ...machineOptions,
    at: { type: "string" },
    registers: { type: "boolean" },
    tables: { type: "string" },
    code: { type: "string" },
    console: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help || !/^\d+$/.test(values.at ?? "")) {
  process.stderr.write(`${usage}\n`);
  process.exit(values.help ? 0 : 2);
}

const host = quietHost((port, bytes) => void (port === 0 && values.console && process.stdout.write(bytes)));
const machine = new Machine({ ...virtualMachine(values), engine: {} }, host);
const outcome = machine.runUntil(BigInt(values.at ?? 0));
const { parts } = machine;
if (outcome) console.log(`the machine ended: ${outcome.reason} ${outcome.detail}`);
if (values.registers || (!values.tables && !values.code))
  console.log(printRegisters(parts, { vectors: true, x87: true }));
if (values.tables !== undefined) {
  const [from, to] = values.tables.split("-").map((text) => BigInt(`0x${text || 0}`));
  console.log(printPageTables(parts.memory, parts.vcpu.u64("CR3"), { from, ...(to !== undefined && { to }) }));
}
if (values.code !== undefined) {
  const address = values.code === "rip" ? parts.vcpu.u64("RIP") : BigInt(`0x${values.code}`);
  console.log(printCode(parts, address, true));
}
