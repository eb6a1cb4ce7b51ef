import { expect, test } from "vitest";
import { tinyMachine } from "../../test/tiny-machine.ts";
import { vcpuFields } from "./layout.ts";
import { restoreVcpu, saveVcpu } from "./persist.ts";

/** Made anew, or meaningless between two instructions. A field that is in neither list is forgotten by snapshots. */
const notKept = [
  ...["TEMP", "VTEMP", "ZERO", "BOUNCE", "FP_SCRATCH", "FP_TRAP", "MMIO_DATA", "MSR_DATA", "CPUID_RESULT"],
  // From the MSR that it follows.
  "ASYNC_FAULTS",
  // The arithmetic flags are kept as bits.
  ...["CC_KIND", "CC_A", "CC_B", "CC_C"],
  ...["MODE", "TLB_BASE", "SPACE", "ICOUNT_LIMIT", "RUN_END", "RUN_FLAGS", "STEPPING", "CURRENT_BLOCK"],
  ...["LEAVE", "LEAVE_ARG", "FAULT_VECTOR", "FAULT_ERROR", "FAULT_ADDRESS"],
  ...[
    "ASID",
    "GLOBAL_ASID",
    "LAST_ASID",
    "CONTEXT_PCID",
    "CONTEXT_ASID",
    "CONTEXT_NEXT",
    "WALK_GENERATION",
    "FILL_COUNT",
  ],
  ...[
    "MISPLACED",
    "TLB_MISSES",
    "TLB_FLUSHES",
    "WALKS",
    "COMPILED",
    "REGION_ENTRIES",
    "REGION_EPOCH",
    "REGIONS",
    "WASM_BYTES",
  ],
  ...[
    "RUNNING",
    "MIDWAY",
    "WAKE",
    "FORGET_COUNT",
    "FORGET",
    "CALL_STATE",
    "CALL_KIND",
    "CALL_SIZE",
    "CALL_VALUE",
    "CALL_ADDRESS",
  ],
];

const { machine } = tinyMachine(Uint8Array.of(0xeb, 0xfe));
const { vcpu } = machine.parts;

test("each field of the record is kept, or known to need no keeping", () => {
  const kept = Object.keys(saveVcpu(vcpu, 0)).filter((name) => name !== "FLAGS");
  expect([...kept, ...notKept].sort()).toEqual(vcpuFields.map(({ name }) => name).sort());
});

test("a record without a field, or with one of another size, is refused by name", () => {
  const { RIP: _, ...without } = saveVcpu(vcpu, 0);
  expect(() => restoreVcpu(vcpu, without)).toThrow("no good RIP");
  expect(() => restoreVcpu(vcpu, { ...saveVcpu(vcpu, 0), XMM: new Uint8Array(8) })).toThrow("no good XMM");
});
